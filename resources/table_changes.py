"""What a migration can do to the columns of a table, and to its rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from resources.errors import UserError


class Step(Protocol):
    """One change of a table. Whoever has it already is not changed again."""

    def is_done(self, schema: pl.Schema) -> bool:
        """Whether a table with these columns has it."""

    def columns(self, schema: pl.Schema) -> pl.Schema:
        """The columns afterwards."""

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows afterwards."""

    @property
    def rewrites(self) -> bool:
        """Whether files have to be written anew for it."""


@dataclass(frozen=True)
class Added:
    """A new column; older rows have null in it, or what `value` makes of their other columns."""

    name: str
    dtype: pl.DataType
    value: pl.Expr | None = None

    def is_done(self, schema: pl.Schema) -> bool:
        """Whether the column is there."""
        return self.name in schema

    def columns(self, schema: pl.Schema) -> pl.Schema:
        """With the column."""
        return pl.Schema({**schema, self.name: self.dtype})

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """With the column's values."""
        value = pl.lit(None) if self.value is None else self.value
        return frame.with_columns(value.cast(self.dtype).alias(self.name))

    @property
    def rewrites(self) -> bool:
        """Only for values: readers see null where a file lacks a column."""
        return self.value is not None

    def __str__(self) -> str:
        return f"add {self.name} ({self.dtype})"


@dataclass(frozen=True)
class Renamed:
    """A column with another name."""

    old: str
    new: str
    rewrites: bool = True

    def is_done(self, schema: pl.Schema) -> bool:
        """Whether it has the new name."""
        return self.old not in schema and self.new in schema

    def columns(self, schema: pl.Schema) -> pl.Schema:
        """At the same place, with the new name."""
        return pl.Schema({self.new if name == self.old else name: dtype for name, dtype in schema.items()})

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The same values."""
        return frame.rename({self.old: self.new})

    def __str__(self) -> str:
        return f"rename {self.old} to {self.new}"


@dataclass(frozen=True)
class Retyped:
    """A column of another type; `value` makes its values, where a cast that loses nothing does not do it."""

    name: str
    dtype: pl.DataType
    value: pl.Expr | None = None
    rewrites: bool = True

    def is_done(self, schema: pl.Schema) -> bool:
        """Whether it has that type."""
        return schema.get(self.name) == self.dtype

    def columns(self, schema: pl.Schema) -> pl.Schema:
        """With the type."""
        return pl.Schema({**schema, self.name: self.dtype})

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """With converted values."""
        value = pl.col(self.name) if self.value is None else self.value
        return frame.with_columns(value.cast(self.dtype).alias(self.name))

    def __str__(self) -> str:
        return f"change {self.name} to {self.dtype}"


@dataclass(frozen=True)
class Dropped:
    """A column that goes, with its values."""

    name: str
    rewrites: bool = True

    def is_done(self, schema: pl.Schema) -> bool:
        """Whether it is gone."""
        return self.name not in schema

    def columns(self, schema: pl.Schema) -> pl.Schema:
        """Without it."""
        return pl.Schema({name: dtype for name, dtype in schema.items() if name != self.name})

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Without it."""
        return frame.drop(self.name)

    def __str__(self) -> str:
        return f"drop {self.name}"


@dataclass(frozen=True)
class Change:
    """Steps that change one table together, in one commit; `empties` removes its rows, which are made anew then."""

    table: str
    steps: tuple[Step, ...] = ()
    empties: bool = False

    def to_do(self, schema: pl.Schema) -> Sequence[Step]:
        """The steps that a table with these columns lacks."""
        left = []
        for step in self.steps:
            if not step.is_done(schema):
                left.append(step)
                schema = step.columns(schema)
        return left

    def schema_after(self, schema: pl.Schema) -> pl.Schema:
        """The columns afterwards."""
        for step in self.to_do(schema):
            schema = step.columns(schema)
        return schema

    def told(self, schema: pl.Schema) -> tuple[str, ...]:
        """What it does to a table with these columns, in words."""
        steps = tuple(str(step) for step in self.to_do(schema))
        return (*steps, "remove all rows") if self.empties else steps

    def rewrites(self, schema: pl.Schema) -> bool:
        """Whether the files of such a table have to be written anew for it."""
        return not self.empties and any(step.rewrites for step in self.to_do(schema))

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows afterwards. Raises UserError if a value cannot be converted."""
        for step in self.to_do(frame.schema):
            try:
                frame = step.rows(frame)
            except pl.exceptions.PolarsError as error:
                reason = str(error).partition("\n")[0]
                raise UserError(f"{self.table}: cannot {step}: {reason}; the table is as it was") from error
        return frame
