"""Storing what Lichess sent: each version of a game's document once, whoever brings it and however often."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from filelock import FileLock

from kshift_assets.chess.tables import FETCHES, PLAYER_FETCHES, PLAYER_GAMES
from kshift_assets.tables import polars_schema
from resources.contracts import GameDocument
from resources.exchange import Fetch
from resources.lake import Cursor, Lake
from resources.lichess import Lichess
from resources.names import month_of

GAMES_SCHEMA = polars_schema(PLAYER_GAMES.model)
FETCHES_SCHEMA = polars_schema(FETCHES.model)
OUTCOMES_SCHEMA = polars_schema(PLAYER_FETCHES.model)
EPOCH = datetime.fromtimestamp(0, UTC)
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class PlayerOutcome:
    """What a run did for one player."""

    id_user: str
    state: str
    """`done`; `gone`: no such player, or closed; `failed`; `broken`: the answers are not what we rely on;
    `postponed`: the run ended before."""
    n_new: int
    """Documents stored."""
    n_pages: int
    n_broken: int
    """Lines set aside."""
    reason: str | None = None


@dataclass
class _Known:
    """What is stored of one game."""

    hashes: set[str] = field(default_factory=set)
    newest: datetime = EPOCH


@dataclass(frozen=True)
class GameStore:
    """The table lichess.player_games as ingestion writes it.

    Looking whether a document is there and adding it is one step: a kernel lock keeps other processes out meanwhile,
    since two players who are followed bring the same game.
    """

    lake: Lake
    lock: Path

    def cursor(self, name: str) -> int | None:
        """Where the ingestion under this name goes on."""
        return self.lake.cursor(PLAYER_GAMES.full_name, name)

    def add(
        self,
        games: Sequence[GameDocument],
        user: str,
        fetch: tuple[str, datetime],
        cursor: Cursor | None = None,
    ) -> list[GameDocument]:
        """Store the documents that are not there yet and, in the same commit, move the cursor; gives those stored.

        `fetch` is the id and the time of the request that brought them. Nothing is committed where nothing is new and
        the cursor stays. Raises CursorMoved, with nothing stored, if somebody else moved it.
        """
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.lock, poll_interval=0.01):
            new = self._new(games, fetch[1])
            if new or cursor:
                rows = [_row(game, user, fetch[0], moment) for game, moment in new]
                frame = pl.DataFrame(rows, schema=GAMES_SCHEMA, orient="row")
                self.lake.append(PLAYER_GAMES.full_name, frame, GAMES_SCHEMA, cursor)
        return [game for game, _ in new]

    def _new(self, games: Sequence[GameDocument], fetched: datetime) -> list[tuple[GameDocument, datetime]]:
        """The documents that are not there, each with the time at which it counts as fetched."""
        known = self._known(games)
        new = []
        for game in games:
            there = known.setdefault(game.id_game, _Known())
            if game.val_hash in there.hashes:
                continue
            # The newest version counts: it must look newer than those before it, also where our clock was set back.
            there.newest = max(fetched, there.newest + TICK) if there.hashes else fetched
            there.hashes.add(game.val_hash)
            new.append((game, there.newest))
        return new

    def _known(self, games: Sequence[GameDocument]) -> dict[str, _Known]:
        months = sorted({month_of(game.created_ms) for game in games})
        found = (
            self.lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA, months)
            .filter(pl.col("id_game").is_in([game.id_game for game in games]))
            .select("id_game", "val_hash", "tm_ingested")
            .collect()
        )
        known: dict[str, _Known] = {}
        for id_game, val_hash, ingested in found.iter_rows():
            there = known.setdefault(id_game, _Known())
            there.hashes.add(val_hash)
            there.newest = max(there.newest, ingested)
        return known


def _row(game: GameDocument, user: str, id_fetch: str, fetched: datetime) -> dict[str, object]:
    return {
        "id_game": game.id_game,
        "id_user": user,
        "tm_created": EPOCH + timedelta(milliseconds=game.created_ms),
        "val_document": game.document.decode(),
        "val_hash": game.val_hash,
        "id_fetch": id_fetch,
        "tm_ingested": fetched,
        "dt_month": month_of(game.created_ms),
    }


def player_store(lake: Lake, lichess: Lichess) -> GameStore:
    """The store of this lake, with the lock that all processes share that ask this source."""
    return GameStore(lake, lichess.state_folder / "player_games.lock")


def store_fetches(lake: Lake, fetches: Iterable[Fetch]) -> None:
    """Add requests to the fetch log."""
    rows = [asdict(fetch) | {"dt_month": f"{fetch.tm_started:%Y-%m}"} for fetch in fetches]
    if rows:
        lake.append(FETCHES.full_name, pl.DataFrame(rows, schema=FETCHES_SCHEMA, orient="row"), FETCHES_SCHEMA)


def store_outcomes(lake: Lake, outcomes: Iterable[PlayerOutcome], moment: datetime) -> None:
    """Write down who was fetched and who could not be; not those whose turn did not come, for nothing became of it."""
    rows = [
        {
            "id_user": one.id_user,
            "tm_fetched": moment,
            "val_state": one.state,
            "n_new": one.n_new,
            "n_pages": one.n_pages,
            "val_reason": one.reason,
        }
        for one in outcomes
        if one.state != "postponed"
    ]
    if rows:
        lake.append(PLAYER_FETCHES.full_name, pl.DataFrame(rows, schema=OUTCOMES_SCHEMA, orient="row"), OUTCOMES_SCHEMA)
