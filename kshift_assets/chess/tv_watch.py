"""Looking at Lichess TV: which games run now on which channel, and how those ended that ran before."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from kshift_assets.chess.game_store import store_fetches
from kshift_assets.chess.tv_store import TvStore
from resources.contracts import ContractBroken
from resources.exchange import Fetch
from resources.lake import Lake
from resources.lichess import MOST_IDS, MOST_TV_GAMES, Lichess, Page
from resources.names import month_of
from resources.source_errors import NotThere, Refused, SourceError, SourceOpen

CHANNELS = (
    *("best", "bullet", "blitz", "rapid", "classical", "ultraBullet", "chess960", "crazyhouse"),
    *("antichess", "atomic", "horde", "kingOfTheHill", "racingKings", "threeCheck", "bot", "computer"),
)
"""Lichess's channels; one that it adds is found in its own list of them."""


Answer = TypeVar("Answer")


@dataclass
class TvHarvest:
    """What a run saw and stored."""

    channels: dict[str, int] = field(default_factory=dict)
    """Channel → games listed on it."""
    months: Counter[str] = field(default_factory=Counter)
    """Month → games stored."""
    n_running: int = 0
    """Games that are not over, after the run."""
    n_requests: int = 0
    given_up: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What could not be asked or read."""
    broken: str | None = None
    """The first answer that was not what we rely on."""

    @property
    def n_new(self) -> int:
        """Games stored."""
        return self.months.total()


class _Stopped(Exception):
    """The source wants no more questions in this run."""


def watch_tv(lake: Lake, lichess: Lichess, tell: Callable[[str], None] = lambda _: None) -> TvHarvest:
    """Note what every channel shows, then ask by id for the games that may be over.

    A source's failure is not raised but told in the harvest: what one channel lacks, the others still bring.
    """

    def look(watch: "_Watch") -> None:
        shown = watch.attempt(lichess.tv_channels) or {}
        pages: dict[str, Page] = {}
        try:
            for channel in dict.fromkeys((*CHANNELS, *shown)):
                page = watch.attempt(partial(lichess.tv_games, channel, MOST_TV_GAMES))
                if page:
                    pages[channel] = page
                    watch.harvest.channels[channel] = len(page.games)
        finally:  # what was seen before the source stopped us is not forgotten
            running = watch.store.sight(pages, shown, watch.now())
        due = [
            sighting.id_game for sighting in watch.store.unfinished().values() if sighting.is_due(watch.now(), running)
        ]
        watch.ask(due)

    return _Watch(lake, lichess, tell).run(look)


def finish_month(lake: Lake, lichess: Lichess, month: str, tell: Callable[[str], None] = lambda _: None) -> TvHarvest:
    """Ask by id for all games of a month that are not over yet, those given up included."""
    return _Watch(lake, lichess, tell).run(
        lambda watch: watch.ask([one.id_game for one in watch.store.unfinished().values() if one.is_of(month)])
    )


class _Watch:
    """One run: its store, what it brought in, and the requests for the log."""

    def __init__(self, lake: Lake, lichess: Lichess, tell: Callable[[str], None]) -> None:
        self.store = TvStore(lake, lichess.state_folder / "tv_games.lock")
        self.harvest = TvHarvest()
        self._lichess, self._tell = lichess, tell

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._lichess.access.clock.wall(), UTC)

    def run(self, work: "Callable[[_Watch], None]") -> TvHarvest:
        fetches: list[Fetch] = []
        with self._lichess.telling(fetches.append):
            try:
                work(self)
            except _Stopped:
                self._tell("the source wants no more questions: what is left waits for the next run")
            finally:
                store_fetches(self.store.lake, fetches)
        self.harvest.n_requests = len(fetches)
        self.harvest.n_running = len(self.store.unfinished())
        return self.harvest

    def attempt(self, ask: Callable[[], Answer]) -> Answer | None:
        """The answer, or None with the problem noted. Raises _Stopped where asking on would be wrong."""
        try:
            return ask()
        except NotThere as error:  # a channel that Lichess no longer has
            self._tell(str(error))
        except (SourceOpen, Refused) as error:
            self.harvest.problems.append(str(error))
            raise _Stopped from error
        except ContractBroken as error:
            self.harvest.broken = self.harvest.broken or str(error)
            self.harvest.problems.append(str(error))
        except SourceError as error:
            self.harvest.problems.append(str(error))
        return None

    def ask(self, ids: Sequence[str]) -> None:
        """Ask for games by their ids, and store what is over batch by batch."""
        for batch in _batches(ids):
            page = self.attempt(partial(self._lichess.games_by_ids, batch))
            if page is None:
                continue
            if page.cut:
                self.harvest.problems.append(page.cut)
            settled = self.store.settle(batch, page, self.now())
            self.harvest.months.update(month_of(game.created_ms) for game in settled.stored)
            self.harvest.given_up += settled.given_up
            self._tell(f"{len(batch)} games asked for by id, {len(settled.stored)} of them are over and stored")


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for first in range(0, len(ids), MOST_IDS):
        yield ids[first : first + MOST_IDS]
