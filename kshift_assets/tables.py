"""What a table's Pandera model yields: the Polars schema, Dagster's column list, the split into good and bad rows."""

from functools import cache
from typing import Any

import dagster as dg
import pandera.errors
import pandera.polars as pa
import polars as pl

from kshift_assets.verdicts import parted, shown
from resources.lake import duckdb_type

Model = type[pa.DataFrameModel]


@cache
def polars_schema(model: Model) -> pl.Schema:
    """Columns and types, in the order in which they are written."""
    return pl.Schema({name: column.dtype.type for name, column in model.to_schema().columns.items()})


def descriptions(model: Model) -> dict[str, str]:
    """Column → what it means, units included."""
    return {name: column.description or "" for name, column in model.to_schema().columns.items()}


def rules(model: Model) -> dict[str, list[str]]:
    """Column → its rules in words, e.g. `100 to 4500`."""
    return {
        name: [_words(check) for check in column.checks] + ([] if column.nullable else ["not null"])
        for name, column in model.to_schema().columns.items()
    }


def row_rules(model: Model) -> list[str]:
    """The rules about more than one column of a row, in words."""
    return [
        _words(check).replace("_", " ") if " " not in check.name else check.name for check in model.to_schema().checks
    ]


def column_schema(model: Model) -> dg.TableSchema:
    """The model as Dagster's UI shows it: types as SQL people know them, descriptions and rules."""
    texts, checks = descriptions(model), rules(model)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type=duckdb_type(dtype),
                description=texts[name],
                constraints=dg.TableColumnConstraints(
                    nullable="not null" not in checks[name], other=[rule for rule in checks[name] if rule != "not null"]
                ),
            )
            for name, dtype in polars_schema(model).items()
        ],
        constraints=dg.TableConstraints(other=row_rules(model)),
    )


def summary(model: Model) -> str:
    """The model's first sentence."""
    return (model.__doc__ or "").strip().splitlines()[0]


def split(model: Model, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that keep every rule, and rows that break one, these with a column `val_reasons` that names each.

    A reason reads `n_rating_white: in_range(100, 4500) (got 17)`. Raises SchemaError when the frame itself is wrong:
    a missing column or type, which no row can answer for.
    """
    return parted(model, frame) or validated(model, frame)


def validated(model: Model, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same by Pandera's own validation, which knows every kind of rule and takes its time."""
    try:
        model.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        return _part(frame, error)
    return frame, frame.clear().with_columns(val_reasons=pl.lit(None, pl.String))


def _part(frame: pl.DataFrame, error: pandera.errors.SchemaErrors) -> tuple[pl.DataFrame, pl.DataFrame]:
    cases = error.failure_cases
    if cases.get_column("index").null_count():
        raise error
    reasons = (
        cases.lazy()
        .select(
            row=pl.col("index").cast(pl.UInt32),
            reason=pl.when(pl.col("schema_context") == "Column")
            .then(pl.format("{}: {} (got {})", "column", "check", shown(pl.col("failure_case"))))
            .otherwise(pl.col("check")),
        )
        .unique(maintain_order=True)
        .group_by("row")
        .agg(val_reasons=pl.col("reason").sort().str.join("; "))
    )
    marked = (
        frame.with_row_index("row")
        .lazy()
        .join(reasons, on="row", how="left", maintain_order="left")
        .drop("row")
        .collect()
    )
    bad = pl.col("val_reasons").is_not_null()
    return marked.filter(~bad).drop("val_reasons"), marked.filter(bad)


_WORDS = {
    "equal_to": "= {}",
    "greater_than": "> {}",
    "greater_than_or_equal_to": "≥ {}",
    "in_range": "{} to {}",
    "less_than": "< {}",
    "less_than_or_equal_to": "≤ {}",
    "str_matches": "matches {}",
}


def _words(check: Any) -> str:  # noqa: ANN401  # Pandera's Check is generic over things we do not care about
    numbers = list((check.statistics or {}).values())
    if check.name == "isin":
        return " | ".join(map(str, numbers[0]))
    if check.name in _WORDS:
        return _WORDS[check.name].format(*numbers)
    return f"{check.name}({', '.join(map(str, numbers))})" if numbers else str(check.name)
