"""The commands about published snapshots: list, compare, pin, put back."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from resources.settings import load_settings

if TYPE_CHECKING:  # Dagster, which it needs, takes a second to import
    from resources.snapshots import Snapshots

app = typer.Typer()
console = Console()


def _snapshots() -> "Snapshots":
    from resources.snapshots import Snapshots

    return Snapshots(folder=str(load_settings().published))


@app.command()
def snapshots(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """The published snapshots, newest first."""
    from serving.history import kept, write_kept

    found = kept(_snapshots())
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))  # noqa: T201  # the command's answer
    else:
        write_kept(found, console)


Snapshot = Annotated[str, typer.Argument(metavar="ID", help="A snapshot: its id, how that begins, or `latest`.")]


@app.command()
def rollback(snapshot: Snapshot) -> None:
    """Make an older snapshot the latest, at once, until the next one is published."""
    found = _snapshots()
    chosen = found.find(snapshot)
    with found.turn():
        found.point_to(chosen)
    console.print(f"Consumers now read {chosen}, until the next snapshot passes its checks.", soft_wrap=True)


@app.command()
def pin(
    snapshot: Snapshot, reason: Annotated[str, typer.Option("--because", help="Why it is kept, for others.")] = ""
) -> None:
    """Keep a snapshot for ever, with every file that it names."""
    found = _snapshots()
    found.find(snapshot)  # taking a turn leaves a trace
    with found.turn():  # else retention might be removing it
        found.pin(chosen := found.find(snapshot), reason)
    console.print(f"{chosen} is kept for ever.")


@app.command()
def unpin(snapshot: Snapshot) -> None:
    """Let a pinned snapshot go the way of all others."""
    found = _snapshots()
    found.unpin(chosen := found.find(snapshot))
    console.print(f"{chosen} is kept as long as others are.")


@app.command()
def diff(
    before: Snapshot,
    after: Snapshot,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Rows added, changed and removed in each table, from one snapshot to another."""
    from serving.history import differences, write_differences

    found = _snapshots()
    told = differences(found, found.find(before), found.find(after))
    if as_json:
        print(json.dumps([asdict(one) for one in told], indent=1))  # noqa: T201  # the command's answer
    else:
        write_differences(told, console)
