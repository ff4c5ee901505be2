"""The oracle: what the server knows and was asked, kept by the server alone, and how a lake is compared with it.

Games are compared as sets of ids and of hashes of payloads. Nothing here uses what the code under test found out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from itertools import pairwise

import orjson
import polars as pl

from serving.replay_stage import Asked
from serving.replay_world import RUNNING, Document, Shown, World, shown

ALL_PARTS = Shown(moves=True, clocks=True, evals=True, accuracy=True, opening=True, division=True)
TOO_MANY = 429
MINUTE_SECONDS, HOUR_SECONDS = 60.0, 3600.0
CALM_SECONDS = 590.0
"""A 429 within so many seconds (and ten for the way) after a silence is a repeated one."""
A_DAY_SECONDS = 86_400.0
BREAKER_FAILURES, BREAKER_SECONDS = 5, 300.0
SLACK_SECONDS = 1e-6


@dataclass
class Tally:
    """What went wrong in one trial, or in many."""

    lost: int = 0
    """Promised versions that are not stored or do not count as the newest; acknowledged ones that are gone."""
    duplicated: int = 0
    invented: int = 0
    """Rows that the server never sent, or that say something else than their document."""
    ahead: int = 0
    """Games that a cursor passed before they were stored or, where they are not over, kept by id."""
    together: int = 0
    """Requests that came while another was in flight."""
    early: int = 0
    """Requests in a silence after a 429, or in the pause of an open breaker."""
    unfinished: int = 0
    """Trials that did not end by themselves once the faults had stopped."""

    @property
    def is_green(self) -> bool:
        """Whether nothing went wrong."""
        return not any(self.counts())

    def counts(self) -> list[int]:
        """The numbers in their order."""
        return [getattr(self, one.name) for one in fields(self)]

    def __add__(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(*(a + b for a, b in zip(self.counts(), other.counts(), strict=True)))


@dataclass
class RecordedWorld(World):
    """A world that remembers every version of a game that it ever had, as sent."""

    versions: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def add(self, document: Document) -> None:
        """A new game, or a new version of one."""
        super().add(document)
        payload = orjson.dumps(shown(document, ALL_PARTS))
        if payload not in self.versions[document["id"]]:
            self.versions[document["id"]].append(payload)

    def finished(self, user: str) -> list[Document]:
        """What an export lists of a user."""
        return [game for game in self.games.values() if user in players_of(game) and game["status"] not in RUNNING]


@dataclass
class Books:
    """What is promised, and what was found wrong."""

    world: RecordedWorld
    promised: dict[str, int] = field(default_factory=dict)
    """Game → index of the version that must be stored, or a later one."""
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    """(Game, hash) pairs that were stored when a run ended."""

    def promise(self, games: Iterable[Document]) -> None:
        """These games must be in the lake from now on, as they are now."""
        for game in games:
            self.promised[game["id"]] = len(self.world.versions[game["id"]]) - 1

    def promise_any_end(self, games: Iterable[Document]) -> None:
        """Of these games a version must be in the lake that is over, whatever was added to it later."""
        for game in games:
            states = [orjson.loads(one)["status"] for one in self.world.versions[game["id"]]]
            first = next(index for index, state in enumerate(states) if state not in RUNNING)
            self.promised[game["id"]] = max(first, self.promised.get(game["id"], 0))

    def audit(self, stored: pl.DataFrame, cursors: dict[str, int | None], waiting: set[str]) -> Tally:
        """Compare the lake with the books, while the work is going on.

        `waiting`: games that are kept by id, to be asked for until they are over.
        """
        full = stored.to_dicts()
        rows = [(row["id_game"], sha256(row["val_document"].encode()).hexdigest()) for row in full]
        there = set(rows)
        tally = Tally(
            lost=len(self.acknowledged - there),
            duplicated=sum(number - 1 for number in Counter(rows).values()),
            invented=sum(not self._is_true(row) for row in full),
            ahead=self._ahead({id_game for id_game, _ in rows} | waiting, cursors),
        )
        self.acknowledged |= there
        return tally

    def audit_promises(self, stored: pl.DataFrame) -> Tally:
        """Compare the lake with all that is promised."""
        ordered = stored.sort("tm_ingested", maintain_order=True)
        newest = dict(zip(ordered["id_game"], ordered["val_document"], strict=True))
        kept = set(zip(stored["id_game"], (text.encode() for text in stored["val_document"]), strict=True))
        n_lost = 0
        for id_game, index in self.promised.items():
            versions = self.world.versions[id_game]
            is_newest = id_game in newest and newest[id_game].encode() in versions[index:]
            n_lost += not (is_newest and any((id_game, one) in kept for one in versions[index:]))
        return Tally(lost=n_lost)

    def _is_true(self, row: Document) -> bool:
        text = row["val_document"].encode()
        if text not in self.world.versions.get(row["id_game"], ()):
            return False
        document = orjson.loads(text)
        return (
            row["id_user"] in players_of(document)
            and round(row["tm_created"].timestamp() * 1000) == document["createdAt"]
            and row["dt_month"] == f"{row['tm_created']:%Y-%m}"
            and row["val_hash"] == sha256(text).hexdigest()
        )

    def _ahead(self, ids: set[str], cursors: dict[str, int | None]) -> int:
        return sum(
            game["createdAt"] < cursor and game["id"] not in ids and user in players_of(game)
            for user, cursor in cursors.items()
            if cursor is not None
            for game in self.world.games.values()
        )


def players_of(document: Document) -> list[str | None]:
    """Ids of both sides."""
    return [player.get("user", {}).get("id") for player in document["players"].values()]


def impolite(asked: Sequence[Asked]) -> Tally:
    """Requests that were in flight together, or came in a silence: at least a minute, doubled if it happens again.

    The stage names a 429 with `Retry-After` in the fault: `429 for 120`.
    """
    until, times, n_early = float("-inf"), 0, 0
    for one in asked:
        n_early += one.started < until - SLACK_SECONDS
        if one.status == TOO_MANY:
            times = times + 1 if one.started - until <= CALM_SECONDS else 1
            named = float(one.fault.rsplit(" ", 1)[1]) if " for " in one.fault else 0.0
            silence = max(min(MINUTE_SECONDS * 2 ** (times - 1), HOUR_SECONDS), min(named, A_DAY_SECONDS))
            until = max(until, one.started + silence)
    return Tally(together=sum(one.n_together > 0 for one in asked), early=n_early)


def hurried(tries: Sequence[tuple[float, bool]]) -> Tally:
    """Tries that came in the pause of a breaker: (time, whether it failed), whether they reached the server or not."""
    failures = n_early = 0
    for (time, has_failed), (following, _) in pairwise(tries):
        failures = failures + 1 if has_failed else 0
        n_early += failures >= BREAKER_FAILURES and following - time < BREAKER_SECONDS
    return Tally(early=n_early)
