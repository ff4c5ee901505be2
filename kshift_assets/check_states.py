"""Which checks stand as failed, by what Dagster's instance knows of them."""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionResolvedStatus,  # the only name under which Dagster 1.13 has it
)


def failed(instance: DagsterInstance, checks: Sequence[dg.AssetCheckSpec]) -> Iterator[tuple[dg.AssetCheckSpec, str]]:
    """Those whose newest result is a failure, with the months in which it is: an empty text for one without months."""
    states = instance.event_log_storage.get_asset_check_state([(spec.key, spec.partitions_def) for spec in checks])
    for spec in checks:
        subset = states[spec.key].subsets.get(AssetCheckExecutionResolvedStatus.FAILED)
        if subset is not None and not subset.is_empty:
            months = sorted(subset.subset_value.get_partition_keys()) if spec.partitions_def else ()
            yield spec, ", ".join(months)
