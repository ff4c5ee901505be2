"""Published snapshots as people handle them: which there are, and what changed from one to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resources.lake import parquet_sql
from resources.snapshots import DATABASE, Snapshots

LONGEST_KEY = 6
"""So many columns at most tell a row from all others."""


@dataclass(frozen=True)
class Kept:
    """A snapshot that is there; `pinned` is the reason if it is kept for ever."""

    snapshot: str
    published: str
    tables: int
    rows: int
    is_latest: bool
    pinned: str | None


@dataclass(frozen=True)
class Difference:
    """Rows of a table that came, changed and went from one snapshot to another.

    `key`: the columns by which rows are the same; without one a changed row is one that went and one that came.
    `columns`: those that only one of the two has, with + or -.
    """

    table: str
    added: int
    changed: int
    removed: int
    key: Sequence[str]
    columns: Sequence[str]


def kept(snapshots: Snapshots) -> list[Kept]:
    """All snapshots, newest first."""
    pinned, latest = snapshots.pinned(), (snapshots.latest() or {}).get("snapshot")
    found = []
    for one in reversed(snapshots.ids()):
        catalog = snapshots.catalog(one)
        rows = sum(table["rows"] or 0 for table in catalog["tables"].values())
        found.append(Kept(one, catalog["published"], len(catalog["tables"]), rows, one == latest, pinned.get(one)))
    return found


def write_kept(found: Sequence[Kept], console: Console) -> None:
    """Print the snapshots for people."""
    if not found:
        console.print("nothing is published yet")
        return
    table = Table(box=SIMPLE_HEAD)
    for name in ("snapshot", "published UTC", "tables", "rows", ""):
        table.add_column(name, justify="right" if name in {"tables", "rows"} else "left", no_wrap=True)
    for one in found:
        marks = ["[green]latest[/]"] if one.is_latest else []
        if one.pinned is not None:
            marks.append("pinned" + (f": {escape(one.pinned)}" if one.pinned else ""))
        table.add_row(
            one.snapshot, one.published[:19].replace("T", " "), str(one.tables), f"{one.rows:,}", ", ".join(marks)
        )
    console.print(table)


def differences(snapshots: Snapshots, before: str, after: str) -> list[Difference]:
    """What changed in each table that both, or one, of two snapshots have; views show what their tables do.

    Only files that one of the two lacks are read: the rows of the others are the same.
    """
    left, right = (snapshots.catalog(one)["tables"] for one in (before, after))
    found = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, one in (("before", before), ("after", after)):
            path = str(snapshots.folder_of(one) / DATABASE).replace("'", "''")
            connection.execute(f"ATTACH '{path}' AS snapshot_{name} (READ_ONLY)")
        for table in sorted(left.keys() | right.keys()):
            sides = left.get(table), right.get(table)
            if all(side is None or side["rows"] is None for side in sides):
                continue
            found.append(_difference(connection, table, *sides))
    return found


def write_differences(found: Sequence[Difference], console: Console) -> None:
    """Print for people what changed; tables in which nothing did are counted only."""
    told = [one for one in found if one.added or one.changed or one.removed or one.columns]
    if told:
        table = Table(box=SIMPLE_HEAD)
        for name in ("table", "added", "changed", "removed", "columns"):
            table.add_column(name, justify="left" if name in {"table", "columns"} else "right")
        for one in told:
            numbers = (f"{number:,}" for number in (one.added, one.changed, one.removed))
            table.add_row(one.table, *numbers, ", ".join(one.columns))
        console.print(table)
    console.print(f"{len(found) - len(told)} tables are the same.")


def _difference(
    connection: duckdb.DuckDBPyConnection, table: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Difference:
    columns = [set(side["schema"]) if side else set() for side in (before, after)]
    news = [f"-{name}" for name in sorted(columns[0] - columns[1])] if after else []
    news += [f"+{name}" for name in sorted(columns[1] - columns[0])] if before else []
    if before is None or after is None:
        gone, come = before or {"rows": 0}, after or {"rows": 0}
        return Difference(table, come["rows"], 0, gone["rows"], (), news)
    same = set(before["files"]) & set(after["files"])
    shared = [name for name in after["schema"] if name in before["schema"]]
    for side, name in ((before, "before"), (after, "after")):
        schema = pl.DataFrame(
            connection.sql(f"FROM snapshot_{name}.{table} LIMIT 0").to_arrow_table()
        ).schema  # our own names
        files = [file for file in side["files"] if file not in same]
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW side_{name} AS SELECT {', '.join(shared)} FROM {parquet_sql(files, schema)}"  # noqa: S608  # the same
        )
    key = _key(connection, shared)
    return Difference(table, *_counts(connection, key or shared, shared), key, news)


def _key(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> list[str]:
    """The fewest first columns that no two rows of a side share: tables begin with what names their rows."""
    for length in range(1, min(LONGEST_KEY, len(columns)) + 1):
        names = _fingerprint(columns[:length])
        query = " AND ".join(
            f"(SELECT count(*) = count(DISTINCT {names}) FROM side_{name})"  # noqa: S608  # our own names
            for name in ("before", "after")
        )
        if connection.sql(f"SELECT {query}").fetchall()[0][0]:
            return list(columns[:length])
    return []


def _counts(connection: duckdb.DuckDBPyConnection, key: Sequence[str], columns: Sequence[str]) -> tuple[int, int, int]:
    """Rows that came, changed and went, compared by 64-bit hashes; of equal rows each side may have several."""
    before, after = (
        f"SELECT {_fingerprint(key)} AS key, any_value({_fingerprint(columns)}) AS row, count(*) AS number "  # noqa: S608  # our own names
        f"FROM side_{name} GROUP BY key"
        for name in ("before", "after")
    )
    more = "coalesce(sum(greatest(coalesce({}.number, 0) - coalesce({}.number, 0), 0)), 0)"
    added, changed, removed = connection.sql(
        f"SELECT {more.format('after', 'before')}, count(*) FILTER (before.row <> after.row), "  # noqa: S608  # the same
        f"{more.format('before', 'after')} FROM ({before}) AS before FULL JOIN ({after}) AS after USING (key)"
    ).fetchall()[0]
    return int(added), int(changed), int(removed)


def _fingerprint(columns: Sequence[str]) -> str:
    """SQL for a number that stands for what these columns hold; by way of JSON, since a hash takes [] for NULL."""
    return f"hash(to_json(row({', '.join(columns)})))"
