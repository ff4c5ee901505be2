"""Upkeep of the lake as an asset, and what upkeep has to spare: files of snapshots and of months under way."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import polars as pl

from kshift_assets.chess.dump_units import DUMP_UNITS, READER, UNITS_SCHEMA
from kshift_assets.chess.marts import MARTS
from kshift_assets.chess.marts.partial import SCHEMA as PARTIALS
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.reporting import AT_HOME, OPTIONAL, OWNER, code_reference_of
from resources.lake import Lake
from resources.maintenance import Maintenance, Upkeep
from resources.retention import Retention
from resources.snapshots import Snapshots

MAINTENANCE_KEY = dg.AssetKey(["ops", "maintenance"])


def upkeep(lake: Lake, snapshots: Snapshots, retention: Retention) -> Maintenance:
    """The upkeep of a lake: what any snapshot names stays, and so do files of dumps that are not read to their end."""
    # A file of dumped games is a unit of a dump, however small: their order is that of the dump.
    return Maintenance(
        lake,
        retention.grace,
        lambda: needed_files(lake, snapshots),
        unmerged=[DUMP_GAMES.full_name],
        removals=lambda: snapshots.removals(0),
        outdated=lambda table: table.startswith(f"{PARTIALS}.") and table not in partials(),
        chores=[lambda dry: forget_units(lake, retention.grace, dry=dry)],
    )


def partials() -> set[str]:
    """The partials that this version of the code reads. Other SQL is another table: older ones are never read again."""
    found, waiting = set[str](), [part for mart in MARTS for part in mart.parts]
    while waiting:
        part = waiting.pop()
        found.add(part.table)
        waiting += [part.base] if part.base else []
    return found


def forget_units(lake: Lake, grace: timedelta, *, dry: bool) -> Iterator[Upkeep]:
    """Journal rows of dumps that nothing needs: of another version of the reader, or of files that gave way to others.

    Rows of a dump that is not read to its end stay.
    """
    old = pl.col("tm_stored") < datetime.now(UTC) - grace
    root, n_all = f"{lake.path(DUMP_GAMES.full_name)}/", 0
    for month in lake.months(DUMP_UNITS.full_name):
        read = lake.note_of(DUMP_GAMES.full_name, month).get("sha256", "").split(",")
        files = [file.removeprefix(root) for file in lake.files(DUMP_GAMES.full_name, month)]
        gave_way = pl.col("val_file_sha256").is_in(read) & ~pl.col("val_path").is_in(files)
        stale = old & ((pl.col("val_reader") != READER) | gave_way.fill_null(value=False))
        rows = lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA, month).collect()
        if n_stale := rows.filter(stale).height:
            n_all += n_stale
            if not dry:
                lake.overwrite(DUMP_UNITS.full_name, partial(_units, lake, month, ~stale), UNITS_SCHEMA, month)
    if n_all:
        n_files = len(lake.files(DUMP_UNITS.full_name))
        yield Upkeep(DUMP_UNITS.full_name, n_files, n_files, (), 0, 0, n_all)


def needed_files(lake: Lake, snapshots: Snapshots) -> set[str]:
    """Files of the lake that are needed whether or not a table has them: by snapshots, and by dumps under way."""
    catalogs = [snapshots.catalog(one) for one in snapshots.ids()]
    published = {file for catalog in catalogs for table in catalog["tables"].values() for file in table["files"]}
    return published | _staged(lake)


def _units(lake: Lake, month: str, wanted: pl.Expr) -> list[pl.DataFrame]:
    return [lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA, month).filter(wanted).collect()]


def _staged(lake: Lake) -> set[str]:
    units = lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA).filter(pl.col("val_reader") == READER)  # others are read anew
    paths = units.select("val_path").drop_nulls().collect().get_column("val_path")
    return {f"{lake.path(DUMP_GAMES.full_name)}/{path}" for path in paths}


@dg.asset(
    key=MAINTENANCE_KEY,
    group_name="ops",
    kinds={"python", "deltalake"},
    owners=[OWNER],
    tags={"layer": "ops", **OPTIONAL},
    op_tags=AT_HOME,  # only there it is known what snapshots name
    metadata=code_reference_of(upkeep, "ops/maintenance"),
    code_version="1",
)
def maintenance(
    context: dg.AssetExecutionContext, lake: Lake, snapshots: Snapshots, retention: Retention
) -> dg.MaterializeResult[None]:
    """Small files merged, files removed that nothing needs, logs with a checkpoint: what `kshift maintain` does."""
    done = list(upkeep(lake, snapshots, retention).run())
    for one in done:
        context.log.info("%s", one)
    lines = [
        f"| {one.table} | {one.files_before} | {one.files_after} | {one.removed} | {one.freed_bytes} |" for one in done
    ]
    header = "| table | files | files after | removed | bytes freed |\n|---|---|---|---|---|"
    return dg.MaterializeResult(
        metadata={
            "rows": len(done),
            "merged months": sum(len(one.merged) for one in done),
            "removed files": sum(one.removed for one in done),
            "freed bytes": sum(one.freed_bytes for one in done),
            "tables": dg.MetadataValue.md("\n".join([header, *lines])),
        }
    )
