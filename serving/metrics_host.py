"""Metrics of this machine: hosts that are left alone, room on disks, open incidents, the published snapshot."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric

from resources.alerts import Alerts, Kind
from resources.clock import SystemClock
from resources.gate import Gate
from resources.snapshots import Snapshots


def hosts(state: Path) -> Iterator[Metric]:
    """What all processes remember of each host that was asked."""
    is_open = GaugeMetricFamily(
        "kshift_circuit_open", "Whether a host is left alone since its requests failed", labels=["host"]
    )
    failures = GaugeMetricFamily(
        "kshift_circuit_failures", "Requests to a host that failed in a row, up to now", labels=["host"]
    )
    quiet = GaugeMetricFamily(
        "kshift_quiet_seconds", "How long nobody may ask a host, after it answered 429", labels=["host"]
    )
    clock = SystemClock()
    for file in sorted(state.glob("*_*.json")):
        known, (name, _, port) = Gate(state, file.stem, clock, 0.0).state(), file.stem.rpartition("_")
        host = f"{name}:{port}"
        is_open.add_metric([host], known.pause is not None)
        failures.add_metric([host], known.failures)
        quiet.add_metric([host], known.quiet_left(clock))
    yield from (is_open, failures, quiet)


def disks(folders: Sequence[Path], least_free: float) -> Iterator[Metric]:
    """Room on the disks of these folders, and how much there must be."""
    free = GaugeMetricFamily("kshift_disk_free_bytes", "Room on the disk of a folder", labels=["folder"])
    size = GaugeMetricFamily("kshift_disk_size_bytes", "Size of the disk of a folder", labels=["folder"])
    for folder in folders:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        usage = shutil.disk_usage(there)
        free.add_metric([str(folder)], usage.free)
        size.add_metric([str(folder)], usage.total)
    least = GaugeMetricFamily("kshift_disk_free_limit_bytes", "Less room than this is too little")
    least.add_metric([], least_free)
    yield from (free, size, least)


def incidents(alerts: Alerts) -> Iterator[Metric]:
    """What was told and is not over, and what could not be told yet."""
    open_ones = GaugeMetricFamily(
        "kshift_open_incidents", "Incidents that were told and are not over, see `kshift alerts`", labels=["kind"]
    )
    counted = Counter(one["kind"] for one in alerts.incidents())
    for kind in get_args(Kind):
        open_ones.add_metric([kind], counted[kind])
    waiting = GaugeMetricFamily(
        "kshift_undelivered_alerts", "Alerts that wait for a receiver that did not take them", labels=["channel"]
    )
    undelivered = alerts.waiting()
    for channel in alerts.delivery.channels:
        waiting.add_metric([channel.name], undelivered.get(channel.name, (0, ""))[0])
    yield from (open_ones, waiting)


def snapshot(snapshots: Snapshots) -> Iterator[Metric]:
    """The latest published snapshot; none where nothing is published yet."""
    published = GaugeMetricFamily(
        "kshift_snapshot_published_timestamp_seconds", "When the latest snapshot was published; 0 before the first"
    )
    tables = GaugeMetricFamily("kshift_snapshot_tables", "Tables and views of the latest snapshot")
    kept = GaugeMetricFamily("kshift_snapshots", "Snapshots that are kept")
    catalog = snapshots.latest()
    published.add_metric([], datetime.fromisoformat(catalog["published"]).timestamp() if catalog else 0.0)
    tables.add_metric([], len(catalog["tables"]) if catalog else 0)
    kept.add_metric([], len(snapshots.ids()))
    yield from (published, tables, kept)
