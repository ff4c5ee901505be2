"""SQL over the published snapshot, read-only: exactly one query, nothing else reachable than the published files."""

import csv
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import duckdb
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from resources.errors import UserError
from resources.object_store import let_read

FORMATS = ("table", "csv", "json")
FETCH_ROWS = 10_000
TABLE_ROWS = 1_000
WIDEST = 10_000
NUMBERS = int | float | Decimal
# What a spreadsheet would take for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Answer:
    """Column names and rows, which are fetched while they are read."""

    columns: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


def connect(database: Path, folders: Sequence[str]) -> duckdb.DuckDBPyConnection:
    """Open a published database for reading; queries reach the files below `folders` and nothing else."""
    if not database.exists():
        raise UserError(f"nothing is published in {database.parent} yet: run `kshift demo` or `kshift ingest` first")
    connection = duckdb.connect(str(database), read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    let_read(connection, folders)
    connection.execute("SET allowed_directories = " + str([folder.rstrip("/") + "/" for folder in folders]))
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> Answer:
    """Run one query; UserError with DuckDB's own words if it is none, or more than one statement."""
    try:
        statements = connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type not in (
            duckdb.StatementType.SELECT,
            duckdb.StatementType.EXPLAIN,
        ):
            raise UserError(
                'give exactly one query, such as "SELECT count(*) FROM chess.games": the published data are read-only'
            )
        found = connection.execute(statements[0])
    except duckdb.Error as error:
        raise UserError(str(error).strip()) from error
    columns = [column[0] for column in found.description or ()]

    def rows() -> Iterator[tuple[Any, ...]]:
        try:
            while chunk := found.fetchmany(FETCH_ROWS):
                yield from chunk
        except duckdb.Error as error:
            raise UserError(str(error).strip()) from error

    return Answer(columns, rows())


def write(answer: Answer, form: str, out: IO[str] | None = None) -> None:
    """Print an answer as a table for people, as CSV, or as JSON, one array of objects."""
    out = out or sys.stdout
    match form:
        case "csv":
            _write_csv(answer, out)
        case "json":
            _write_json(answer, out)
        case _:
            _write_table(answer, out)


def _write_csv(answer: Answer, out: IO[str]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([_unformula(value) for value in row])


def _write_json(answer: Answer, out: IO[str]) -> None:
    out.write("[")
    for number, row in enumerate(answer.rows):
        record = dict(zip(answer.columns, row, strict=True))
        out.write((",\n " if number else "\n ") + orjson.dumps(record, default=str).decode())
    out.write("\n]\n")


def _write_table(answer: Answer, out: IO[str]) -> None:
    rows = list(itertools.islice(answer.rows, TABLE_ROWS))
    cut = next(answer.rows, None) is not None
    console = Console(file=out)
    table = Table(box=SIMPLE_HEAD)
    for number, name in enumerate(answer.columns):
        is_number = all(isinstance(row[number], NUMBERS | None) for row in rows)
        table.add_column(escape(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_shown, row))
    needed = Measurement.get(console, console.options.update(width=WIDEST), table)
    if not console.is_terminal:
        console.width = max(console.width, min(needed.maximum, WIDEST))
    if needed.minimum > console.width:
        _write_records(answer.columns, rows, console)
    else:
        console.print(table)
    if cut:
        console.print(f"Only the first {TABLE_ROWS:,} rows are shown: --format csv gives all.")


def _write_records(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], console: Console) -> None:
    """One line for each value, where a line for each row does not fit."""
    for number, row in enumerate(rows, 1):
        record = Table(box=None, title=f"row {number}", title_justify="left", show_header=False)
        for name, value in zip(columns, row, strict=True):
            record.add_row(f"[bold]{escape(name)}[/]", _shown(value))
        console.print(record, "")


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case float():
            return f"{round(value, 4)}"
        case _:
            return escape(_printable(str(value)))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _unformula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
