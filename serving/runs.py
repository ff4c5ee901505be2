"""The newest runs for the terminal: from Dagster's instance, and from the published history where that has no more."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serving.sql import ask, connect

FAILED = ("failure", "canceled", "lost")
STYLES = {"success": "green", "started": "cyan", **dict.fromkeys(FAILED, "red")}
SHOWN = (
    *("id_run", "val_assets", "val_partition", "val_launcher", "val_status", "tm_created", "tm_started", "tm_ended"),
    *("n_duration_ms", "n_rows", "n_bytes", "val_step_failed", "val_error", "n_checks_failed", "val_version"),
)

Row = Mapping[str, Any]


def published_runs(database: Path, lake: str, *, last: int, failed: bool) -> list[Row]:
    """The newest runs of the published ops.runs; none where nothing is published, or by a version without it."""
    if not database.exists():
        return []
    with connect(database, [lake]) as connection:
        tables = ask(connection, "SELECT count(*) FROM duckdb_views() WHERE schema_name = 'ops' AND view_name = 'runs'")
        if next(iter(tables.rows)) == (0,):
            return []
        only = f"WHERE val_status IN {FAILED}" if failed else ""
        found = ask(
            connection,
            f"SELECT {', '.join(SHOWN)} FROM ops.runs {only} ORDER BY tm_created DESC LIMIT {last}",  # noqa: S608  # our own names, and a number
        )
        return [dict(zip(SHOWN, row, strict=True)) for row in found.rows]


def newest(present: Sequence[Row], past: Sequence[Row], last: int) -> list[Row]:
    """The newest runs of both, newest first; what the instance says of a run counts."""
    runs = {row["id_run"]: row for row in (*past, *present)}
    return sorted(runs.values(), key=lambda row: row["tm_created"], reverse=True)[:last]


def as_json(runs: Sequence[Row]) -> str:
    """The runs as a JSON list."""
    return json.dumps([{name: row[name] for name in SHOWN} for row in runs], indent=1, default=datetime.isoformat)


def write_table(runs: Sequence[Row], n_past: int, console: Console) -> None:
    """Print the runs for people; `n_past` of them are known from the published history only."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("created UTC", "took", "state", "what", "month", "rows", "by", "run"):
        is_text = name == "what"
        table.add_column(
            name,
            justify="right" if name in ("took", "rows") else "left",
            no_wrap=not is_text,
            min_width=20 if is_text else None,
        )
    for row in runs:
        table.add_row(
            f"{row['tm_created']:%Y-%m-%d %H:%M:%S}",
            "" if row["n_duration_ms"] is None else f"{row['n_duration_ms'] / 1000:,.1f} s",
            f"[{STYLES.get(row['val_status'], 'yellow')}]{row['val_status']}[/]",
            escape(_few(row["val_assets"].split(", "))),
            row["val_partition"] or "",
            f"{row['n_rows']:,}",
            escape(row["val_launcher"]),
            row["id_run"][:8],
        )
    console.print(table)
    for row in runs:
        if row["val_error"]:
            step = row["val_step_failed"] or row["val_assets"]
            console.print(f"[red]{row['id_run'][:8]}[/] {escape(f'{step}: ' + row['val_error'])}", soft_wrap=True)
    past = f", {n_past} from the published ops.runs" if n_past else ""
    console.print(f"{len(runs) - n_past} runs from Dagster's instance{past}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if names[2:] else "")
