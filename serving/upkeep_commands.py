"""The commands that keep a lake tidy: merge files, remove what is old, bring tables up to date."""

from typing import Annotated

import typer
from rich.console import Console

from resources.settings import load_settings
from serving.home import open_instance, prepare, refuse_unfinished

app = typer.Typer()
console = Console()
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]


@app.command()
def maintain(
    dry_run: DryRun = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Merge small files, and remove files that no table, no snapshot and no run needs."""
    from kshift_assets.migrations import open_lake
    from kshift_assets.ops.maintenance import upkeep
    from resources.retention import Retention
    from resources.snapshots import Snapshots
    from serving.upkeep import write_upkeep

    settings = load_settings()
    refuse_unfinished(settings)
    work = upkeep(open_lake(settings), Snapshots(folder=str(settings.published)), Retention(days=settings.keep_days))
    write_upkeep(list(work.run(dry=dry_run)), console, is_dry=dry_run)
    if work.spares:
        console.print("Nothing was removed, since a backup is under way.")


@app.command()
def retain(
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only told.")] = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Remove what is older than the settings KSHIFT_KEEP_… say; without --apply only tell what would go, and why."""
    from dagster import AssetMaterialization

    from kshift_assets.migrations import open_lake
    from kshift_assets.ops.retention import RETENTION_KEY, expired, metadata_of, remove
    from resources.retention import Rules
    from resources.snapshots import Snapshots
    from serving.upkeep import write_expired

    settings = load_settings()
    refuse_unfinished(settings)
    snapshots = Snapshots(folder=str(settings.published))
    found = expired(open_lake(settings), snapshots, Rules.of(settings))
    if apply and found:
        remove(found, snapshots)
        prepare(settings)
        with open_instance(settings.dagster_home) as instance:
            told = AssetMaterialization(RETENTION_KEY, metadata=metadata_of(found, "removed"))
            instance.report_runless_asset_event(told)
    write_expired(found, console, is_dry=not apply)
    if found and not apply:
        console.print("Nothing was removed: `kshift retain --apply` does it.")


@app.command()
def migrate(
    dry_run: DryRun = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Bring the tables of an older lake up to date; killed, it goes on where it was."""
    from filelock import FileLock

    from kshift_assets.migrations import lake_of, migrations
    from serving import migrating

    settings = load_settings()
    work = migrations(lake_of(settings))
    work.refuse_newer()
    if dry_run:
        migrating.write_plan(work, console)
        return
    prepare(settings)
    settings.state.mkdir(exist_ok=True)
    with FileLock(settings.state / "migrate.lock"):  # two at once would do the work twice, with the same end
        migrating.migrate(work, console)
