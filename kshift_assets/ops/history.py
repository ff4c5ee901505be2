"""The assets ops/runs and ops/run_steps: the history of runs, taken from Dagster's event log as far as it changed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
from dagster import DagsterInstance, RunRecord

from kshift_assets.audit import Audit
from kshift_assets.automation import BEFORE_THE_NIGHTLY_SNAPSHOT
from kshift_assets.ops.events import Row, rows_of, updated
from kshift_assets.ops.tables import RUN_STEPS, RUNS
from kshift_assets.reporting import (
    CARRIED,
    OWNER,
    AuditFailed,
    Finding,
    Report,
    Table,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import polars_schema, summary
from resources.lake import Lake

OVERLAP = timedelta(minutes=10)
"""So far before the newest change that is known each look begins: an event is stored later than it happens."""
BATCH = 500
"""Runs of one commit."""
FINISHED = ("success", "failure", "canceled", "lost")
SECOND = timedelta(seconds=1)
EPOCH = datetime.fromtimestamp(0, UTC)


class Refused(Exception):
    """Rows of one of the tables break a rule: nothing of that month was written."""

    def __init__(self, table: Table, finding: Finding) -> None:
        super().__init__(finding.text)
        self.table, self.finding = table, finding


def note_runs(lake: Lake, instance: DagsterInstance) -> int:
    """Bring both tables up to date with the instance; gives the number of runs that are new or changed.

    Read are runs that Dagster changed since the last time, and those that were not over then. What is killed in
    between is caught up on: the steps are stored before their runs, whose newest change is where the next look begins.
    """
    known = _known(lake)
    unfinished = [row["id_run"] for row in known.values() if row["val_status"] not in FINISHED]
    newest = max((row["tm_updated"] for row in known.values()), default=EPOCH)
    told: set[str] = set()
    for batch in changed(instance, newest - OVERLAP if known else EPOCH, unfinished):
        fresh = [record for record in batch if _is_news(record, known) and record.dagster_run.run_id not in told]
        told |= {record.dagster_run.run_id for record in fresh}
        _store(lake, [rows_of(instance, record) for record in fresh])
    lost = [known[one] for one in unfinished if one not in told and not instance.has_run(one)]
    _store(lake, [(row | {"val_status": "lost"}, []) for row in lost])
    return len(told) + len(lost)


def _known(lake: Lake) -> dict[str, Row]:
    """What is stored of the runs that the next look may meet again: the newest ones, and those that were not over."""
    schema = polars_schema(RUNS.model)
    runs = lake.scan(RUNS.full_name, schema)
    horizon = pl.col("tm_updated").max() - 2 * OVERLAP
    met_again = runs.filter((pl.col("tm_updated") >= horizon) | ~pl.col("val_status").is_in(FINISHED)).collect()
    return {row["id_run"]: row for row in met_again.iter_rows(named=True)}


def changed(
    instance: DagsterInstance, after: datetime, unfinished: Sequence[str] = ()
) -> Iterator[Sequence[RunRecord]]:
    """Runs that changed since, oldest change first; then those that were not over, whose steps go on meanwhile."""
    limit = BATCH
    while True:
        wanted = dg.RunsFilter(updated_after=after)
        batch = instance.get_run_records(wanted, limit=limit, order_by="update_timestamp", ascending=True)
        yield batch
        if len(batch) < limit:
            break
        # SQLite has whole seconds of runs that have not begun: those of the last one may not all be in the batch.
        is_stuck = updated(batch[-1]) - SECOND <= after
        after, limit = (after, 2 * limit) if is_stuck else (updated(batch[-1]) - SECOND, BATCH)
    for first in range(0, len(unfinished), BATCH):
        yield instance.get_run_records(dg.RunsFilter(run_ids=list(unfinished[first : first + BATCH])))


def _is_news(record: RunRecord, known: dict[str, Row]) -> bool:
    row = known.get(record.dagster_run.run_id)
    return row is None or row["val_status"] not in FINISHED or row["tm_updated"] != updated(record)


def _store(lake: Lake, found: Sequence[tuple[Row, list[Row]]]) -> None:
    """Put runs into the place of what was known of them, month by month."""
    for month in sorted({row["dt_month"] for row, _ in found}):
        runs = [(row, steps) for row, steps in found if row["dt_month"] == month]
        ids = [row["id_run"] for row, _ in runs]
        # A lost run's steps are what they were.
        with_steps = [row["id_run"] for row, _ in runs if row["val_status"] != "lost"]
        _merge(lake, RUN_STEPS, month, with_steps, [step for _, steps in runs for step in steps])
        _merge(lake, RUNS, month, ids, [row for row, _ in runs])


def _merge(lake: Lake, table: Table, month: str, ids: Sequence[str], rows: Sequence[Row]) -> None:
    schema = polars_schema(table.model)

    def frames() -> Iterator[pl.DataFrame]:
        before = lake.scan(table.full_name, schema, month).filter(~pl.col("id_run").is_in(ids)).collect()
        yield pl.concat([before, pl.DataFrame(rows, schema, orient="row")]).sort("tm_started", "id_run")

    try:
        lake.overwrite(table.full_name, lambda: Audit(table.model).watch(frames()), schema, month)
    except AuditFailed as failed:
        raise Refused(table, failed.finding) from failed


def _spec(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.key,
        group_name="ops",
        description=summary(table.model),
        kinds={"python", "dagster", "deltalake"},
        owners=[OWNER],
        tags={"layer": "ops", **CARRIED},
        metadata=table_metadata(table, note_runs),
        code_version="1",
        automation_condition=BEFORE_THE_NIGHTLY_SNAPSHOT,
    )


@dg.multi_asset(
    name="run_history",
    specs=[_spec(RUNS), _spec(RUN_STEPS)],
    check_specs=[schema_check(table, blocking=False, is_whole=True) for table in (RUNS, RUN_STEPS)],
)
def run_history(context: dg.AssetExecutionContext, lake: Lake) -> Iterator[Report]:
    """Runs that are new or have changed since the last time; the run that does it is among them, as not over."""
    try:
        n_changed = note_runs(lake, context.instance)
    except Refused as refused:
        yield from refuse(refused.table.key, refused.finding)
        return
    for table in (RUNS, RUN_STEPS):
        rows = lake.n_rows(table.full_name)
        passed = Finding("schema", passed=True, metadata={"rows": rows})  # each row was held against it when it came
        yield from report(context, table.key, rows, [passed], {"changed runs": n_changed})
