"""Upkeep of the lake as an asset, and what upkeep has to spare: files of snapshots and of months under way."""

import dagster as dg
import polars as pl

from kshift_assets.chess.dump_units import DUMP_UNITS, READER, UNITS_SCHEMA
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.reporting import AT_HOME, OPTIONAL, OWNER, code_reference_of
from resources.lake import Lake
from resources.maintenance import Maintenance
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
    )


def needed_files(lake: Lake, snapshots: Snapshots) -> set[str]:
    """Files of the lake that are needed whether or not a table has them: by snapshots, and by dumps under way."""
    catalogs = [snapshots.catalog(one) for one in snapshots.ids()]
    published = {file for catalog in catalogs for table in catalog["tables"].values() for file in table["files"]}
    return published | _staged(lake)


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
