"""Retention as an asset: what the rules in the settings remove, what they removed, and the order of it."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.ops.documents import old_documents, old_versions
from kshift_assets.ops.history import FINISHED
from kshift_assets.ops.tables import RUNS
from kshift_assets.reporting import AT_HOME, OPTIONAL, OWNER, code_reference_of
from kshift_assets.tables import polars_schema
from resources.errors import UserError
from resources.lake import Lake
from resources.retention import Expired, Rules, old_downloads, old_logs, old_quarantine, old_snapshots
from resources.snapshots import Snapshots

RETENTION_KEY = dg.AssetKey(["ops", "retention"])


def expired(lake: Lake, snapshots: Snapshots, rules: Rules, now: datetime | None = None) -> list[Expired]:
    """Everything that the rules remove at this moment."""
    return list(_expired(lake, snapshots, rules, now or datetime.now(UTC)))


def remove(found: Sequence[Expired], snapshots: Snapshots) -> None:
    """Remove it. Raises UserError, with nothing removed, while a backup is under way."""
    with snapshots.removals(0) as may_remove:
        if not may_remove:
            raise UserError("a backup or an upkeep is under way, for which everything has to stay: try again later")
        for one in found:
            one.remove()


def metadata_of(found: Sequence[Expired], verb: str) -> dict[str, dg.MetadataValue | int]:
    """What was found, as the asset shows it."""
    lines = [f"| {one.rule} | {one.what} | {one.files} | {one.rows} | {one.n_bytes} | {one.why} |" for one in found]
    header = "| rule | what | files | rows | bytes | why |\n|---|---|---|---|---|---|"
    return {
        f"{verb} things": len(found),
        f"{verb} rows": sum(one.rows for one in found),
        f"{verb} bytes": sum(one.n_bytes for one in found),
        verb: dg.MetadataValue.md("\n".join([header, *lines])),
    }


def _expired(lake: Lake, snapshots: Snapshots, rules: Rules, now: datetime) -> Iterator[Expired]:
    def finished(before: datetime) -> Collection[str]:
        over = pl.col("val_status").is_in(FINISHED) & (pl.col("tm_ended") < before)
        runs = lake.scan(RUNS.full_name, polars_schema(RUNS.model)).filter(over).select("id_run").collect()
        return set(runs.to_series())

    yield from old_documents(lake, rules, now)
    yield from old_versions(lake, rules, now)
    yield from old_snapshots(snapshots, rules.snapshots, now)
    yield from old_logs(rules, finished, now)
    yield from old_downloads(rules, lake.months(DUMP_GAMES.full_name), now)
    yield from old_quarantine(rules, now)


@dg.asset(
    key=RETENTION_KEY,
    group_name="ops",
    kinds={"python", "deltalake"},
    owners=[OWNER],
    tags={"layer": "ops", **OPTIONAL},
    op_tags=AT_HOME,  # only there lie the files
    metadata=code_reference_of(expired, "ops/retention"),
    code_version="1",
)
def retention(lake: Lake, snapshots: Snapshots, rules: Rules) -> dg.MaterializeResult[None]:
    """What the retention rules of the settings would remove now; `kshift retain --apply` does it, and tells it here."""
    return dg.MaterializeResult(metadata=metadata_of(expired(lake, snapshots, rules), "would go"))
