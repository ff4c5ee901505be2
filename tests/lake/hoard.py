"""A program that writes a table several times larger than it may hold, reads it in every way, and tells its peak."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl

from resources.lake import Lake

TABLE = "chess.hoard"
SCHEMA = pl.Schema({"id_row": pl.Int64, "arr_n": pl.List(pl.Int64()), "dt_month": pl.String})
FRAMES, FRAME_ROWS, LIST_LENGTH = 60, 50_000, 64


def frames() -> Iterator[pl.DataFrame]:
    """Frames of 26 MB each, made when they are asked for."""
    for number in range(FRAMES):
        first = number * FRAME_ROWS
        elements = pl.int_range(0, FRAME_ROWS * LIST_LENGTH, eager=True) % LIST_LENGTH
        yield pl.DataFrame(
            {
                "id_row": pl.int_range(first, first + FRAME_ROWS, eager=True),
                "arr_n": elements.reshape((FRAME_ROWS, LIST_LENGTH)).arr.to_list(),
                "dt_month": ["2013-01"] * FRAME_ROWS,
            }
        )


def peak_mb() -> int:
    """The most memory that this process has held so far; unlike getrusage's, not its parent's."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def main(uri: str) -> None:
    """Write, read by batches, by DuckDB and lazily; then hold the whole table at once, to show what that takes."""
    lake, peaks, sums = Lake(uri=uri), {}, {}
    n_rows = lake.overwrite(TABLE, frames, SCHEMA, "2013-01").n_rows
    peaks["written"] = peak_mb()
    sums["batches"] = sum(
        batch.get_column("id_row").sum() + batch.get_column("arr_n").list.sum().sum()
        for batch in lake.batches(TABLE, SCHEMA)
    )
    peaks["batches"] = peak_mb()
    query = f"SELECT sum(id_row) + sum(list_sum(arr_n)) FROM {lake.relation_sql(TABLE, SCHEMA)}"
    sums["duckdb"] = int(duckdb.sql(query).fetchall()[0][0])
    peaks["duckdb"] = peak_mb()
    lazy = lake.scan(TABLE, SCHEMA).select(pl.col("id_row").sum() + pl.col("arr_n").list.sum().sum())
    sums["lazy"] = lazy.collect(engine="streaming").item()
    peaks["lazy"] = peak_mb()
    held = lake.scan(TABLE, SCHEMA).collect()
    peaks["held"] = peak_mb()
    said = {"n_rows": n_rows, "sums": sums, "peaks_mb": peaks, "table_mb": int(held.estimated_size("mb"))}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
