"""Which months are behind what they are made from: after a failure, automation waits for the next change."""

from collections.abc import Collection, Mapping, Sequence

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.assets.graph.asset_graph import (
    AssetGraph,  # the only name under which Dagster 1.13 has it
)

from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import OPTIONAL


def monthly_keys(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetKey]:
    """Assets that are split by month and made from others as a matter of course: no sources, nothing optional."""
    return [
        spec.key
        for asset in assets
        for spec in asset.specs
        if spec.partitions_def == MONTHS
        and spec.tags["layer"] != "source"
        and not OPTIONAL.items() <= spec.tags.items()
    ]


def made_last(instance: DagsterInstance, key: dg.AssetKey) -> Mapping[str, int]:
    """Month → number of the newest materialization event; numbers grow with time, over all assets."""
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    return instance.event_log_storage.get_latest_storage_id_by_partition(key, kind)


def behind(instance: DagsterInstance, graph: AssetGraph, keys: Collection[dg.AssetKey]) -> dict[str, list[dg.AssetKey]]:
    """Month → those of the assets that are older there than something they are made from, or follow from such a one."""
    parents = {key: {up for up in graph.get(key).parent_keys if graph.get(up).is_partitioned} for key in keys}
    made = {key: made_last(instance, key) for key in {*keys, *(up for above in parents.values() for up in above)}}
    found: dict[str, list[dg.AssetKey]] = {}
    for key in (one for one in graph.toposorted_asset_keys if one in parents):
        follows = {month for month, late in found.items() if parents[key] & set(late)}
        newer = {month for up in parents[key] for month, number in made[up].items() if number > made[key].get(month, 0)}
        for month in follows | newer:
            found.setdefault(month, []).append(key)
    return {
        month: sorted({other for key in late for other in graph.get(key).execution_set_asset_keys})
        for month, late in sorted(found.items())
    }
