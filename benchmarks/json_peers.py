"""What one would take to get a table from documents, as work to measure: each turns NDJSON into a Parquet file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
from measuring import temporary_folder

Work = Callable[[], int]

_PLAYER = 'STRUCT("user" STRUCT(id VARCHAR, name VARCHAR, title VARCHAR), rating SMALLINT, "ratingDiff" SMALLINT)'
_COLUMNS = {
    "id": "VARCHAR",
    "rated": "BOOLEAN",
    "variant": "VARCHAR",
    "speed": "VARCHAR",
    "perf": "VARCHAR",
    "createdAt": "BIGINT",
    "lastMoveAt": "BIGINT",
    "status": "VARCHAR",
    "winner": "VARCHAR",
    "players": f"STRUCT(white {_PLAYER}, black {_PLAYER})",
    "opening": "STRUCT(eco VARCHAR, name VARCHAR, ply SMALLINT)",
    "moves": "VARCHAR",
    "clocks": "INTEGER[]",
    "clock": 'STRUCT("initial" INTEGER, "increment" SMALLINT)',
    "analysis": "STRUCT(eval INTEGER, mate SMALLINT, best VARCHAR, judgment STRUCT(name VARCHAR))[]",
}


def duckdb_columns(file: str) -> Work:
    """DuckDB's read_json, which is told the columns."""
    return _duckdb(file, ", columns = {" + ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items()) + "}")


def duckdb_inferred(file: str) -> Work:
    """DuckDB's read_json, which finds the columns itself."""
    return _duckdb(file, "")


def _duckdb(file: str, columns: str) -> Work:
    target = temporary_folder() / "games.parquet"
    query = f"COPY (FROM read_json('{file}', format = 'newline_delimited'{columns})) TO '{target}' (COMPRESSION zstd)"

    def work() -> int:
        with duckdb.connect() as connection:
            return int(connection.execute(query).fetchall()[0][0])

    return work


def polars_ndjson(file: str) -> Work:
    """Polars' read_ndjson, which finds the columns itself."""
    target = temporary_folder() / "games.parquet"

    def work() -> int:
        rows = pl.read_ndjson(file, infer_schema_length=None)
        rows.write_parquet(target, compression="zstd")
        return rows.height

    return work


def python_json(file: str) -> Work:
    """A loop over the lines with Python's own json."""
    return _loop(file, json.loads)


def python_orjson(file: str) -> Work:
    """The same loop with orjson."""
    return _loop(file, orjson.loads)


def _loop(file: str, loads: Callable[[bytes], dict[str, Any]]) -> Work:
    target = temporary_folder() / "games.parquet"

    def work() -> int:
        with Path(file).open("rb") as lines:
            rows = pl.DataFrame([_row(loads(line)) for line in lines], infer_schema_length=None)
        rows.write_parquet(target, compression="zstd")
        return rows.height

    return work


def _row(document: dict[str, Any]) -> dict[str, Any]:
    row = {name: document.get(name) for name in _COLUMNS if name not in ("players", "opening", "clock", "analysis")}
    opening, clock = document.get("opening") or {}, document.get("clock") or {}
    row |= {"eco": opening.get("eco"), "opening": opening.get("name"), "opening_ply": opening.get("ply")}
    row |= {"initial": clock.get("initial"), "increment": clock.get("increment")}
    for color, player in document["players"].items():
        user = player.get("user") or {}
        row |= {f"{color}_{key}": user.get(key) for key in ("id", "name", "title")}
        row |= {f"{color}_{key}": player.get(key) for key in ("rating", "ratingDiff")}
    analysis = document.get("analysis") or []
    row |= {key: [entry.get(key) for entry in analysis] for key in ("eval", "mate", "best")}
    row["judgment"] = [(entry.get("judgment") or {}).get("name") for entry in analysis]
    return row
