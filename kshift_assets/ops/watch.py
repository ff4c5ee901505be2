"""What is wrong right now, and what went wrong lately: looks at Dagster's instance, the hosts' state and the disk.

Nothing here tells anybody: sensors do, and `kshift run … --alert`.
"""

import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance

from kshift_assets import check_states
from kshift_assets.ops.events import Row, rows_of, updated
from resources.alerts import Alert, Alerts
from resources.clock import Clock, SystemClock
from resources.gate import Gate

GB = 1_000_000_000
RECOVERED_SHARE = 1.1
"""So much more than the least must be free before a disk counts as recovered: no alert for each file that goes."""
MOST_RUNS = 500

WELL = {
    "check": "it passes again",
    "stale": "it is fresh again",
    "circuit": "it answers again",
    "disk": "there is room again",
    "daemon": "the daemon gives signs of life again",
}
"""How recovery is worded, by kind."""


@dataclass(frozen=True)
class Watch:
    """What is promised, and where to look whether it is kept."""

    promised: Sequence[dg.AssetKey]
    """Assets that promise freshness."""
    checks: Sequence[dg.AssetCheckSpec]
    max_age: timedelta
    state: Path
    """Folder with the hosts' state."""
    folders: Sequence[Path]
    """Folders on whose disks there must be room."""
    least_free: float
    """Bytes."""
    silent: timedelta
    """A daemon silent for longer is reported; zero where none is meant to run."""

    def over_all(self, alerts: Alerts, instance: DagsterInstance, since: datetime) -> None:
        """Tell all that is wrong now, and the runs since then: for those who have no daemon with sensors."""
        for alert in run_alerts(instance, since)[0]:
            alerts.send(alert)
        now = datetime.now(UTC)
        alerts.observe("stale", stale(instance, self.promised, self.max_age, now), WELL["stale"])
        alerts.observe("check", failed_checks(instance, self.checks), WELL["check"])
        self.over_host(alerts, instance)

    def over_host(self, alerts: Alerts, instance: DagsterInstance) -> None:
        """Tell of circuits, disks and the daemon; also try again what could not be delivered."""
        alerts.observe("circuit", open_circuits(self.state, SystemClock()), WELL["circuit"])
        full = full_disks(self.folders, self.least_free, alerts.troubled("disk"))
        alerts.observe("disk", full, WELL["disk"])
        alerts.observe("daemon", silent_daemons(instance, self.silent, datetime.now(UTC)), WELL["daemon"])


def run_alerts(
    instance: DagsterInstance, since: datetime, before: datetime | None = None
) -> tuple[list[Alert], datetime]:
    """What runs that ended after `since`, and before, mean: oldest first; and when the newest of them changed.

    A step that failed is trouble until the same step succeeds for the same month.
    """
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    wanted = dg.RunsFilter(updated_after=since, updated_before=before, statuses=ended)
    records = instance.get_run_records(wanted, limit=MOST_RUNS, order_by="update_timestamp", ascending=True)
    alerts = [alert for record in records for alert in _of_run(*rows_of(instance, record))]
    return alerts, updated(records[-1]) if records else since


def _of_run(run: Row, steps: Sequence[Row]) -> Iterable[Alert]:
    path, since = f"/runs/{run['id_run']}", run["tm_started"] or run["tm_created"]
    whole = f"a run of {run['val_assets'] or run['val_job']}{_month(run)}"
    if run["val_status"] == "failure" and not run["n_steps_failed"]:
        yield Alert(whole, "trouble", run["val_error"] or "it ended before its steps did", "run", since, path)
    elif run["val_status"] == "success":
        yield Alert(whole, "recovered", "it succeeded", "run", since, path)
    for step in steps:
        subject = step["val_step"].replace("__", "/") + _month(step)
        if step["val_status"] == "failure":
            yield Alert(subject, "trouble", step["val_error"] or "it failed", "run", since, path)
        elif step["val_status"] == "success":
            yield Alert(subject, "recovered", "it succeeded", "run", since, path)


def _month(row: Row) -> str:
    return f" {row['val_partition']}" if row["val_partition"] else ""


def failed_checks(instance: DagsterInstance, checks: Sequence[dg.AssetCheckSpec]) -> list[Alert]:
    """Checks whose newest result, in any month, is a failure: one alert each, with its months."""
    found = []
    for spec, months in check_states.failed(instance, checks):
        name, where = spec.asset_key.to_user_string(), f" in {months}" if months else ""
        weight = "nothing made from it is published until it passes" if spec.blocking else "a warning: it stops nothing"
        text = f"the check {spec.name} failed{where}: {weight}"
        found.append(Alert(f"{name}:{spec.name}", "trouble", text, "check", path=f"/assets/{name}?view=checks"))
    return found


def stale(instance: DagsterInstance, promised: Sequence[dg.AssetKey], max_age: timedelta, now: datetime) -> list[Alert]:
    """Assets that were not made anew for longer than promised; those that were never made are not late yet."""
    found = []
    for key in promised:
        records = instance.fetch_materializations(key, limit=1).records
        made = datetime.fromtimestamp(records[0].timestamp, UTC) if records else None
        if made and now - made > max_age:
            found.append(stale_alert(key.to_user_string(), made + max_age))
    return found


def stale_alert(name: str, since: datetime | None = None) -> Alert:
    """The alert for an asset that is late."""
    text = "its freshness promise is broken: it was not made anew in time"
    return Alert(name, "trouble", text, "stale", since, f"/assets/{name}")


def open_circuits(state: Path, clock: Clock) -> list[Alert]:
    """Hosts that failed so often that they are left alone, until one of their answers is good."""
    found = []
    for file in sorted(state.glob("*_*.json")):
        host = Gate(state, file.stem, clock, 0.0).state()
        if host.pause:
            text = f"{host.failures} requests in a row failed: it is left alone, and probed once in a while"
            found.append(Alert(file.stem.rpartition("_")[0], "trouble", text, "circuit"))
    return found


def full_disks(folders: Sequence[Path], least_free: float, known: Collection[str]) -> list[Alert]:
    """Folders whose disk has less room than it must; `known`: those that were told of, and need some more."""
    found = []
    for folder in folders:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free
        least = least_free * (RECOVERED_SHARE if str(folder) in known else 1)
        if free < least:
            text = f"{free / GB:.1f} GB are free, less than {least_free / GB:g} GB"
            found.append(Alert(str(folder), "trouble", text, "disk"))
    return found


def silent_daemons(instance: DagsterInstance, silent: timedelta, now: datetime) -> list[Alert]:
    """The daemon, if it is meant to run and gave no sign of life, or parts of it that gave none."""
    if not silent:
        return []
    beats = {name: beat.timestamp for name, beat in instance.get_daemon_heartbeats().items()}
    required = set(instance.get_required_daemon_types())
    last = {name: datetime.fromtimestamp(beats[name], UTC) for name in required & beats.keys()}
    late = {name: beat for name, beat in last.items() if now - beat > silent}
    if last and not late:
        return []
    since = min(late.values(), default=None)
    parts = "it" if len(late) == len(last) else ", ".join(sorted(late)).lower()
    text = f"no sign of life of {parts} since {since:%Y-%m-%d %H:%M} UTC" if since else "it never gave a sign of life"
    return [Alert("the daemon", "trouble", text, "daemon", since, "/deployment/health")]
