"""Metrics of Dagster's instance: runs and their steps, how old assets are, checks that stand as failed, the daemon."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic, time
from typing import Any

import dagster as dg
import polars as pl
from dagster import DagsterInstance, RunRecord
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from resources.lake import scan_files
from resources.table_logs import Content, TableLogs
from serving.home import open_instance

RUNS, STEPS = "ops.runs", "ops.run_steps"
FINISHED = ("success", "failure", "canceled", "lost")
WAITING = ("queued", "not_started")
WORKING = ("starting", "started", "canceling")
STEP_STATES = ("success", "failure", "skipped", "unfinished")
BAD_STEPS = ("failure", "unfinished")
OVERLAP = timedelta(minutes=10)
"""So far before the newest change that is known each look begins: an event is stored later than it happens."""
NEWS = 200
"""Runs that a scrape reads the events of at most; the next one goes on there."""
CHECK_SECONDS = 60.0
"""So often checks are looked at, at most: it takes a second, and each event may have changed them."""
EPOCH = datetime.fromtimestamp(0, UTC)

Row = Mapping[str, Any]
_Utc = pl.Datetime("us", "UTC")
_RUNS_SCHEMA = pl.Schema(
    {"id_run": pl.String(), "val_status": pl.String(), "tm_updated": _Utc, "dt_month": pl.String()}
)
_STEPS_SCHEMA = pl.Schema(
    {
        "id_run": pl.String(),
        "val_step": pl.String(),
        "val_partition": pl.String(),
        "val_status": pl.String(),
        "tm_started": _Utc,
        "n_duration_ms": pl.Int64(),
        "n_rows": pl.Int64(),
        "dt_month": pl.String(),
    }
)


class Instances:
    """Dagster's instance, opened when it is needed, and anew after it could not be read."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._instance: DagsterInstance | None = None
        self._turn = Lock()

    def read(self, ask: Callable[[DagsterInstance], Iterable[Metric]]) -> list[Metric]:
        """What the instance answers; whatever goes wrong comes out, and the next call opens it again."""
        with self._turn:
            instance = self._instance = self._instance or open_instance(self._home)
        try:
            return list(ask(instance))
        except Exception:
            self._instance = None
            raise


@dataclass(frozen=True)
class Questions:
    """What the graph's own code answers."""

    changed: Callable[[DagsterInstance, datetime], Iterator[Sequence[RunRecord]]]
    """Runs that changed since, oldest change first."""
    rows_of: Callable[[DagsterInstance, RunRecord], tuple[Row, Sequence[Row]]]
    """A run's row of ops.runs, and those of ops.run_steps."""
    is_killed: Callable[[DagsterInstance, RunRecord], bool]
    """Whether the process that works on it is dead."""
    failed: Callable[[DagsterInstance, Sequence[dg.AssetCheckSpec]], Iterator[tuple[dg.AssetCheckSpec, str]]]
    """Checks whose newest result is a failure, with the months in which it is."""
    followed: Callable[[], Collection[str]]
    """Who is followed."""


@dataclass
class _Sums:
    """What finished runs add up to, by step; and the newest state of each step and month."""

    runs: Counter[str] = field(default_factory=Counter)
    steps: pl.DataFrame = field(default_factory=lambda: _totals(_STEPS_SCHEMA.to_frame().lazy()))
    newest: pl.DataFrame = field(default_factory=lambda: _newest(_STEPS_SCHEMA.to_frame().lazy()))
    known: set[str] = field(default_factory=set)
    """Finished runs that a look at the instance may meet again."""
    until: datetime = EPOCH


class Runs:
    """All runs: those of the table ops.runs, which forgets none, and those that the instance has beyond it."""

    def __init__(self, logs: TableLogs, questions: Questions) -> None:
        self._logs, self._ask = logs, questions
        self._content: Content | None = None
        self._kept = _Sums()
        self._news: dict[str, tuple[datetime, Row, Sequence[Row]]] = {}
        self._seen = EPOCH

    def read(self, instance: DagsterInstance) -> Iterator[Metric]:
        """Finished runs and their steps as counters; of the others how many, how old, and which are dead."""
        self._read_kept()
        self._read_news(instance)
        yield from self._finished()
        unfinished = instance.get_run_records(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus(one.upper()) for one in (*WAITING, *WORKING)])
        )
        yield from _unfinished(unfinished, sum(self._ask.is_killed(instance, one) for one in unfinished))

    def _read_kept(self) -> None:
        content = self._logs.look(RUNS)
        if content is self._content:
            return
        steps = self._logs.look(STEPS)  # they are stored before their runs
        self._kept = _sums(list(content.files) if content else [], list(steps.files) if steps else [])
        present = _ids(list(content.files) if content else [], list(self._news))
        self._news = {one: news for one, news in self._news.items() if one not in present}
        self._content = content

    def _read_news(self, instance: DagsterInstance) -> None:
        left = NEWS
        for batch in self._ask.changed(instance, max(self._kept.until, self._seen) - OVERLAP):
            for record in batch:
                changed, run = record.update_timestamp.replace(tzinfo=UTC), record.dagster_run
                before = self._news.get(run.run_id)
                if run.is_finished and run.run_id not in self._kept.known and (before is None or before[0] != changed):
                    if not left:
                        return
                    self._news[run.run_id] = (changed, *self._ask.rows_of(instance, record))
                    left -= 1
                self._seen = max(self._seen, changed)

    def _finished(self) -> Iterator[Metric]:
        runs = self._kept.runs + Counter(row["val_status"] for _, row, _ in self._news.values())
        rows = [row for *_, steps in self._news.values() for row in steps]
        fresh = pl.LazyFrame(rows, _STEPS_SCHEMA, orient="row")
        steps = _summed(pl.concat([self._kept.steps, _totals(fresh)]))
        newest = _last(pl.concat([self._kept.newest, _newest(fresh)]))

        finished = CounterMetricFamily("kshift_runs_finished", "Runs that are over, by status", labels=["status"])
        for status in FINISHED:
            finished.add_metric([status], runs[status])
        ended = CounterMetricFamily(
            "kshift_steps", "Steps of runs that are over; unfinished: killed with their run", labels=["step", "status"]
        )
        took = SummaryMetricFamily("kshift_step_duration_seconds", "From a step's start to its end", labels=["step"])
        made = CounterMetricFamily("kshift_step_rows", "Rows of what a step made, each time anew", labels=["step"])
        for step, group in steps.group_by("val_step", maintain_order=True):
            counted = dict(group.select("val_status", "n_steps").iter_rows())
            for status in STEP_STATES:
                ended.add_metric([*_shown(step), status], counted.get(status, 0))
            took.add_metric(_shown(step), int(group["n_timed"].sum()), int(group["n_duration_ms"].sum()) / 1000)
            made.add_metric(_shown(step), int(group["n_rows"].sum()))
        failing = GaugeMetricFamily(
            "kshift_failing_steps",
            "Months for which the newest run of a step failed or was killed; 1 for a step without months",
            labels=["step"],
        )
        for step, group in newest.group_by("val_step", maintain_order=True):
            failing.add_metric(_shown(step), int(group["val_status"].is_in(BAD_STEPS).sum()))
        yield from (finished, ended, took, made, failing)


def _shown(step: tuple[Any, ...]) -> list[str]:
    return [str(step[0]).replace("__", "/")]


def _sums(runs: list[str], steps: list[str]) -> _Sums:
    over = scan_files(runs, _RUNS_SCHEMA).filter(pl.col("val_status").is_in(FINISHED)).collect()
    if over.is_empty():
        return _Sums()
    statuses = dict(over["val_status"].value_counts().iter_rows())
    until = over["tm_updated"].max()
    assert isinstance(until, datetime)  # noqa: S101  # there are rows, and none without
    near = over.filter(pl.col("tm_updated") >= until - 2 * OVERLAP)
    ended = scan_files(steps, _STEPS_SCHEMA).join(over.lazy().select("id_run"), on="id_run", how="semi")
    return _Sums(Counter(statuses), _totals(ended), _newest(ended), set(near["id_run"]), until)


def _ids(runs: list[str], wanted: list[str]) -> set[str]:
    over = scan_files(runs, _RUNS_SCHEMA).filter(pl.col("val_status").is_in(FINISHED), pl.col("id_run").is_in(wanted))
    return set(over.select("id_run").collect()["id_run"])


def _totals(steps: pl.LazyFrame) -> pl.DataFrame:
    numbers = steps.select(
        "val_step", "val_status", "n_duration_ms", "n_rows", n_steps=1, n_timed=pl.col("n_duration_ms").is_not_null()
    )
    return _summed(numbers.collect())


def _summed(numbers: pl.DataFrame) -> pl.DataFrame:
    sums = pl.col("n_steps", "n_timed", "n_duration_ms", "n_rows").cast(pl.Int64).sum()
    return numbers.group_by("val_step", "val_status").agg(sums).sort("val_step", "val_status")


def _newest(steps: pl.LazyFrame) -> pl.DataFrame:
    return _last(steps.select("val_step", "val_partition", "val_status", "tm_started").collect())


def _last(steps: pl.DataFrame) -> pl.DataFrame:
    # A step that was skipped did not try.
    tried = steps.filter(pl.col("val_status") != "skipped").sort("tm_started", nulls_last=False)
    return tried.group_by("val_step", "val_partition").last().sort("val_step", "val_partition")


def _unfinished(records: Sequence[RunRecord], n_killed: int) -> Iterator[Metric]:
    now = time()
    statuses = Counter(record.dagster_run.status.value.lower() for record in records)
    present = GaugeMetricFamily("kshift_unfinished_runs", "Runs that are not over, by status", labels=["status"])
    for status in (*WAITING, *WORKING):
        present.add_metric([status], statuses[status])
    age = GaugeMetricFamily(
        "kshift_oldest_run_age_seconds",
        "Since when the oldest run works, or waits to begin; 0 if there is none",
        labels=["state"],
    )
    for state, among in (("waiting", WAITING), ("working", WORKING)):
        began = [
            record.start_time or record.create_timestamp.replace(tzinfo=UTC).timestamp()
            for record in records
            if record.dagster_run.status.value.lower() in among
        ]
        age.add_metric([state], max(0.0, now - min(began, default=now)))
    killed = GaugeMetricFamily("kshift_killed_runs", "Runs that are not over although their process is dead")
    killed.add_metric([], n_killed)
    yield from (present, age, killed)


def assets(
    instance: DagsterInstance, keys: Sequence[dg.AssetKey], promises: Mapping[dg.AssetKey, timedelta]
) -> Iterator[Metric]:
    """When each asset was made last, and how old those may get that promise freshness."""
    made = GaugeMetricFamily(
        "kshift_asset_materialized_timestamp_seconds", "When an asset was made last, any month of it", labels=["asset"]
    )
    for record in instance.get_asset_records(keys):
        if last := record.asset_entry.last_materialization:
            made.add_metric([record.asset_entry.asset_key.to_user_string()], last.timestamp)
    limit = GaugeMetricFamily(
        "kshift_asset_freshness_limit_seconds", "How old an asset may get that promises freshness", labels=["asset"]
    )
    for key, age in promises.items():
        limit.add_metric([key.to_user_string()], age.total_seconds())
    yield from (made, limit)


class Checks:
    """Checks whose newest result is a failure; looked at when there are new events, once a minute at most."""

    def __init__(
        self,
        checks: Sequence[dg.AssetCheckSpec],
        failed: Callable[[DagsterInstance, Sequence[dg.AssetCheckSpec]], Iterator[tuple[dg.AssetCheckSpec, str]]],
    ) -> None:
        self._checks, self._ask = checks, failed
        self._event: int | None = -1
        self._looked = 0.0
        self._failed: dict[dg.AssetCheckKey, int] = {}

    def read(self, instance: DagsterInstance) -> Iterator[Metric]:
        """For each check in how many months it fails."""
        newest = instance.event_log_storage.get_maximum_record_id()
        if newest != self._event and (self._event == -1 or monotonic() - self._looked >= CHECK_SECONDS):
            found = self._ask(instance, self._checks)
            self._failed = {spec.key: len(months.split(", ")) for spec, months in found}
            self._event, self._looked = newest, monotonic()
        family = GaugeMetricFamily(
            "kshift_failed_checks",
            "Months in which the newest result of a check is a failure; 1 for a check without months",
            labels=["asset", "check", "blocking"],
        )
        for spec in self._checks:
            labels = [spec.asset_key.to_user_string(), spec.name, str(spec.blocking).lower()]
            family.add_metric(labels, self._failed.get(spec.key, 0))
        yield family


def daemon(instance: DagsterInstance, silent: timedelta) -> Iterator[Metric]:
    """When each part of the daemon gave a sign of life, and how long it may be silent."""
    limit = GaugeMetricFamily(
        "kshift_daemon_silence_limit_seconds", "How long the daemon may be silent; 0 where none is meant to run"
    )
    limit.add_metric([], silent.total_seconds())
    beat = GaugeMetricFamily(
        "kshift_daemon_heartbeat_timestamp_seconds",
        "When a part of Dagster's daemon gave a sign of life last; 0 if it never did",
        labels=["daemon"],
    )
    beats = {name: one.timestamp for name, one in instance.get_daemon_heartbeats().items()}
    for name in sorted(instance.get_required_daemon_types()):
        beat.add_metric([name.lower()], beats.get(name, 0.0))
    yield from (limit, beat)
