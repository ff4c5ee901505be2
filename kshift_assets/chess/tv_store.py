"""What was seen on Lichess TV: a game that runs is kept until it is over, then its document is stored, once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from filelock import FileLock

from kshift_assets.audit import broken_rules
from kshift_assets.chess.tables import TV_GAMES, TV_RUNNING
from kshift_assets.reporting import AuditFailed
from kshift_assets.tables import polars_schema, split
from resources.contracts import GameDocument
from resources.lake import Lake
from resources.lichess import Page
from resources.names import month_of

TV_SCHEMA = polars_schema(TV_GAMES.model)
RUNNING_SCHEMA = polars_schema(TV_RUNNING.model)
EPOCH = datetime.fromtimestamp(0, UTC)

RUNNING, OVER, GIVEN_UP = "running", "over", "given up"
GIVE_UP_AFTER = timedelta(days=14)
"""Without a sign of life for so long, a game is asked for no more: Lichess deletes games that nobody moved in."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=50), timedelta(days=1)
"""Pauses between two questions after one game: doubled each time, since most games end within minutes."""


@dataclass(frozen=True)
class Sighting:
    """A game that was on TV and is not stored yet: a row of lichess.tv_running."""

    id_game: str
    val_channel: str
    val_state: str
    tm_created: datetime | None
    val_document: str | None
    tm_seen_first: datetime
    tm_seen_last: datetime
    tm_asked: datetime | None = None
    n_asked: int = 0

    def is_due(self, now: datetime, seen: Collection[str]) -> bool:
        """Whether to ask for it by id: it may be over, and the pause since the last question is long enough."""
        if self.val_state == GIVEN_UP or (
            self.val_state == RUNNING and self.val_document is not None and self.id_game in seen
        ):
            return False
        # A clock that was set back must not silence a game for ever.
        waited = abs(now - self.tm_asked) if self.tm_asked else LONGEST_WAIT
        n_doubled = min(max(self.n_asked - 1, 0), 20)  # beyond that a timedelta overflows
        return waited >= min((1 << n_doubled) * FIRST_WAIT, LONGEST_WAIT)

    def is_of(self, month: str) -> bool:
        """Whether it was created in that month, UTC."""
        return self.tm_created is not None and f"{self.tm_created:%Y-%m}" == month

    def seen(self, game: GameDocument, moment: datetime) -> "Sighting":
        """The same game, seen again."""
        return replace(
            self,
            val_state=OVER if game.is_finished else RUNNING,
            tm_created=EPOCH + timedelta(milliseconds=game.created_ms),
            val_document=game.document.decode(),
            tm_seen_last=max(self.tm_seen_last, moment),
        )


@dataclass(frozen=True)
class Settled:
    """What came of asking for games by id."""

    stored: list[GameDocument] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TvStore:
    """The tables lichess.tv_running and lichess.tv_games.

    Reading what is there and writing what follows is one step: a kernel lock keeps other processes out meanwhile. A
    document is stored before the game leaves lichess.tv_running, so that a kill between the two loses nothing, and a
    document that is there already is not stored again, so that it doubles nothing.
    """

    lake: Lake
    lock: Path

    def unfinished(self) -> dict[str, Sighting]:
        """Games that were seen and are not stored yet, by id."""
        rows = self.lake.scan(TV_RUNNING.full_name, RUNNING_SCHEMA).collect().iter_rows(named=True)
        return {row["id_game"]: Sighting(**row) for row in rows}

    def sight(self, pages: Mapping[str, Page], shown: Mapping[str, str], now: datetime) -> set[str]:
        """Note the games of each channel, and those that channels show without listing them; gives the running ones."""
        with self._locked():
            before = self.unfinished()
            games = [game for page in pages.values() for game in page.games]
            stored = self._stored(games)
            after = dict(before)
            for channel, page in pages.items():
                for game in page.games:
                    if game.id_game not in stored:
                        known = after.get(game.id_game) or _first_sight(game.id_game, channel, page.tm_fetched)
                        after[game.id_game] = replace(known.seen(game, page.tm_fetched), tm_asked=None, n_asked=0)
            listed = {game.id_game for game in games}
            for channel, id_game in shown.items():
                if id_game not in listed:
                    after.setdefault(id_game, _first_sight(id_game, channel, now))
            self._keep(before, after)
        return {game.id_game for game in games if not game.is_finished}

    def settle(self, asked: Iterable[str], page: Page, now: datetime) -> Settled:
        """Store the games that are over, note the others as still running, give up those long without a sign of life.

        Raises AuditFailed, with nothing stored, if a row breaks a rule of lichess.tv_games.
        """
        found = {game.id_game: game for game in page.games}
        settled = Settled()
        with self._locked():
            before = self.unfinished()
            over = [game for game in found.values() if game.is_finished]
            stored = self._stored(over)
            settled.stored.extend(game for game in over if game.id_game not in stored)
            self._append(settled.stored, before, page)
            after = dict(before)
            for id_game in asked:
                known, game = after.get(id_game), found.get(id_game)
                if known is None:
                    continue
                if game and game.is_finished:
                    del after[id_game]
                    continue
                known = known.seen(game, page.tm_fetched) if game else known
                is_lost = now - known.tm_seen_last > GIVE_UP_AFTER
                if is_lost:
                    settled.given_up.append(id_game)
                after[id_game] = replace(
                    known, val_state=GIVEN_UP if is_lost else known.val_state, tm_asked=now, n_asked=known.n_asked + 1
                )
            self._keep(before, after)
        return settled

    def _locked(self) -> FileLock:
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.lock, poll_interval=0.01)

    def _stored(self, games: Sequence[GameDocument]) -> set[str]:
        months = sorted({month_of(game.created_ms) for game in games})
        ids = [game.id_game for game in games]
        stored = self.lake.scan(TV_GAMES.full_name, TV_SCHEMA, months).filter(pl.col("id_game").is_in(ids))
        return set(stored.select("id_game").collect().to_series())

    def _append(self, games: Sequence[GameDocument], seen: Mapping[str, Sighting], page: Page) -> None:
        rows = [_row(game, seen.get(game.id_game), page) for game in games]
        if not rows:
            return
        good, bad = split(TV_GAMES.model, pl.DataFrame(rows, schema=TV_SCHEMA, orient="row"))
        if bad.height:
            raise AuditFailed(broken_rules(bad))
        self.lake.append(TV_GAMES.full_name, good, TV_SCHEMA)

    def _keep(self, before: Mapping[str, Sighting], after: Mapping[str, Sighting]) -> None:
        if after == before:
            return
        rows = [asdict(after[id_game]) for id_game in sorted(after)]
        frame = pl.DataFrame(rows, schema=RUNNING_SCHEMA, orient="row")
        self.lake.overwrite(TV_RUNNING.full_name, lambda: [frame], RUNNING_SCHEMA)


def _first_sight(id_game: str, channel: str, moment: datetime) -> Sighting:
    return Sighting(id_game, channel, RUNNING, None, None, moment, moment)


def _row(game: GameDocument, sighting: Sighting | None, page: Page) -> dict[str, object]:
    return {
        "id_game": game.id_game,
        "val_channel": sighting.val_channel if sighting else None,
        "tm_created": EPOCH + timedelta(milliseconds=game.created_ms),
        "tm_seen_first": sighting.tm_seen_first if sighting else page.tm_fetched,
        "val_document": game.document.decode(),
        "val_hash": game.val_hash,
        "id_fetch": page.id_fetch,
        "tm_ingested": page.tm_fetched,
        "dt_month": month_of(game.created_ms),
    }
