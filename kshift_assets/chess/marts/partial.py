"""Monthly partials: what marts over all months are combined from, so that a changed month alone is read again.

What belongs here: how partials are kept. Each stands, with its SQL, beside the mart that needs it first.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

import duckdb
import polars as pl

from kshift_assets.reporting import Table
from kshift_assets.tables import polars_schema
from resources.lake import MONTH, Lake, parquet_sql
from resources.object_store import let_read

SCHEMA = "partials"
BATCH = 100_000
MARK_BITS = 63

Connection = AbstractContextManager[duckdb.DuckDBPyConnection]


@dataclass(frozen=True, kw_only=True)
class Partial:
    """What is kept of each month: rows that `sql` makes of that month of the tables that it reads.

    The SQL of a mart finds the rows of all months in the view `partials.<name>`, with the month as `dt_month`. It may
    only read tables that are split by month. Sums of integers are cast to BIGINT, else they were HUGEINT. `base` is
    another partial, of the same tables, of which it finds the month's rows in that one's view.
    """

    name: str
    sql: str
    reads: tuple[str, ...]
    base: "Partial | None" = None

    @property
    def view(self) -> str:
        """`partials.<name>`, as the SQL of marts knows it."""
        return f"{SCHEMA}.{self.name}"

    @cached_property
    def table(self) -> str:
        """Its table in the lake. Other SQL is another table: what an older version of the code wrote is never read."""
        text = self.sql + (self.base.table if self.base else "")
        return f"{SCHEMA}.{self.name}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Refreshed:
    """What was done to bring a partial up to date."""

    recomputed: Sequence[str]
    months: Sequence[str]


class Refresher:
    """Brings partials up to date with the tables as they stood when it was made, so that several agree."""

    def __init__(self, lake: Lake, tables: Sequence[Table], connect: Callable[[], Connection]) -> None:
        self._lake, self._connect = lake, connect
        self._schemas = {table.full_name: polars_schema(table.model) for table in tables}
        self._files = {
            table.full_name: lake.files_by_month(table.full_name) for table in tables if table.is_partitioned
        }

    def refresh(self, partial: Partial) -> Refreshed:
        """Compute the months whose files are others than when that was done last; remove those that vanished."""
        if partial.base:
            self.refresh(partial.base)
        table, lake = partial.table, self._lake
        months = sorted({month for name in partial.reads for month in self._files[name]})
        marks = {month: _mark([self._files[name].get(month, []) for name in partial.reads]) for month in months}
        if lake.version(table) is None:
            self._write(partial, None, None)
        stored = lake.marks(table, months)
        changed = [month for month in months if stored.get(month) != marks[month]]
        for month in changed:
            self._write(partial, month, marks[month])
        for month in set(lake.months(table)) - set(months):
            self._write(partial, month, 0)
        return Refreshed(changed, months)

    def _write(self, partial: Partial, month: str | None, mark: int | None) -> None:
        with self._connect() as connection:
            for name in partial.reads:
                files = self._files[name].get(month, []) if month else []
                open_view(connection, name, parquet_sql(files, self._schemas[name]))
            if partial.base:
                open_partial(connection, partial.base, self._lake, month)
            is_there = any(month in self._files[name] for name in partial.reads)
            rows = connection.sql(f"SELECT *, '{month}' AS {MONTH} FROM ({partial.sql})")  # noqa: S608  # our own SQL

            def frames() -> Iterator[pl.DataFrame]:
                # What adds up no games at all gives a row too.
                for batch in rows.to_arrow_reader(BATCH) if is_there else ():
                    yield pl.DataFrame(pl.from_arrow(batch))

            self._lake.overwrite(partial.table, frames, schema_of(rows), month, mark=mark)


def open_partial(connection: duckdb.DuckDBPyConnection, partial: Partial, lake: Lake, month: str | None = None) -> None:
    """Make the view of a partial that is up to date, of all months or of one."""
    open_view(connection, partial.view, lake.relation_sql(partial.table, lake.columns_of(partial.table), month))


def open_view(connection: duckdb.DuckDBPyConnection, name: str, relation: str) -> None:
    """Make a view of a table expression; times read as UTC."""
    let_read(connection, [relation])
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {relation}")  # noqa: S608  # our own names


def schema_of(rows: duckdb.DuckDBPyRelation) -> pl.Schema:
    """The columns of a query, as Polars has them."""
    return pl.DataFrame(pl.from_arrow(rows.limit(0).to_arrow_table())).schema


def _mark(files: Sequence[Sequence[str]]) -> int:
    """A number that tells these files from others, by their names: files are never written twice."""
    names = "\n\n".join("\n".join(file.rpartition("/")[2] for file in sorted(listed)) for listed in files)
    return int.from_bytes(hashlib.sha256(names.encode()).digest()[:8]) >> (64 - MARK_BITS)
