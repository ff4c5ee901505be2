"""Small tables for the lake's tests: rows that are known by their numbers."""

from datetime import UTC, datetime

import duckdb
import polars as pl

from resources.lake import Lake

TABLE = "lichess.pages"
JANUARY, FEBRUARY, MARCH = "2013-01", "2013-02", "2013-03"
SCHEMA = pl.Schema(
    {
        "id_row": pl.Int64,
        "val_text": pl.String,
        "arr_n": pl.List(pl.Int32()),
        "tm_seen": pl.Datetime("us", "UTC"),
        "dt_month": pl.String,
    }
)
PLAIN = pl.Schema({"id_row": pl.Int64, "val_text": pl.String})


def rows(first: int, count: int, month: str = JANUARY, text: str = "a") -> pl.DataFrame:
    """Rows numbered from `first`, all of one month and with one text."""
    return pl.DataFrame(
        {
            "id_row": range(first, first + count),
            "val_text": [text] * count,
            "arr_n": [[number, None] for number in range(count)],
            "tm_seen": [datetime(2013, 1, 31, 23, 59, 59, 999999, UTC)] * count,
            "dt_month": [month] * count,
        },
        schema=SCHEMA,
    )


def numbers(frame: pl.DataFrame) -> list[int]:
    """The rows' numbers, sorted."""
    return sorted(frame.get_column("id_row").to_list())


def stored(lake: Lake, months: str | list[str] | None = None, table: str = TABLE) -> list[int]:
    """The numbers of all rows that a table holds."""
    return numbers(lake.scan(table, SCHEMA, months).collect())


def by_duckdb(lake: Lake, schema: pl.Schema = SCHEMA, months: str | None = None) -> duckdb.DuckDBPyRelation:
    """The table as DuckDB reads it."""
    return duckdb.sql(f"SELECT * FROM {lake.relation_sql(TABLE, schema, months)}")
