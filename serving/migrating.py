"""What a migration of the lake will do and does, as `kshift migrate` tells it."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from resources.migrations import Migrations


def write_plan(work: Migrations, console: Console) -> None:
    """Print what would be done, table by table."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("version", "table", "what", "files", "rows", "MB"):
        table.add_column(name, justify="right" if name in {"files", "rows", "MB"} else "left")
    for one in work.pending():
        numbers = (f"{one.files:,}", f"{one.rows:,}", f"{one.n_bytes / 1e6:,.1f}")
        table.add_row(str(one.migration.number), one.change.table, ", ".join(one.steps), *numbers)
    if table.row_count:
        console.print(table)
    if work.version() == work.newest:
        console.print(f"The tables are of version {work.newest}: nothing to do.", soft_wrap=True)
    else:
        console.print(f"Version {work.version()} would become version {work.newest}.", soft_wrap=True)


def migrate(work: Migrations, console: Console) -> None:
    """Bring the lake up to date, and print what was done."""
    columns = (BarColumn(20), TextColumn("{task.completed:,} of {task.total:,} rows"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(one.rows for one in work.pending()))
        for migration in work.run(lambda rows: progress.advance(task, rows)):
            progress.console.print(f"Version {migration.number}: {migration.text}.", soft_wrap=True)
    console.print(f"The tables are of version {work.version()}.", soft_wrap=True)
