"""Running parts of the graph in this process: a selection, month by month, or whatever is behind its sources."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from graphlib import TopologicalSorter
from itertools import groupby

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,  # the only name under which Dagster 1.13 has it
)

from kshift_assets.catching_up import made_last
from kshift_assets.liveness import TAG, Liveness
from kshift_assets.ops.events import environment, run_sentence, sentence
from kshift_assets.reporting import CARRIED, OPTIONAL
from kshift_assets.spreading import Order, run_elsewhere, run_side_by_side
from resources.errors import UserError

# So many names are worth reading in a sentence.
FEW_NAMES = 3
# How alike a name is to be that is proposed: 1 is the same.
NEAR = 0.4
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Batch:
    """Assets that run together: all of them for one month, or all of them without."""

    keys: tuple[dg.AssetKey, ...]
    month: str | None

    def __str__(self) -> str:
        """The names and the month, as progress shows them."""
        names = ", ".join(key.to_user_string() for key in self.keys)
        return f"{names} {self.month}" if self.month else names


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: rows by asset (and month, where the run touched several), and what went wrong."""

    batch: Batch
    succeeded: bool
    rows: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()


Listener = Callable[[Batch, Outcome | None], None]


class Interrupted(Exception):
    """Somebody wants an end, by Ctrl-C or a signal: no further batch begins."""


class Runner:
    """Runs assets of one graph, with the events in the instance, as if the UI had launched them.

    They are made in this process, unless `elsewhere` is set: then where the graph's executor has them made, so many
    months at the same time.
    """

    def __init__(self, defs: dg.Definitions, instance: DagsterInstance, elsewhere: int = 0) -> None:
        self._elsewhere = elsewhere
        self._job = defs.resolve_implicit_global_asset_job_def()
        self.graph = defs.resolve_asset_graph()
        self.assets = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
        self.instance = instance
        self._liveness = Liveness(instance)

    def select(self, selection: str) -> list[dg.AssetKey]:
        """The materializable assets of a selection, upstream first; UserError if it names none.

        Optional assets are among them only where the selection has their name: `chess/games+` means what follows from
        games as a matter of course, not hours of work for an engine.
        """
        found: AbstractSet[dg.AssetKey] = set()
        try:
            wanted = dg.AssetSelection.from_string(selection)
            with suppress(dg.DagsterInvalidSubsetError):  # a key that is not there
                # chess.rejected_games comes with chess.games: one step makes both.
                found = (wanted | wanted.required_multi_asset_neighbors()).resolve(self.graph)
        except (dg.DagsterError, ValueError) as error:
            raise UserError(f"{selection!r} is not a selection of assets: {' '.join(str(error).split())}") from error
        keys = [
            key for key in self._in_order() if key in found and (not self._is_optional(key) or _named(key, selection))
        ]
        if not keys:
            names = [key.to_user_string() for key in self._in_order()]
            near = get_close_matches(selection, names, FEW_NAMES, NEAR) or names
            raise UserError(
                f"{selection!r} selects nothing that can be made: try {_listed(near)}; `kshift up` shows all in a graph"
            )
        return keys

    def plan(
        self, keys: Collection[dg.AssetKey], months: Sequence[str] | None, at_once: Collection[dg.AssetKey] = ()
    ) -> list[Batch]:
        """Batches in the order in which they can run; assets in `at_once` take all months in one run.

        Without `months`, an asset that is split by month runs for every month that something upstream of it has.
        """
        batches: list[Batch] = []
        for group, is_split in self._groups(keys, at_once):
            if not is_split:
                batches.append(Batch(tuple(group), None))
                continue
            chosen = months if months is not None else self._months_upstream(group)
            if not chosen:
                names = ", ".join(key.to_user_string() for key in group)
                raise UserError(f"{names}: say which month, with --partition 2013-01 or --from and --to")
            batches += [Batch(tuple(group), month) for month in chosen]
        return batches

    def run(self, batch: Batch, config: Mapping[str, object] | None = None) -> Outcome:
        """Run one batch to its end; a failure is an outcome, not an exception. `config`: step → its configuration.

        What is carried is made with it. Raises Interrupted if it was told to end before.
        """
        order = self._order(batch, config or {})
        with self._liveness.watching():
            if self._elsewhere:
                return _outcome(batch, *run_elsewhere(order))
            result = self._job.execute_in_process(
                instance=self.instance,
                asset_selection=list(order.keys),
                partition_key=batch.month,
                run_config=order.run_config,
                tags=order.tags,
                raise_on_error=False,
            )
        return _outcome(batch, result.success, result.all_events)

    def run_all(self, batches: Sequence[Batch], listen: Listener) -> list[Outcome]:
        """Run batches in their order, going on after failures; `listen` hears of the start and end of each.

        Batches of months that follow one another do not need one another: elsewhere, these run at the same time.
        """
        outcomes = []
        for is_monthly, group in groupby(batches, lambda batch: batch.month is not None):
            run_each = self._side_by_side if self._elsewhere > 1 and is_monthly else self._one_by_one
            for outcome in run_each(list(group), listen):
                listen(outcome.batch, outcome)
                outcomes.append(outcome)
        return outcomes

    def _one_by_one(self, batches: Sequence[Batch], listen: Listener) -> Iterator[Outcome]:
        for batch in batches:
            listen(batch, None)
            yield self.run(batch)

    def _side_by_side(self, batches: Sequence[Batch], listen: Listener) -> Iterator[Outcome]:
        orders = [self._order(batch, {}) for batch in batches]
        listen(batches[0], None)
        with self._liveness.watching():
            for number, told in run_side_by_side(orders, self._elsewhere):
                yield _outcome(batches[number], *told)

    def _order(self, batch: Batch, config: Mapping[str, object]) -> Order:
        ops = {step: {"config": values} for step, values in config.items()}
        keys = (*batch.keys, *self._carried(batch.keys))
        return Order(keys, batch.month, {**QUIET, "ops": ops}, {TAG: self._liveness.name, **environment()})

    def carry_on(self, sources: Collection[dg.AssetKey], max_age: timedelta, listen: Listener) -> list[Outcome]:
        """Make anew everything behind its sources, month by month, then what is made from whole tables.

        Nothing runs twice and nothing without need, so it also picks up what an interrupted run left undone. What
        promises freshness is made anew as well when it is older than half of `max_age`.
        """
        left_out = (self._is_optional, self._is_carried)
        keys = [key for key in self._in_order() if key not in sources and not any(out(key) for out in left_out)]
        outcomes: list[Outcome] = []
        for group, is_split in self._groups(keys, ()):
            outcomes += self.run_all(self._behind(group, max_age / 2, is_split=is_split), listen)
        return outcomes

    def latest(self, key: dg.AssetKey) -> dict[str | None, int]:
        """Month → number of the newest materialization event; numbers grow with time, over all assets."""
        if self.graph.get(key).partitions_def:
            return {month: number for month, number in made_last(self.instance, key).items()}  # noqa: C416  # widens the type of the keys
        records = self.instance.fetch_materializations(key, limit=1).records
        return {None: records[0].storage_id} if records else {}

    def made(self, key: dg.AssetKey) -> datetime | None:
        """When an asset was last made."""
        records = self.instance.fetch_materializations(key, limit=1).records
        return datetime.fromtimestamp(records[0].timestamp, UTC) if records else None

    def _behind(self, group: Sequence[dg.AssetKey], max_age: timedelta, *, is_split: bool) -> list[Batch]:
        made = {one for key in group for one in self._made_with(key)}
        above = {up for key in made for up in self._reasons(key)}
        events = {key: self.latest(key) for key in made | above}
        stale: dict[str | None, list[dg.AssetKey]] = {}
        for key in group:
            # A run that was killed, or is under way elsewhere, may have told of one of them and not of the others yet.
            together = self._made_with(key)
            parents = {up for one in together for up in self._reasons(one)}
            running = {month for month, running in stale.items() if parents & set(running)}
            if not parents and not is_split and self._is_other_code(key):
                stale.setdefault(None, []).append(key)
            months = running | {month for up in parents for month in events[up]} if is_split else {None}
            for month in months:
                own = min(events[one].get(month, 0) for one in together)
                newest = max((_newest(events[up], month) for up in parents), default=0)
                upstream_runs = any(up in stale.get(month, ()) for up in parents)
                if newest > own or upstream_runs or (not is_split and newest and self._is_old(key, max_age)):
                    stale.setdefault(month, []).append(key)
        return [Batch(tuple(keys), month) for month, keys in sorted(stale.items(), key=lambda item: item[0] or "")]

    def _made_with(self, key: dg.AssetKey) -> AbstractSet[dg.AssetKey]:
        """What one step makes, all of it or nothing: the asset itself, and others."""
        return self.graph.get(key).execution_set_asset_keys

    def _is_other_code(self, key: dg.AssetKey) -> bool:
        """Whether what is made of nothing but code was never made, or by another version; sources are asked instead."""
        node = self.graph.get(key)
        if node.automation_condition is None:
            return False
        records = self.instance.fetch_materializations(key, limit=1).records
        tags = records[0].asset_materialization.tags or {} if records and records[0].asset_materialization else {}
        return tags.get(CODE_VERSION_TAG) != node.code_version

    def _is_old(self, key: dg.AssetKey, max_age: timedelta) -> bool:
        made = self.made(key)
        return (
            self.graph.get(key).freshness_policy is not None and made is not None and datetime.now(UTC) - made > max_age
        )

    def _reasons(self, key: dg.AssetKey) -> set[dg.AssetKey]:
        """What an asset is made from, as far as a change of it is a reason to make the asset anew."""
        return {up for up in self.graph.get(key).parent_keys if not self._is_carried(up)}

    def _carried(self, keys: Collection[dg.AssetKey]) -> set[dg.AssetKey]:
        """What else is made together with these."""
        return {up for key in keys for up in self.graph.get(key).parent_keys if self._is_carried(up)} - set(keys)

    def _is_carried(self, key: dg.AssetKey) -> bool:
        return CARRIED.items() <= self.graph.get(key).tags.items()

    def _is_optional(self, key: dg.AssetKey) -> bool:
        return OPTIONAL.items() <= self.graph.get(key).tags.items()

    def _in_order(self) -> list[dg.AssetKey]:
        keys = self.graph.materializable_asset_keys
        parents = {key: sorted(self.graph.get(key).parent_keys & keys) for key in sorted(keys)}
        return list(TopologicalSorter(parents).static_order())

    def _groups(
        self, keys: Collection[dg.AssetKey], at_once: Collection[dg.AssetKey]
    ) -> Iterator[tuple[list[dg.AssetKey], bool]]:
        """Assets that can run together: of one kind (split by month or not), upstream groups first."""
        rest = [key for key in self._in_order() if key in keys]
        while rest:
            is_split = self._is_split(rest[0], at_once)
            group: list[dg.AssetKey] = []
            for key in rest:
                waits = any(up in rest and up not in group for up in self.graph.get(key).parent_keys)
                if self._is_split(key, at_once) == is_split and not waits:
                    group.append(key)
            rest = [key for key in rest if key not in group]
            yield group, is_split

    def _is_split(self, key: dg.AssetKey, at_once: Collection[dg.AssetKey]) -> bool:
        return self.graph.get(key).partitions_def is not None and key not in at_once

    def _months_upstream(self, group: Sequence[dg.AssetKey]) -> list[str]:
        upstream = {up for key in group for up in self.graph.get(key).parent_keys}
        return sorted({month for up in upstream for month in self.latest(up) if month})


def _named(key: dg.AssetKey, selection: str) -> bool:
    return re.search(rf"(?<![\w/]){re.escape(key.to_user_string())}(?![\w/])", selection) is not None


def _newest(events: Mapping[str | None, int], month: str | None) -> int:
    return max(events.values(), default=0) if month is None else events.get(month, 0)


def _outcome(batch: Batch, succeeded: bool, events: Sequence[dg.DagsterEvent]) -> Outcome:  # noqa: FBT001  # as it comes
    if any(map(_is_interruption, events)):
        raise Interrupted(f"{batch} was interrupted")
    rows: dict[str, int] = {}
    problems: list[str] = []
    warnings: dict[str, list[str]] = {}
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            month = f" {made.partition}" if made.partition else ""
            count = made.metadata.get("rows")
            number = count.value if isinstance(count, dg.IntMetadataValue) else 0
            rows[made.asset_key.to_user_string() + month] = number or 0
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not found.passed and found.severity == dg.AssetCheckSeverity.WARN:
                said = found.description or found.check_name
                warnings.setdefault(said, []).append(found.asset_key.to_user_string())
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            problems.append(sentence(event))
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE and not problems:
            problems.append(run_sentence(event))
    told = [f"{_listed(dict.fromkeys(keys))}: {said}" for said, keys in warnings.items()]
    return Outcome(batch, succeeded, rows, problems, told)


def _listed(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    first, more = (every := list(names))[:FEW_NAMES], len(every) - FEW_NAMES
    return f"{', '.join(first)} and {more} more" if more > 0 else ", ".join(first)


def _is_interruption(event: dg.DagsterEvent) -> bool:
    if event.event_type != dg.DagsterEventType.STEP_FAILURE:
        return False
    error = event.step_failure_data.error
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__
