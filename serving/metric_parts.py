"""The parts of the exporter's answer, wired: what is looked at, and where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance
from prometheus_client.core import Metric

from resources.alerts import Alerts
from resources.lake import Lake
from resources.settings import Settings
from resources.snapshots import Snapshots
from resources.table_logs import TableLogs
from serving.metrics import Part
from serving.metrics_dagster import Checks, Instances, Questions, Runs, assets, daemon
from serving.metrics_host import disks, hosts, incidents, snapshot
from serving.metrics_lake import Games, Players, Requests, Tables

GB = 1_000_000_000


@dataclass(frozen=True)
class Graph:
    """What the graph promises: its assets, those among them that promise freshness, its checks, and its folders."""

    assets: Sequence[dg.AssetKey]
    promised: Sequence[dg.AssetKey]
    checks: Sequence[dg.AssetCheckSpec]
    folders: Sequence[Path]


def parts_of(settings: Settings, lake: Lake, graph: Graph, questions: Questions, alerts: Alerts) -> list[Part]:
    """Every part of the answer, for these settings."""
    logs, instances = TableLogs(lake), Instances(settings.dagster_home)
    runs, checks = Runs(logs, questions), Checks(graph.checks, questions.failed)
    silent = timedelta(minutes=settings.daemon_silent_minutes)
    promises = dict.fromkeys(graph.promised, settings.max_age)

    def of_assets(instance: DagsterInstance) -> Iterable[Metric]:
        return assets(instance, graph.assets, promises)

    def of_daemon(instance: DagsterInstance) -> Iterable[Metric]:
        return daemon(instance, silent)

    return [
        Part("tables", Tables(logs).read),
        Part("requests", Requests(logs).read),
        Part("games", Games(logs).read),
        Part("players", Players(logs, questions.followed).read),
        Part("assets", partial(instances.read, of_assets)),
        Part("checks", partial(instances.read, checks.read)),
        Part("runs", partial(instances.read, runs.read)),
        Part("daemon", partial(instances.read, of_daemon)),
        Part("hosts", partial(hosts, settings.state)),
        Part("disks", partial(disks, graph.folders, settings.disk_free_gb * GB)),
        Part("incidents", partial(incidents, alerts)),
        Part("snapshot", partial(snapshot, Snapshots(folder=str(settings.published)))),
    ]
