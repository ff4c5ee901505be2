"""The state of the published tables: freshness, rows, checks and last run, from the snapshot and Dagster's instance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serving.sql import ask, connect

BAD = ("stale", "failed", "never made")
STYLES = {
    "fresh": "green",
    "ok": "green",
    "warned": "yellow",
    "stale": "red",
    "failed": "red",
    "never made": "red",
    "empty": "dim",
}


@dataclass(frozen=True)
class TableState:
    """One consumer table as an operator sees it."""

    table: str
    state: str
    rows: int | None
    newest: str | None
    last_run: str | None
    problems: Sequence[str]


def states(
    graph: AssetGraph,
    instance: DagsterInstance,
    catalog: Mapping[str, Any] | None,
    database: Path,
    lake: str,
) -> list[TableState]:
    """The state of every materializable asset that is a consumer table, and of the snapshot itself."""
    newest = _newest(database, lake, catalog)
    tables = (catalog or {}).get("tables", {})
    found = []
    for key in sorted(graph.materializable_asset_keys):
        node = graph.get(key)
        name = ".".join(key.path)
        made = _made(instance, key)
        failures, warnings = _check_results(graph, instance, key)
        state = _state(node.freshness_policy, made, bool(failures), bool(warnings))
        rows = tables.get(name, {}).get("rows")
        found.append(
            TableState(
                name,
                state,
                rows,
                newest.get(name),
                made.isoformat(timespec="seconds") if made else None,
                [*failures, *warnings],
            )
        )
    return found


def write_table(found: Sequence[TableState], catalog: Mapping[str, Any] | None, console: Console) -> None:
    """Print the states for people."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("table", "state", "rows", "newest game UTC", "last run UTC"):
        table.add_column(name, justify="right" if name == "rows" else "left", no_wrap=True)
    for one in found:
        table.add_row(
            one.table,
            f"[{STYLES[one.state]}]{one.state}[/]",
            "" if one.rows is None else f"{one.rows:,}",
            (one.newest or "")[:16].replace("T", " "),
            (one.last_run or "never")[:16].replace("T", " "),
        )
    console.print(table)
    for one in found:
        for problem in one.problems:
            console.print(f"[{STYLES[one.state]}]{one.state}[/] {one.table}: {escape(problem)}", soft_wrap=True)
    console.print(
        f"snapshot {catalog['snapshot']}, published {catalog['published'][:19]}"
        if catalog
        else "nothing is published yet"
    )


def as_records(found: Sequence[TableState]) -> list[dict[str, Any]]:
    """The states as plain data."""
    return [asdict(one) for one in found]


def is_bad(found: Sequence[TableState]) -> bool:
    """Whether a table is stale, failed or was never made although it is promised."""
    return any(one.state in BAD for one in found)


def _state(policy: Any, made: datetime | None, failed: bool, warned: bool) -> str:  # noqa: ANN401, FBT001  # Dagster's policy types are internal
    if failed:
        return "failed"
    if made is None:
        return "never made" if policy else "empty"
    window = getattr(policy, "fail_window", None)
    if window is not None and datetime.now(UTC) - made > timedelta(seconds=window.to_timedelta().total_seconds()):
        return "stale"
    if warned:
        return "warned"
    return "fresh" if policy else "ok"


def _made(instance: DagsterInstance, key: dg.AssetKey) -> datetime | None:
    records = instance.fetch_materializations(key, limit=1).records
    return datetime.fromtimestamp(records[0].timestamp, UTC) if records else None


def _check_results(graph: AssetGraph, instance: DagsterInstance, key: dg.AssetKey) -> tuple[list[str], list[str]]:
    failures: list[str] = []
    warnings: list[str] = []
    for check in sorted(graph.get(key).check_keys):
        parts = graph.get(check).partitions_def
        state = instance.event_log_storage.get_asset_check_state([(check, parts)])[check]
        failed = state.subsets.get(AssetCheckExecutionResolvedStatus.FAILED)
        if failed is None or failed.is_empty:
            continue
        months = sorted(failed.subset_value.get_partition_keys()) if parts else [None]
        for month in months:
            text, is_error = _newest_failure(instance, check, month)
            (failures if is_error else warnings).append(f"{check.name}{f' {month}' if month else ''}: {text}")
    return failures, warnings


def _newest_failure(instance: DagsterInstance, check: dg.AssetCheckKey, month: str | None) -> tuple[str, bool]:
    for record in instance.event_log_storage.get_asset_check_execution_history(check, limit=1_000):
        if record.partition == month and record.event and record.event.dagster_event:
            evaluation = record.event.dagster_event.asset_check_evaluation_data
            return evaluation.description or "failed", evaluation.severity == dg.AssetCheckSeverity.ERROR
    return "failed", True


def _newest(database: Path, lake: str, catalog: Mapping[str, Any] | None) -> dict[str, str]:
    if not catalog:
        return {}
    newest = {}
    with connect(database, [lake]) as connection:
        for name, table in catalog["tables"].items():
            for column in ("tm_created", "tm_last"):
                if column in table["schema"] and ("id_game" in table["schema"] or column == "tm_last"):
                    value = next(ask(connection, f"SELECT max({column}) FROM {name}").rows)[0]  # noqa: S608  # our own names
                    if value:
                        newest[name] = value.isoformat()
                    break
    return newest
