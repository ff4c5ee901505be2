"""Which rules of a Pandera model each row breaks: all its checks at once, without the books that Pandera keeps of them.

Pandera runs one check after another and collects the cases of each as Python objects, which takes its time, and panics
where rows that break the same rule have lists of different kinds. Here its checks are asked side by side, and reasons
are written only for rows that break one.
"""

from collections.abc import Iterator
from functools import cache, reduce
from operator import and_
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

_WHOLE_ROW = "*"

Model = type[pa.DataFrameModel]
Checks = list[tuple[str, pa.Check]]


def parted(model: Model, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Rows that keep every rule, and rows that break one, these with a column `val_reasons`; see `tables.split`.

    None where only Pandera can say: the frame lacks a column or has one of another type, or the model has rules that
    are not about single rows.
    """
    types = _types_of_simple(model)
    if types is None or any(frame.schema.get(name) != dtype for name, dtype in types.items()):
        return None
    outcomes = [one.to_series() for one in pl.collect_all([*_outcomes(model, frame.lazy())])]
    if any(len(one) != frame.height for one in outcomes):
        return None
    good: pl.Series = reduce(and_, outcomes)
    if good.all():
        return frame, frame.clear().with_columns(val_reasons=pl.lit(None, pl.String))
    bad = frame.filter(~good)
    told = [
        pl.when(~broken.filter(~good)).then(reason)
        for broken, reason in zip(outcomes, _reasons(model), strict=True)
        if not broken.all()
    ]
    reasons = pl.concat_list(told).list.drop_nulls().list.unique().list.sort().list.join("; ")
    return frame.filter(good), bad.with_columns(val_reasons=reasons)


def shown(value: pl.Expr) -> pl.Expr:
    """A value as a reason names it."""
    return value.cast(pl.String).fill_null("nothing").str.slice(0, 80)


def _outcomes(model: Model, frame: pl.LazyFrame) -> Iterator[pl.LazyFrame]:
    for name in _filled(model):
        yield frame.select(pl.col(name).is_not_null())
    for name, check in _checks(model):
        yield _asked(check, name, frame).select(pl.first().fill_null(check.ignore_na))


def _reasons(model: Model) -> Iterator[pl.Expr]:
    """What to say of a row that breaks a rule, in the order of the outcomes."""
    for name in _filled(model):
        yield pl.lit(f"{name}: not_nullable (got nothing)")
    for name, check in _checks(model):
        rule = pl.lit(str(check.error or check.name))
        yield rule if name == _WHOLE_ROW else pl.format("{}: {} (got {})", pl.lit(name), rule, shown(pl.col(name)))


def _filled(model: Model) -> list[str]:
    return [name for name, column in model.to_schema().columns.items() if not column.nullable]


def _checks(model: Model) -> Checks:
    schema = model.to_schema()
    return [
        *((name, check) for name, column in schema.columns.items() for check in column.checks),
        *((_WHOLE_ROW, check) for check in schema.checks),
    ]


def _asked(check: pa.Check, name: str, frame: pl.LazyFrame) -> Any:  # noqa: ANN401  # a frame, or one answer for all
    backend: Any = check.get_backend(frame)(check)
    return backend.apply(PolarsData(frame, name))


@cache
def _types_of_simple(model: Model) -> pl.Schema | None:
    """Column → type, of a model without anything but types, nulls and checks of rows."""
    schema = model.to_schema()
    columns = schema.columns.values()
    types = pl.Schema({name: column.dtype.type for name, column in schema.columns.items()})
    if schema.strict or schema.coerce or schema.unique:
        return None
    if any(one.unique or one.regex or one.coerce or not one.required or one.default is not None for one in columns):
        return None
    if any(types[name].is_float() or (types[name].is_nested() and schema.columns[name].checks) for name in types):
        return None  # Pandera takes NaN for null, and writes lists as JSON
    empty, checks = pl.LazyFrame(schema=types), _checks(model)
    for name, check in checks:
        check(empty, name)  # a built-in check finds its function for Polars when it is called
    are_of_rows = all(isinstance(_asked(check, name, empty), pl.LazyFrame) for name, check in checks)
    return types if are_of_rows and (checks or _filled(model)) else None
