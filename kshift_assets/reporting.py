"""What every asset says of itself: its specification from its table's model, and its report after the work is done."""

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, AssetMaterialization
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,  # the only name under which Dagster 1.13 has it
)

from kshift_assets.partitions import MONTHS
from kshift_assets.tables import Model, column_schema, row_rules, rules
from resources.lake import MONTH

Metadata = dict[str, dg.MetadataValue | str | int | float]
Report = dg.MaterializeResult[None] | dg.AssetCheckResult

OWNER = "team:knightshift"


@dataclass(frozen=True)
class Table:
    """A table of the lake and the asset that makes it: one name in both, and in the published SQL."""

    schema: str
    name: str
    model: Model
    consumer: bool = True  # whether it is published
    optional: bool = False  # whether it is made only when somebody asks for it by name

    @property
    def full_name(self) -> str:
        """`schema.name`, as SQL and the lake know it."""
        return f"{self.schema}.{self.name}"

    @property
    def key(self) -> dg.AssetKey:
        """`schema/name`, as Dagster knows it."""
        return dg.AssetKey([self.schema, self.name])

    @property
    def is_partitioned(self) -> bool:
        """Whether it is split by month."""
        return MONTH in self.model.to_schema().columns


@dataclass(frozen=True)
class Finding:
    """What a check found: the name of its check, whether it passed, and numbers or cases that show why."""

    check: str
    passed: bool
    metadata: Metadata = field(default_factory=dict)
    text: str = ""
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


class AuditFailed(Exception):
    """A blocking check failed before anything was written; carries what was found."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text or finding.check)
        self.finding = finding


def table_metadata(table: Table, source: Callable[..., object] | None = None) -> Metadata:
    """What the UI shows of a table: columns with texts and rules, its SQL name, and the code that makes it."""
    metadata: Metadata = {
        "dagster/column_schema": dg.MetadataValue.table_schema(column_schema(table.model)),
        "dagster/table_name": table.full_name,
    }
    return metadata | (code_reference_of(source, table.full_name) if source else {})


def code_reference_of(source: Callable[..., object], label: str) -> Metadata:
    """A link from an asset to the function that makes it."""
    return code_reference(Path(inspect.getsourcefile(source) or ""), inspect.getsourcelines(source)[1], label)


def code_reference(file: Path, line: int, label: str) -> Metadata:
    """A link from an asset to the line that makes it."""
    reference = dg.LocalFileCodeReference(file_path=str(file), line_number=line, label=label)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}


PROGRESS = logging.getLogger("kshift.progress")
"""What a run is doing, for whoever looks on; the command line shows the newest line."""

# The queue of Celery for what keeps its state in KSHIFT_HOME, locks and published files: only workers there take it.
HOME_QUEUE = "home"
AT_HOME = {"dagster-celery/queue": HOME_QUEUE}

# The mark of assets that are made only when somebody asks for them by name.
OPTIONAL = {"kshift/optional": "yes"}
# The mark of assets that change with every run: they are made together with what is made from them, and never a reason
# to make that anew.
CARRIED = {"kshift/carried": "yes"}


def check(table: Table, name: str, text: str, *, blocking: bool = True, is_whole: bool = False) -> dg.AssetCheckSpec:
    """A check of a table, split by month where the table is: else the newest result would hide an older failure.

    `is_whole`: the asset is not split, though its table is.
    """
    return dg.AssetCheckSpec(
        name,
        asset=table.key,
        description=text,
        blocking=blocking,
        partitions_def=MONTHS if table.is_partitioned and not is_whole else None,
    )


def schema_check(table: Table, *, blocking: bool = True, is_whole: bool = False) -> dg.AssetCheckSpec:
    """The check that every row keeps every rule of the table's model."""
    lines = [
        f"- `{column}`: {', '.join(f'`{rule}`' for rule in listed)}"
        for column, listed in rules(table.model).items()
        if listed
    ]
    lines += [f"- {rule}" for rule in row_rules(table.model)]
    text = "\n".join(["Every row keeps these rules:\n", *lines])
    return check(table, "schema", text, blocking=blocking, is_whole=is_whole)


def report(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    n_rows: int,
    findings: Sequence[Finding],
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[Report]:
    """Say that a table, or the run's month of it, was written and checked.

    The materialization comes first: a check's result counts for the newest materialization at its time.
    """
    counts: Metadata = {"dagster/partition_row_count" if context.has_partition_key else "dagster/row_count": n_rows}
    yield dg.MaterializeResult(asset_key=key, metadata={**counts, "rows": n_rows, **(metadata or {})})
    for finding in findings:
        yield _result(key, finding)


def refuse(key: dg.AssetKey, finding: Finding) -> Iterator[Report]:
    """Say that an audit failed and end the step: nothing was written, the old rows stay, a retry would not help."""
    yield _result(key, finding)
    raise dg.Failure(
        f"{key.to_user_string()}: {finding.text or finding.check}", metadata=finding.metadata, allow_retries=False
    )


def report_months(
    context: dg.AssetExecutionContext,
    table: Table,
    rows: Mapping[str, int],
    findings: Sequence[Finding],
    metadata: Metadata,
) -> Iterator[Report]:
    """Say which months a run over all months touched, each with its own checks; the others are not marked."""
    for month, n_rows in sorted(rows.items()):
        context.log_event(
            AssetMaterialization(
                table.key, partition=month, metadata=metadata | {"rows": n_rows, "dagster/partition_row_count": n_rows}
            )
        )
        record = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=table.key, asset_partitions=[month]), limit=1
        ).records[0]
        target = AssetCheckEvaluationTargetMaterializationData(
            run_id=record.event_log_entry.run_id, storage_id=record.storage_id, timestamp=record.timestamp
        )
        for finding in findings:
            context.log_event(
                AssetCheckEvaluation(
                    asset_key=table.key,
                    check_name=finding.check,
                    passed=finding.passed,
                    metadata=finding.metadata,
                    target_materialization_data=target,
                    severity=finding.severity,
                    description=finding.text or None,
                    blocking=True,
                    partition=month,
                )
            )
    for finding in findings:
        yield _result(table.key, finding)


def _result(key: dg.AssetKey, finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed,
        asset_key=key,
        check_name=finding.check,
        metadata=finding.metadata,
        severity=finding.severity,
        description=finding.text or None,
    )
