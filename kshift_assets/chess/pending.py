"""Games that are not over yet, by id: an export lists a game by its creation, and never again once we looked past that.

What belongs here: the table lichess.pending_games. Asking Lichess for the games in it is in `late_finishers.py`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from kshift_assets.chess.tables import PENDING_GAMES
from kshift_assets.tables import polars_schema
from resources.lake import Lake

TABLE = PENDING_GAMES.full_name
SCHEMA = polars_schema(PENDING_GAMES.model)
SOONEST, LATEST = timedelta(hours=1), timedelta(days=7)
MISSES = 3
"""Times in a row that Lichess must lack a game before it is given up: an answer may end early and look whole."""


class Unfinished(NamedTuple):
    """A game that was seen before it was over."""

    id_game: str
    id_user: str
    created: datetime


def next_due(created: datetime, now: datetime) -> datetime:
    """When to ask again: after half the time that the game has lasted, at least an hour, at most a week."""
    return now + min(max((now - created) / 2, SOONEST), LATEST)


def pending(lake: Lake) -> pl.DataFrame:
    """All rows: one a game."""
    return lake.scan(TABLE, SCHEMA).collect()


def due(lake: Lake, now: datetime, most: int) -> pl.DataFrame:
    """The games to ask for, longest due first."""
    waits = pl.col("tm_next_due") <= now
    return lake.scan(TABLE, SCHEMA).filter(waits).sort("tm_next_due", "id_game").head(most).collect()


def note(lake: Lake, seen: Iterable[Unfinished], now: datetime, first_due: datetime | None = None) -> int:
    """Keep unfinished games that are not kept yet; how many were new. They are due at `first_due`, if given."""
    rows = [
        _row(one, tm_seen=now, tm_next_due=first_due or next_due(one.created, now))
        for one in {one.id_game: one for one in seen}.values()
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")

    def unknown(stored: pl.DataFrame) -> pl.DataFrame:
        return frame.join(stored.filter(pl.col("val_state") != "gone"), on="id_game", how="anti")

    def merged(stored: pl.DataFrame) -> pl.DataFrame:
        new = unknown(stored)
        return pl.concat([stored.join(new, on="id_game", how="anti"), new])

    number = unknown(pending(lake)).height if rows else 0
    if number:
        _rewrite(lake, merged)
    return number


def settle(
    lake: Lake, over: Collection[str], running: Collection[str], missing: Collection[str], now: datetime
) -> None:
    """Write down what asking brought: games that are over leave the table, the others get a later time."""
    is_there = pl.col("id_game").is_in

    def settled(stored: pl.DataFrame) -> pl.DataFrame:
        asked = stored.filter(is_there(list({*running, *missing})))
        rows = [_asked_again(row, now, is_missing=row["id_game"] in missing) for row in asked.iter_rows(named=True)]
        rest = stored.filter(~is_there(list({*over, *running, *missing})))
        return pl.concat([rest, pl.DataFrame(rows, schema=SCHEMA, orient="row")])

    if over or running or missing:
        _rewrite(lake, settled)


@dataclass
class Waiting:
    """The unfinished games that a run knows of: one that is known is no news, and is not written down again."""

    lake: Lake
    ids: set[str]

    @classmethod
    def of(cls, lake: Lake) -> "Waiting":
        """Those that the lake keeps."""
        return cls(lake, set(pending(lake).filter(pl.col("val_state") != "gone")["id_game"]))

    def note(self, seen: Collection[Unfinished], now: datetime) -> None:
        """Keep those that are news; durable when the call returns, so that a cursor may move past them."""
        news = [one for one in seen if one.id_game not in self.ids]
        if news:
            note(self.lake, news, now)
            self.ids |= {one.id_game for one in news}

    def forget(self, over: Collection[str], now: datetime) -> None:
        """Take out those that were kept and are stored as finished now."""
        if kept := self.ids & set(over):
            settle(self.lake, kept, (), (), now)
            self.ids -= kept


def _rewrite(lake: Lake, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    # The table is read inside the function that the commit calls: one that lost a race reads again, so no row that
    # another process just noted is lost.
    def frames() -> Iterator[pl.DataFrame]:
        yield change(pending(lake)).sort("tm_created", "id_game")

    lake.overwrite(TABLE, frames, SCHEMA)


def _row(one: Unfinished, **times: datetime) -> dict[str, object]:
    return {
        "id_game": one.id_game,
        "id_user": one.id_user,
        "tm_created": one.created.astimezone(UTC),
        "n_tries": 0,
        "n_missing": 0,
        "val_state": "waiting",
    } | times


def _asked_again(row: Mapping[str, Any], now: datetime, *, is_missing: bool) -> dict[str, Any]:
    n_missing = row["n_missing"] + 1 if is_missing else 0
    is_gone = n_missing >= MISSES
    return {
        **row,
        "tm_next_due": None if is_gone else next_due(row["tm_created"], now),
        "n_tries": row["n_tries"] + 1,
        "n_missing": n_missing,
        "val_state": "gone" if is_gone else "missing" if is_missing else "waiting",
    }
