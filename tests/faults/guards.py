"""Removed guards: each rule of the ingestion taken away in turn. The matrix must turn red, or it proves nothing.

Several rules heal each other's absence. So a guard is removed with those off that would heal it, and the same trials
with these off but the guard in place must stay green.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from faults.weather import ROWS, Row, earlier_page, later_page, out_of_order, twice

from kshift_assets.chess import game_store, ingestion, pending
from resources import exchange, lichess
from resources.breaker import HostState
from resources.contracts import GameDocument
from resources.exchange import Request
from resources.lake import Cursor
from resources.lichess import Page
from resources.lines import Line

Removal = Callable[[pytest.MonkeyPatch], None]


def inclusive_cursor(patch: pytest.MonkeyPatch) -> None:
    """Ask from the millisecond after the last game."""
    patch.setattr(
        ingestion.Pass,
        "since",
        property(lambda way: None if way.position is None else max(way.position + 1, 1356998400070)),
    )
    patch.setattr(ingestion.Pass, "covers", lambda *_: True)


def continuity(patch: pytest.MonkeyPatch) -> None:
    """Believe a page that does not begin with the game from which it was asked for."""
    patch.setattr(ingestion.Pass, "is_joined", lambda *_: True)


def order_check(patch: pytest.MonkeyPatch) -> None:
    """Believe a page in any order."""
    patch.setattr(ingestion.Pass, "is_in_order", lambda *_: True)


def ascending_order(patch: pytest.MonkeyPatch) -> None:
    """Ask in the order that the server likes best: newest first."""

    def request(path: str, params: dict[str, Any] | None = None, **more: Any) -> Request:
        return Request(path, {key: value for key, value in (params or {}).items() if key != "sort"}, **more)

    patch.setattr(lichess, "Request", request)


def asking_until_nothing_new(patch: pytest.MonkeyPatch) -> None:
    """Take an answer that is not full for the last one."""

    def is_complete_after(_: ingestion.Pass, page: Page, *, is_fruitful: bool) -> bool:  # noqa: ARG001  # as the real one
        return len(page.games) + len(page.broken) < page.asked

    patch.setattr(ingestion.Pass, "is_complete_after", is_complete_after)


def page_before_cursor(patch: pytest.MonkeyPatch) -> None:
    """Move the cursor, then store the page."""
    add = game_store.GameStore.add

    def hasty_add(
        self: game_store.GameStore, games: Any, user: str, fetch: Any, cursor: Cursor | None = None
    ) -> list[GameDocument]:
        if cursor:
            nothing = pl.DataFrame(schema=game_store.GAMES_SCHEMA)
            self.lake.append(game_store.PLAYER_GAMES.full_name, nothing, game_store.GAMES_SCHEMA, cursor)
        return add(self, games, user, fetch)

    patch.setattr(game_store.GameStore, "add", hasty_add)


def dedupe(patch: pytest.MonkeyPatch) -> None:
    """Store what comes, whether it is there or not."""
    patch.setattr(game_store.GameStore, "_new", lambda _, games, fetched: [(game, fetched) for game in games])


def own_line_splitting(patch: pytest.MonkeyPatch) -> None:
    """Split lines as Python and HTTP clients do, at U+2028 too."""

    def split(chunks: Iterable[bytes], longest: int) -> Iterator[Line]:
        for line in b"".join(chunks).decode("utf-8", "replace").splitlines():
            data = line.encode()
            yield Line(data[:longest], is_too_long=len(data) > longest)

    patch.setattr(exchange, "split", split)


def own_games_only(patch: pytest.MonkeyPatch) -> None:
    """Store whatever game comes as the player's."""
    patch.setattr(lichess, "_is_of", lambda *_: None)


def keeping_unfinished(patch: pytest.MonkeyPatch) -> None:
    """Forget games that are not over when they are seen."""

    def note(self: pending.Waiting, seen: Iterable[pending.Unfinished], _: object) -> None:
        self.ids |= {one.id_game for one in seen}

    patch.setattr(pending.Waiting, "note", note)


def quiet_time(patch: pytest.MonkeyPatch) -> None:
    """Go on after a 429."""
    patch.setattr(HostState, "quiet_left", lambda *_: 0.0)


def breaker(patch: pytest.MonkeyPatch) -> None:
    """Never leave a failing host alone."""
    patch.setattr(HostState, "pause_left", lambda *_: 0.0)


@contextmanager
def without(*removals: Removal) -> Iterator[None]:
    """In this block these guards are gone."""
    with pytest.MonkeyPatch.context() as patch:
        for remove in removals:
            remove(patch)
        yield


@dataclass(frozen=True)
class Guard:
    """A rule, and in which trials its absence must show."""

    name: str
    row: Row
    removal: Removal | None
    """None: the look-back, which is removed by asking for none."""
    healers: tuple[Removal, ...] = ()
    has_lookback: bool = True
    only_months: bool = False

    @property
    def used_lookback(self) -> timedelta | None:
        """The look-back that the code is told, where that is not the promised one."""
        return None if self.has_lookback else timedelta()


CROWDS = Row(
    "crowds", "more games in a millisecond than fit on a page", (twice, out_of_order), turns=frozenset({"crowd"})
)
MIXED_UP = Row("mixed up", "the answer to another question", (earlier_page, later_page), share=0.5)

GUARDS = (
    Guard("inclusive cursor", CROWDS, inclusive_cursor, (continuity,), has_lookback=False),
    Guard("look-back", ROWS["H7"], None),
    Guard("page before cursor", ROWS["H8"], page_before_cursor, has_lookback=False),
    Guard("dedupe", ROWS["H6"], dedupe),
    Guard("own line splitting", ROWS["H5"], own_line_splitting),
    Guard("ascending order", ROWS["H3"], ascending_order, (order_check, continuity), has_lookback=False),
    Guard("ask until nothing new", ROWS["H4"], asking_until_nothing_new, only_months=True),
    Guard("begins where asked", MIXED_UP, continuity, has_lookback=False),
    Guard("own games only", ROWS["H5"], own_games_only),
    Guard("unfinished kept by id", ROWS["H7"], keeping_unfinished),
    Guard("quiet time", ROWS["H1"], quiet_time),
    Guard("breaker", ROWS["H2"], breaker),
)
