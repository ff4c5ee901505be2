"""The commands that back a lakehouse up, restore it, and look whether backups are whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

from resources.disk_errors import disk_trouble
from resources.settings import load_settings
from serving.home import refuse_unfinished

if TYPE_CHECKING:  # it takes a second to import
    from resources.backup import Tell

app = typer.Typer()
console = Console()
errors = Console(stderr=True)
LONGEST = 40
"""Signs of a name that are shown."""

Target = Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix (reached by the variables AWS_…).")]
Source = Annotated[str, typer.Argument(help="The folder or s3://bucket/prefix that `kshift backup` wrote to.")]


@app.command()
def backup(
    target: Target,
    keep_days: Annotated[
        int | None, typer.Option(min=1, help="Then remove older backups; the newest stays. Without it all stay.")
    ] = None,
) -> None:
    """Back up the lake, the snapshots, Dagster's storage and the settings without secrets, while work goes on."""
    from kshift_assets.ops.maintenance import needed_files
    from resources.backup import Backup
    from resources.lake import Lake
    from resources.snapshots import Snapshots

    settings = load_settings()
    refuse_unfinished(settings)
    lake, snapshots = Lake(uri=settings.lake_uri), Snapshots(folder=str(settings.published))
    with _told("Backing up") as tell:
        done = Backup(settings, lambda: needed_files(lake, snapshots), tell).run(target, keep_days)
    manifest = done.manifest
    console.print(
        f"Backup {manifest.id}: {len(manifest.entries)} files of {_mb(manifest.n_bytes)}, "
        f"{len(manifest.tables)} tables; {done.n_new} new objects of {_mb(done.n_new_bytes)} stored.",
        soft_wrap=True,
    )
    if done.forgotten:
        console.print(f"{len(done.forgotten)} older ones are gone, {_mb(done.n_freed_bytes)} are free.")
    console.print(f"{target} holds {done.n_kept} backups in {_mb(done.n_stored_bytes)}.", soft_wrap=True)


@app.command()
def restore(
    source: Source,
    backup_id: Annotated[
        str | None, typer.Option("--backup", metavar="ID", help="Which backup, by how its id begins; else the newest.")
    ] = None,
) -> None:
    """Restore a backup into an empty KSHIFT_HOME, which may be another one; checks every byte on the way."""
    from resources.backup_restore import SETTINGS, Restore
    from resources.backup_store import BackupStore

    settings = load_settings()
    with _told("Restoring") as tell:
        manifest = Restore(BackupStore.open(source), settings, tell).run(backup_id)
    console.print(
        f"Backup {manifest.id} is in {settings.home}: {len(manifest.entries)} files of {_mb(manifest.n_bytes)}, "
        f"{len(manifest.tables)} tables, snapshot {manifest.snapshot or 'none'}.",
        soft_wrap=True,
    )
    console.print(f"The settings of then are in {settings.home / SETTINGS}; no .env was touched.", soft_wrap=True)
    for name in manifest.secrets:
        console.print(f"[yellow]Set anew, it is in no backup:[/] {name}")
    console.print("Go on with: kshift ingest")


@app.command()
def verify(source: Source) -> None:
    """Read every byte of every backup; exit code 1, with a list, if one is damaged or missing."""
    from resources.backup_restore import verify as read_all
    from resources.backup_store import BackupStore

    with _told("Reading") as tell:
        problems, number = read_all(BackupStore.open(source), tell)
    for problem in problems:
        errors.print(f"[red]damaged[/] {escape(problem)}", soft_wrap=True)
    if problems:
        errors.print(
            "Delete the damaged objects: the next `kshift backup` stores anew what is still in the lake.",
            soft_wrap=True,
        )
        raise typer.Exit(1)
    console.print(f"{number} backups in {source} are whole.", soft_wrap=True)


@contextmanager
def _told(what: str) -> "Iterator[Tell]":
    """A bar for the work in the block; what goes wrong in it ends the command with a sentence."""
    from resources.backup_cut import NeverStill
    from resources.backup_store import Damaged
    from resources.postgres_dump import PostgresFailed

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), DownloadColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=None)

            def tell(name: str, n_done: int, n_total: int) -> None:
                progress.update(task, description=f"{what} {escape(name[-LONGEST:])}", completed=n_done, total=n_total)

            yield tell
    except (NeverStill, Damaged, PostgresFailed, OSError) as error:
        if disk_trouble(error):  # told as for every command
            raise
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        errors.print(f"[red]kshift:[/] {escape(text)}", soft_wrap=True)
        raise typer.Exit(1) from None


def _mb(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
