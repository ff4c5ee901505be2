"""From Dagster's events to rows: what a run and its steps did, said in plain data. Reads, writes nothing."""

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import dagster as dg
import orjson
from dagster import DagsterInstance, RunRecord
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,  # the only name under which Dagster 1.13 has it
)
from dagster._core.events.log import EventLogEntry
from dagster_shared.error import SerializableErrorInfo

from kshift_assets.liveness import TAG
from resources.redaction import redact

_Event = dg.DagsterEventType
_STEP_STATES = {
    _Event.STEP_START: "started",
    _Event.STEP_SUCCESS: "success",
    _Event.STEP_FAILURE: "failure",
    _Event.STEP_SKIPPED: "skipped",
    _Event.STEP_UP_FOR_RETRY: "up_for_retry",
}
_TOLD = {*_STEP_STATES, _Event.ASSET_MATERIALIZATION, _Event.ASSET_CHECK_EVALUATION, _Event.RUN_FAILURE}
VERSION, PYTHON = "kshift/version", "kshift/python"
LONGEST_ERROR = 1_000
_COLORS = re.compile("\x1b\\[[0-9;]*m")  # delta-rs paints its errors

Row = dict[str, Any]


@cache
def environment() -> dict[str, str]:
    """Tags of a run that say what it ran on."""
    return {VERSION: version("knightshift"), PYTHON: platform.python_version()}


@dataclass
class _Tally:
    """What the events of a step, or of a whole run, add up to."""

    assets: dict[str, None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    n_rows: int = 0
    n_bytes: int = 0
    n_checks: int = 0
    n_checks_failed: int = 0

    def add(self, event: dg.DagsterEvent) -> None:
        if event.event_type == _Event.ASSET_CHECK_EVALUATION:
            self.n_checks += 1
            self.n_checks_failed += not event.asset_check_evaluation_data.passed
        if event.event_type == _Event.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            name = made.asset_key.to_user_string()
            self.assets[name] = None
            self.n_rows += _number(made.metadata.get("rows"))
            self.n_bytes += _number(made.metadata.get("bytes"))
            if code := (made.tags or {}).get(CODE_VERSION_TAG):
                self.versions[name] = code

    def row(self) -> Row:
        return {
            "n_rows": self.n_rows,
            "n_bytes": self.n_bytes,
            "n_checks_failed": self.n_checks_failed,
            "val_code_versions": orjson.dumps(self.versions, option=orjson.OPT_SORT_KEYS).decode(),
        }


@dataclass
class _Step:
    """What is known of a step so far."""

    status: str = "started"
    started: float | None = None
    ended: float | None = None
    n_tries: int = 0
    error: str | None = None
    tally: _Tally = field(default_factory=_Tally)

    def hear(self, entry: EventLogEntry, event: dg.DagsterEvent) -> None:
        self.tally.add(event)
        state = _STEP_STATES.get(event.event_type)
        if state is None:
            return
        self.status = state
        if event.event_type == _Event.STEP_START:
            self.started, self.ended = entry.timestamp, None
            self.n_tries += 1
        elif event.event_type != _Event.STEP_UP_FOR_RETRY:
            self.ended = entry.timestamp
        self.error = sentence(event) if event.event_type == _Event.STEP_FAILURE else None


def rows_of(instance: DagsterInstance, record: RunRecord) -> tuple[Row, list[Row]]:
    """A row for ops.runs, and those for ops.run_steps."""
    run = record.dagster_run
    entries = instance.all_logs(run.run_id, of_type=_TOLD)
    created = _utc(record.create_timestamp.replace(tzinfo=UTC).timestamp())
    where = {"id_run": run.run_id, "val_partition": partition_of(run.tags), "dt_month": f"{created:%Y-%m}"}
    whole, error = _Tally(), None
    steps: dict[str, _Step] = {}
    for entry in entries:
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type == _Event.RUN_FAILURE:
            error = run_sentence(event)
        elif event.step_key:
            whole.add(event)
            steps.setdefault(event.step_key, _Step()).hear(entry, event)
    failed = [name for name, step in steps.items() if step.status == "failure"]
    row = {
        **where,
        "val_job": run.job_name,
        "val_launcher": launcher(run.tags),
        "val_assets": ", ".join(_names(run.asset_selection or ()) or whole.assets),
        "val_status": run.status.value.lower(),
        "tm_created": created,
        **_times(record.start_time, record.end_time),
        "val_step_failed": failed[0] if failed else None,
        "val_error": steps[failed[0]].error if failed else error,
        "n_steps": len(steps),
        "n_steps_failed": len(failed),
        **whole.row(),
        "val_version": run.tags.get(VERSION),
        "val_python": run.tags.get(PYTHON),
        "tm_updated": updated(record),
    }
    return row, [where | _step_row(name, step, is_over=run.is_finished) for name, step in steps.items()]


def newest_runs(instance: DagsterInstance, last: int, *, failed: bool) -> list[Row]:
    """Rows as of ops.runs for the runs that were created last, newest first; `failed`: only those that failed."""
    statuses = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED] if failed else []
    records = instance.get_run_records(dg.RunsFilter(statuses=statuses), limit=last)
    return [rows_of(instance, record)[0] for record in records]


def updated(record: RunRecord) -> datetime:
    """When Dagster last changed a run."""
    return record.update_timestamp.replace(tzinfo=UTC)


def launcher(tags: Mapping[str, str]) -> str:
    """Who launched a run, from its tags."""
    for tag, what in (("dagster/backfill", "backfill"), ("dagster/schedule_name", "schedule"), *_SENSORS):
        if tag in tags:
            return f"{what} {tags[tag]}"
    return "kshift" if TAG in tags else "web"


_SENSORS = (("dagster/sensor_name", "sensor"), ("dagster/from_automation_condition", "automation"))


def partition_of(tags: Mapping[str, str]) -> str | None:
    """The month of a run, or its months as first...last, from its tags."""
    first, last = (tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    return tags.get("dagster/partition") or (f"{first}...{last}" if first and last else None)


def sentence(event: dg.DagsterEvent) -> str:
    """Why a step failed: its own sentence where it gave one, else the first cause; without secrets."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return _clean(data.user_failure_data.description) or ""
    return _cause(data.error) or f"{event.step_key} failed"


def run_sentence(event: dg.DagsterEvent) -> str:
    """Why a run failed before any of its steps did, as when a resource refuses; without secrets."""
    # Nothing is known but the message where somebody else said so, since the process was killed.
    return _cause(getattr(event.event_specific_data, "error", None)) or _clean(event.message) or ""


def _cause(error: SerializableErrorInfo | None) -> str | None:
    while error and error.cause:
        error = error.cause
    return _clean(error.message) if error else None


def _clean(text: str | None) -> str | None:
    return redact(" ".join(_COLORS.sub("", text).split()))[:LONGEST_ERROR] if text else None


def _step_row(name: str, step: _Step, *, is_over: bool) -> Row:
    tally = step.tally
    return {
        "val_step": name,
        "val_status": "unfinished" if is_over and step.status in ("started", "up_for_retry") else step.status,
        **_times(step.started, step.ended),
        "n_tries": step.n_tries,
        "val_error": step.error,
        "val_assets": ", ".join(tally.assets),
        "n_checks": tally.n_checks,
        **tally.row(),
    }


def _times(started: float | None, ended: float | None) -> Row:
    took = None if started is None or ended is None else max(0, round((ended - started) * 1000))
    return {"tm_started": _utc(started), "tm_ended": _utc(ended), "n_duration_ms": took}


def _utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _number(value: object) -> int:
    return value.value or 0 if isinstance(value, dg.IntMetadataValue) else 0


def _names(keys: Iterable[dg.AssetKey]) -> list[str]:
    return sorted(key.to_user_string() for key in keys)
