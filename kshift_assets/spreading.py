"""Runs whose steps live in other processes, on this machine or others, and several runs at the same time."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass

import dagster as dg
import loky
from dagster import DagsterInstance
from dagster._core.definitions.reconstruct import ReconstructableRepository  # the only name under which 1.13 has it
from dagster._core.storage.tags import PARTITION_NAME_TAG  # the same

Told = tuple[bool, Sequence[dg.DagsterEvent]]
"""Whether a run succeeded, and what happened in it."""


@dataclass(frozen=True)
class Order:
    """What a run is to make: assets, for a month or for all, with its configuration and tags."""

    keys: Collection[dg.AssetKey]
    month: str | None
    run_config: Mapping[str, object]
    tags: Mapping[str, str]


def run_elsewhere(order: Order) -> Told:
    """Run assets with the executor of the definitions, which other processes load anew from their own settings."""
    definitions = ReconstructableRepository.for_module("kshift_assets.definitions", "defs")
    with (
        DagsterInstance.get() as instance,
        dg.execute_job(
            definitions.get_reconstructable_job("__ASSET_JOB"),
            instance=instance,
            run_config=dict(order.run_config),
            tags={**order.tags, **({PARTITION_NAME_TAG: order.month} if order.month else {})},
            asset_selection=list(order.keys),
            raise_on_error=False,
        ) as result,
    ):
        return result.success, result.all_events


def run_side_by_side(orders: Sequence[Order], at_once: int) -> Iterator[tuple[int, Told]]:
    """The same for several, `at_once` at the same time: the number of each, and what became of it, as they end.

    Each is watched by a process, since Dagster has two runs in one process wait for each other for ever.
    """
    with loky.ProcessPoolExecutor(min(at_once, len(orders))) as pool:
        numbers = {pool.submit(run_elsewhere, order): number for number, order in enumerate(orders)}
        for future in as_completed(numbers):
            yield numbers[future], future.result()
