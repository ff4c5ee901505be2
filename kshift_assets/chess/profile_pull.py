"""Asking Lichess about players: profiles in batches of those who lack one or whose copy is old, rating histories."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import polars as pl

from kshift_assets.chess.game_store import store_fetches
from kshift_assets.chess.marts import player_summary
from kshift_assets.chess.profile_store import PROFILE, RATING_HISTORY, ProfileStore
from kshift_assets.tables import polars_schema
from resources.contracts import ContractBroken
from resources.exchange import Fetch
from resources.lake import Lake
from resources.lichess import MOST_IDS, Lichess, RatingDocument
from resources.source_errors import NotThere, Refused, SourceError, SourceOpen

HISTORY_AGE = timedelta(hours=20)
"""A rating history has one point a day: a daily run at about the same hour finds each one due."""
HISTORIES_A_COMMIT = 50
BELIEVED_EMPTY = 10
"""An answer that knows none of so many users is not believed: it would mark them all as gone."""

Answer = TypeVar("Answer")


@dataclass
class PeopleHarvest:
    """What a run asked and stored."""

    n_asked: int = 0
    n_new: int = 0
    """Rows stored."""
    n_left: int = 0
    """Users who are due and have to wait for a later run."""
    n_requests: int = 0
    problems: list[str] = field(default_factory=list)
    broken: str | None = None
    """The first answer that was not what we rely on."""


def players_to_ask(lake: Lake, followed: Sequence[str]) -> list[str]:
    """The followed players, then all others of marts.player_summary, those with most games first."""
    table = player_summary.mart.table
    summary = lake.scan(table.full_name, polars_schema(table.model))
    others = (
        summary.group_by("id_user").agg(pl.col("n_games").sum()).sort("n_games", "id_user", descending=[True, False])
    )
    return list(dict.fromkeys([*followed, *others.select("id_user").collect().to_series()]))


def pull_profiles(
    lake: Lake,
    lichess: Lichess,
    users: Sequence[str],
    max_age: timedelta,
    budget: int,
    tell: Callable[[str], None] = lambda _: None,
) -> PeopleHarvest:
    """Fetch the profiles of at most `budget` users who have none, or an older one than `max_age`; first come first.

    A source's failure is not raised but told in the harvest, with what was stored before.
    """
    pull = _Pull(lake, lichess)

    def ask() -> None:
        due = pull.store.due(PROFILE, users, pull.now(), max_age)
        wanted, pull.harvest.n_left = due[:budget], len(due[budget:])
        for first in range(0, len(wanted), MOST_IDS):
            batch = wanted[first : first + MOST_IDS]
            found = pull.attempt(partial(lichess.users, batch))
            if found is None:
                continue
            if not found and len(batch) > BELIEVED_EMPTY:
                pull.harvest.problems.append(f"Lichess claims to know none of {len(batch)} users: not believed")
                continue
            pull.harvest.n_new += pull.store.add_profiles(batch, found, pull.fetches[-1].id_fetch, pull.now())
            pull.harvest.n_asked += len(batch)
            tell(f"{pull.harvest.n_asked} of {len(wanted)} profiles asked for, {pull.harvest.n_new} new")

    return pull.run(ask)


def pull_histories(
    lake: Lake, lichess: Lichess, users: Sequence[str], tell: Callable[[str], None] = lambda _: None
) -> PeopleHarvest:
    """Fetch the rating histories of users that were not fetched today; one request a user."""
    pull = _Pull(lake, lichess)
    waiting: list[RatingDocument] = []

    def store() -> None:
        if waiting:
            pull.harvest.n_new += pull.store.add_histories(waiting, pull.now())
            pull.harvest.n_asked += len(waiting)
            tell(f"{pull.harvest.n_asked} rating histories, {pull.harvest.n_new} new ratings")
            waiting.clear()

    def ask() -> None:
        try:
            for name in pull.store.due(RATING_HISTORY, users, pull.now(), HISTORY_AGE):
                try:
                    history = pull.attempt(partial(lichess.rating_history, name))
                except NotThere:  # closed: what is stored stays
                    pull.store.note_asked(RATING_HISTORY, [name], pull.now())
                    continue
                waiting.extend([history] if history else [])
                if len(waiting) >= HISTORIES_A_COMMIT:
                    store()
        finally:
            store()

    return pull.run(ask)


class _Stopped(Exception):
    """The source wants no more questions in this run."""


class _Pull:
    """One run: its store, what it brought in, and the requests for the log."""

    def __init__(self, lake: Lake, lichess: Lichess) -> None:
        self.store = ProfileStore(lake, lichess.state_folder / "user_profiles.lock")
        self.harvest = PeopleHarvest()
        self.fetches: list[Fetch] = []
        self._lichess = lichess

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._lichess.access.clock.wall(), UTC)

    def run(self, work: Callable[[], None]) -> PeopleHarvest:
        with self._lichess.telling(self.fetches.append):
            try:
                with suppress(_Stopped):  # the problem is noted
                    work()
            finally:
                store_fetches(self.store.lake, self.fetches)
        self.harvest.n_requests = len(self.fetches)
        return self.harvest

    def attempt(self, ask: Callable[[], Answer]) -> Answer | None:
        """The answer, or None with the problem noted. Raises NotThere, and _Stopped where asking on would be wrong."""
        try:
            return ask()
        except NotThere:
            raise
        except (SourceOpen, Refused) as error:
            self.harvest.problems.append(str(error))
            raise _Stopped from error
        except ContractBroken as error:
            self.harvest.broken = self.harvest.broken or str(error)
            self.harvest.problems.append(str(error))
        except SourceError as error:
            self.harvest.problems.append(str(error))
        return None
