"""H13: the source's answers change: what must not be published is not, somebody hears of it, and it ends by itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson
from drills.house import PER_GAME, House, house
from drills.outcome import Outcome

from kshift_assets.chess import cleaned
from serving.replay_api import Question
from serving.replay_wire import Fault, Plan, lines

A_MONTH = 40
"""Games, one a day: enough that a whole month of them is among them."""
ONCE = PER_GAME[1:]
"""Tables that have each game once; of the source's documents there are several versions."""
EVERYTHING = "3660"
"""Days that are read again: what came broken comes again when it is mended."""


@dataclass(frozen=True)
class Drift:
    """How documents of new games change, and what must become of it."""

    name: str
    change: Callable[[dict[str, Any]], dict[str, Any] | None]
    """None: the document does not come at all."""
    code: int
    alerts: frozenset[str]
    """Kinds of incidents that begin."""
    published: str
    """`all` games, those from `before`, or the `few` that did not drift."""
    share: int = 1
    """Each so-manieth new game drifts; 0: all games do, the old ones too."""


def _without(*path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(document: dict[str, Any]) -> dict[str, Any]:
        inner = document
        for part in path[:-1]:
            inner = inner[part]
        del inner[path[-1]]
        return document

    return change


def _with(**values: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document | values


TOLD, NOTHING = frozenset({"contract", "run"}), frozenset[str]()
DRIFTS = (
    Drift("a new field", _with(mood={"deep": [1]}), 0, NOTHING, "all"),
    Drift("a field is missing", _without("rated"), 1, TOLD, "before"),
    Drift("a field deep inside is missing", _without("players", "white", "user", "id"), 1, TOLD, "before"),
    Drift("another type", lambda document: document | {"createdAt": str(document["createdAt"])}, 1, TOLD, "before"),
    Drift("a list is a text", lambda document: document | {"clocks": "18003 18003"}, 1, TOLD, "before"),
    Drift("an unknown value everywhere", _with(variant="hyperchess"), 1, frozenset({"check", "run"}), "before"),
    Drift("an unknown value here and there", _with(status="eaten"), 0, frozenset({"check"}), "few", share=8),
    Drift("no rows", lambda _: None, 0, NOTHING, "before", share=0),
)


def drift(chance: Random, folder: Path, trials: int, *, control: bool = False) -> Outcome:
    """So many kinds of drift, one after the other. Control: a month that is rejected as a whole stops nothing."""
    found = Outcome()
    drifts = chance.sample(DRIFTS, len(DRIFTS))[:trials]
    if control:
        drifts = [one for one in DRIFTS if one.name == "an unknown value everywhere"]
    with house(folder, KSHIFT_LOOKBACK_DAYS=EVERYTHING, KSHIFT_PAGE_GAMES="1000") as made:
        for one in drifts:
            found += _one(one, made, (accepting_all,) if control else ())
    return found


def _one(one: Drift, made: House, changes: tuple[Callable[[], None], ...]) -> Outcome:
    found, before = Outcome(trials=1), made.ids
    snapshot = made.look(ONCE).snapshot
    made.play(A_MONTH)
    new = sorted(made.ids - before)
    drifting = frozenset(new[:: one.share]) if one.share else made.ids
    made.server.stage.plan = _plan(one, drifting)
    process = made.start("ingest", "--alert", changes=changes)
    code, told = process.wait(), process.told()
    if code != one.code or "Traceback" in told:
        found.wrong.append(f"{one.name}: exit code {code}, told: {told[-600:]}")
    wanted = {"all": made.ids, "before": before, "few": made.ids - drifting}[one.published]
    seen = made.look(ONCE)
    found.lost += len(before - seen.ids)
    if seen.ids != wanted:
        found.wrong.append(f"{one.name}: {len(seen.ids)} games are published, not {len(wanted)}")
    if one.published == "before" and one.code and seen.snapshot != snapshot:
        found.wrong.append(f"{one.name}: the latest snapshot did not stay")
    found.torn += len(seen.skew)
    if (open_now := _troubles(made)) != one.alerts:
        found.wrong.append(f"{one.name}: alerts {sorted(open_now)} instead of {sorted(one.alerts)}")
    made.server.stage.plan = None
    found.recovery.append(made.heal("ingest", "--alert"))
    healed = made.look(ONCE)
    found.lost += len(made.ids - healed.ids)
    found.torn += len(healed.skew)
    if open_still := _troubles(made):
        found.wrong.append(f"{one.name}: once the source is well, {sorted(open_still)} go on")
    return found


def _plan(one: Drift, drifting: frozenset[str]) -> Plan:
    """Answers that list games of a player have changed, those to other questions have not."""

    def changed(line: bytes) -> list[bytes]:
        document = orjson.loads(line)
        if document["id"] not in drifting:
            return [line]
        other = one.change(document)
        return [] if other is None else [orjson.dumps(other) + b"\n"]

    def plan(_: int, question: Question) -> Fault | None:
        if not question.path.startswith("/api/games/user/"):
            return None
        return Fault(change=lines(lambda listed: [other for line in listed for other in changed(line)]))

    return plan


def _troubles(made: House) -> frozenset[str]:
    """The kinds of incidents that are open, by what `kshift alerts` says."""
    process = made.start("alerts", "--json")
    process.wait()
    return frozenset(one["kind"] for one in json.loads(process.told())["incidents"])


def accepting_all() -> None:
    """However many games are rejected, the source is believed."""
    cleaned.mostly_accepted = lambda _: cleaned.Finding("mostly_accepted", passed=True)
