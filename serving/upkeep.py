"""What upkeep and retention did, or would do, as `kshift maintain` and `kshift retain` tell it."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resources.maintenance import Upkeep
from resources.retention import Expired


def write_expired(found: Sequence[Expired], console: Console, *, is_dry: bool) -> None:
    """Print what retention removes, a line each with its reason, and the sums."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("rule", "what", "files", "rows", "MB", "why"):
        table.add_column(name, justify="left" if name in ("rule", "what", "why") else "right", overflow="fold")
    for one in found:
        numbers = (f"{one.files:,}", f"{one.rows:,}", f"{one.n_bytes / 1e6:,.1f}")
        table.add_row(one.rule, escape(one.what), *numbers, escape(one.why))
    if found:
        console.print(table)
    rows, size = sum(one.rows for one in found), sum(one.n_bytes for one in found)
    console.print(
        f"{len(found)} things with {rows:,} rows, {size / 1e6:,.1f} MB, {'would go' if is_dry else 'are gone'}.",
        soft_wrap=True,
    )


def write_upkeep(done: Sequence[Upkeep], console: Console, *, is_dry: bool) -> None:
    """Print a line for each table where something was to do, and the sums."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("table", "files", "files after", "merged", "removed", "MB freed"):
        table.add_column(name, justify="left" if name == "table" else "right", no_wrap=True)
    for one in done:
        if one.merged or one.removed:
            numbers = (one.files_before, one.files_after, len(one.merged), one.removed)
            table.add_row(one.table, *map(str, numbers), f"{one.freed_bytes / 1e6:,.1f}")
    if table.row_count:
        console.print(table)
    removed, freed = sum(one.removed for one in done), sum(one.freed_bytes for one in done)
    go = "would go" if is_dry else "are gone"
    if rows := sum(one.rows for one in done):
        console.print(f"{rows} rows of journals {go}.")
    console.print(
        f"{len({one.table for one in done})} tables: {removed} files of {freed / 1e6:,.1f} MB {go}, "
        f"{sum(len(one.merged) for one in done)} months {'would be' if is_dry else 'are'} merged.",
        soft_wrap=True,
    )
