"""Ingestion of players' games: every finished game once, whatever breaks on the way.

The rules and why they hold:
- Games are asked for oldest first, from the last stored one on, that one included. The end of an answer proves
  nothing (a proxy may have closed it): we ask again from its last game until nothing new comes.
- A page and the cursor past it are one commit. A kill loses at most the page in flight.
- The cursor passes only what certainly came: not over a line that could not be read (before it was asked for again),
  and not at all on a page that is out of order. It rests on finished games only, since others may vanish.
- An answer that was meant for another question shows it: games of others, or no game where we asked from. One that
  holds nothing but games of both players and happens to begin right is believed; the look-back brings what it skipped.
- Games are listed by creation, and may finish and be analysed much later: each run reads the time before its cursor
  again, as far as the look-back says. A game that is not over when it is seen is kept by its id, in a commit before
  the one that moves the cursor past it, and asked for until it is over (`late_finishers.py`).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from kshift_assets.chess.game_store import EPOCH, GameStore, PlayerOutcome, player_store, store_fetches, store_outcomes
from kshift_assets.chess.pending import Unfinished, Waiting
from resources.contracts import ContractBroken, GameDocument, SourceComplains
from resources.exchange import Fetch
from resources.lake import Cursor, CursorMoved, Lake
from resources.lichess import MOST_GAMES, Broken, Lichess, Page
from resources.names import OLDEST_MS, month_of, month_span, user_id
from resources.source_errors import NotThere, Refused, SourceError, SourceOpen, StreamBroken

CURSOR = "lichess.player_games/{}"
FRUITLESS = 3
"""Pages in a row that bring a player nothing although there is more, before the player is given up for this run."""
BROKEN_PLAYERS = 3
"""Players in a row whose answers break the contract, before the run ends: it is the contract then, not they."""
FETCHES_A_COMMIT = 200


@dataclass
class Harvest:
    """What a run brought in."""

    months: Counter[str] = field(default_factory=Counter)
    """Month → documents stored; only months that changed."""
    players: list[PlayerOutcome] = field(default_factory=list)
    n_requests: int = 0

    @property
    def n_new(self) -> int:
        """Documents stored."""
        return self.months.total()

    @property
    def failed(self) -> list[PlayerOutcome]:
        """Players who did not get all of theirs; those who are gone are none of them."""
        return [player for player in self.players if player.state in ("failed", "broken", "postponed")]


def pull_players(  # noqa: PLR0913  # all but the first three have a usual value
    lake: Lake,
    lichess: Lichess,
    users: Iterable[str],
    page_games: int = 300,
    lookback: timedelta = timedelta(days=14),
    tell: Callable[[str], None] = lambda _: None,
    *,
    most_requests: int | None = None,
) -> Harvest:
    """Store what is new of each player, and what changed of late; page by page in turns, so that nobody starves.

    After `most_requests` no further page is asked for: players who lack some are postponed, and go on from there the
    next time. Raises UserError for what cannot be a name. A source's failure is not raised but told in the outcome of
    the player.
    """
    store = player_store(lake, lichess)
    waiting = Waiting.of(lake)
    pulls = []
    for name in dict.fromkeys(user_id(one) for one in users):
        cursor = CURSOR.format(name)
        start = store.cursor(cursor)
        passes = deque([Pass(start, None, page_games, cursor=cursor)])
        if start is not None and start > OLDEST_MS and lookback > timedelta():
            back = max(start - lookback // timedelta(milliseconds=1), OLDEST_MS)
            passes.append(Pass(back, start + 1, page_games, goal=start))
        pulls.append(Pull(name, passes, waiting))
    harvest = _run(store, lichess, pulls, tell, most_requests)
    store_outcomes(lake, harvest.players, wall_time(lichess))
    return harvest


def pull_player(
    lake: Lake, lichess: Lichess, user: str, page_games: int = 300, lookback: timedelta = timedelta(days=14)
) -> Harvest:
    """Store what is new of one player, and what changed of late."""
    return pull_players(lake, lichess, [user], page_games, lookback)


def pull_month(
    lake: Lake,
    lichess: Lichess,
    users: Iterable[str],
    month: str,
    page_games: int = 300,
    tell: Callable[[str], None] = lambda _: None,
) -> Harvest:
    """Store each player's games of one month, whatever was stored before; moves no cursor."""
    since, until = month_span(month)
    since = max(since, OLDEST_MS)  # Lichess takes no earlier one: 70 ms of January 2013 are left to the other way
    names = dict.fromkeys(user_id(one) for one in users)
    waiting = Waiting.of(lake)
    pulls = [Pull(name, deque([Pass(since, until, page_games)]), waiting) for name in names]
    return _run(player_store(lake, lichess), lichess, pulls, tell)


@dataclass
class Pass:
    """One way through a stretch of time, oldest game first."""

    position: int | None
    """Milliseconds: all before it is stored. None at the beginning of time."""
    until: int | None
    """Milliseconds, exclusive; None for no end."""
    page_games: int
    cursor: str | None = None
    """Name of the stored cursor that moves along, if one does."""
    stored: int | None = field(init=False)
    """Where that cursor is: at the position, or behind it where only unfinished games lie between."""
    goal: int | None = None
    """A time at which a stored game lies: a page that comes so far shows that the way is complete."""
    size: int = 0
    """Games to ask for, where it must be more than `page_games`."""
    n_fruitless: int = 0
    """Doubtful pages since one brought something."""
    was_end: bool = False
    """The page before was sound and brought nothing, so it looked like the end."""
    seen: set[str] = field(default_factory=set)
    """Games stored on the way: a further version of one is no sign that there is more."""
    told: set[bytes] = field(default_factory=set)
    """Lines that were set aside, and may be passed over when they come again."""

    is_anchored: bool = field(init=False)
    """A game lies at the position: it must come again."""

    def __post_init__(self) -> None:
        """The position is where the cursor is, at first."""
        self.stored = self.position
        self.is_anchored = self.cursor is not None and self.position is not None

    @property
    def since(self) -> int | None:
        """What to ask for: Lichess takes no time before 2013."""
        return self.position if self.position is not None and self.position >= OLDEST_MS else None

    def covers(self, game: GameDocument) -> bool:
        """Whether the game was created in the time asked for."""
        return (self.since is None or game.created_ms >= self.since) and (
            self.until is None or game.created_ms < self.until
        )

    def is_in_order(self, page: Page) -> bool:
        """Whether games came oldest first, in the time asked for; one that comes twice counts where it came first."""
        times = list({game.id_game: game.created_ms for game in page.games}.values())
        return times == sorted(times) and all(map(self.covers, page.games))

    def n_sound(self, page: Page) -> int:
        """Games before the first line that was set aside and may be readable when it is asked for again."""
        unsure = [line.n_before for line in page.broken if _mark(line) not in self.told]
        return min(unsure, default=len(page.games)) if self.n_fruitless < FRUITLESS else len(page.games)

    def is_joined(self, page: Page) -> bool:
        """Whether the page begins where we are, so that nothing lies between: a mixed-up answer may begin anywhere.

        The game that we ask from is listed again. A page with lines that are none of ours is not trusted: what lay
        between may be among them. After some tries it is: games do vanish.
        """
        if self.n_fruitless >= FRUITLESS:
            return True
        if self.is_anchored and self.since is not None and all(game.created_ms != self.position for game in page.games):
            return False
        return all(_mark(line) in self.told for line in page.broken)

    def sound(self, page: Page) -> tuple[GameDocument, ...]:
        """The games of the page up to which nothing lies that we have not got; none if they are out of order."""
        return page.games[: self.n_sound(page)] if self.is_in_order(page) and self.is_joined(page) else ()

    def move_to(self, games: Iterable[GameDocument]) -> bool:
        """Go on from the newest of these games; whether that is further than we are."""
        newest = _newest(games)
        is_further = newest is not None and (self.position is None or newest > self.position)
        if is_further:
            self.position, self.size, self.is_anchored = newest, 0, True
        return is_further

    def cursor_past(self, games: Iterable[GameDocument]) -> Cursor | None:
        """The move of the stored cursor to the newest of these games that is over, if that is further."""
        newest = _newest(game for game in games if game.is_finished)
        if self.cursor is None or newest is None or (self.stored is not None and newest <= self.stored):
            return None
        return Cursor(self.cursor, newest, self.stored)

    def is_complete_after(self, page: Page, *, is_fruitful: bool) -> bool:
        """Whether this page shows that nothing is left; else ask for the next. Raises when that is hopeless."""
        if self.goal is not None and self.position is not None and self.position >= self.goal:
            return True
        was_end, self.was_end = self.was_end, False
        if is_fruitful:
            self.n_fruitless = 0
            return False
        if (
            page.cut
            or not self.is_in_order(page)
            or not self.is_joined(page)
            or any(_mark(line) not in self.told for line in page.broken)
        ):
            self.n_fruitless += 1
            if self.n_fruitless > FRUITLESS:
                raise _hopeless(page)
            return False
        if len(page.games) + len(page.broken) >= page.asked:  # more games in one millisecond than fit on a page
            self.size = 2 * page.asked
            if self.size > MOST_GAMES:
                raise ContractBroken(f"lichess: more than {page.asked:,} games of one player in one millisecond")
            return False
        self.was_end = True
        # An empty answer is believed the second time; and any, where no later run goes on from a cursor. One that was
        # cut, or is doubtful otherwise, is no first time.
        return was_end or (bool(page.games) and self.cursor is not None)


@dataclass
class Pull:
    """The work for one player: its passes, one after the other."""

    user: str
    passes: deque[Pass]
    waiting: Waiting
    months: Counter[str] = field(default_factory=Counter)
    n_pages: int = 0
    n_broken: int = 0

    def step(self, store: GameStore, lichess: Lichess) -> int:
        """Ask for one page and store it; how many documents were new."""
        way = self.passes[0]
        page = lichess.games_of(self.user, way.since, way.until, max(way.size, way.page_games), running=True)
        self.n_pages += 1
        self.n_broken += len(page.broken)
        asked_for = [game for game in page.games if way.covers(game)]
        unfinished = [game for game in asked_for if not game.is_finished]
        known = self.waiting.ids & {game.id_game for game in unfinished}
        # First of all: were we killed after the cursor moved, nobody would hear of these games again.
        self.waiting.note([_unfinished(game, self.user) for game in unfinished], page.tm_fetched)
        sound = way.sound(page)
        cursor = way.cursor_past(sound)
        games = [game for game in asked_for if game.is_finished]
        try:
            added = store.add(games, self.user, (page.id_fetch, page.tm_fetched), cursor)
        except CursorMoved:  # another process works for this player: go on from where it is
            way.position = way.stored = store.cursor(way.cursor or "")
            way.is_anchored = way.position is not None
            return 0
        if cursor:
            way.stored = cursor.new
        self.months.update(month_of(game.created_ms) for game in added)
        # Unfinished games that we knew of are no sign that there is more, unless the page is full of them.
        is_full = len(page.games) + len(page.broken) >= page.asked
        brings_news = any(game.id_game not in way.seen for game in added) or len(known) < len(unfinished)
        goes_further = way.move_to(game for game in sound if is_full or game.id_game not in known)
        if is_fruitful := brings_news or goes_further:
            way.move_to(sound)
        way.seen |= {game.id_game for game in added}
        if way.is_complete_after(page, is_fruitful=is_fruitful):
            self.passes.popleft()
        way.told |= {_mark(line) for line in page.broken}
        self.waiting.forget({game.id_game for game in games}, page.tm_fetched)
        return len(added)

    def outcome(self, state: str, reason: str | None = None) -> PlayerOutcome:
        """What was done so far, as a row of the report."""
        return PlayerOutcome(self.user, state, self.months.total(), self.n_pages, self.n_broken, reason)


def _run(
    store: GameStore,
    lichess: Lichess,
    pulls: Sequence[Pull],
    tell: Callable[[str], None],
    most_requests: int | None = None,
) -> Harvest:
    """Take the pulls page by page in turns, until all are over or the source wants no more."""
    harvest = Harvest()
    fetches: list[Fetch] = []
    waiting = deque(pulls)
    n_broken = 0
    with lichess.telling(fetches.append):
        try:
            while waiting:
                pull = waiting.popleft()
                state: str
                reason: str | None
                if most_requests is not None and harvest.n_requests + len(fetches) >= most_requests:
                    state, reason = "postponed", f"the {most_requests} requests of this run are used up"
                else:
                    state, reason = _step(pull, store, lichess, tell)
                if state == "waiting":
                    waiting.append(pull)
                else:
                    harvest.players.append(pull.outcome(state, reason))
                n_broken = n_broken + 1 if state == "broken" else 0
                if state == "postponed" or n_broken >= BROKEN_PLAYERS:
                    harvest.players += [other.outcome("postponed", reason) for other in waiting]
                    break
                if len(fetches) >= FETCHES_A_COMMIT:
                    harvest.n_requests += _log(store, fetches)
        finally:
            harvest.n_requests += _log(store, fetches)
    for pull in pulls:
        harvest.months.update(pull.months)
    return harvest


def _step(pull: Pull, store: GameStore, lichess: Lichess, tell: Callable[[str], None]) -> tuple[str, str | None]:
    """One page of one player: how the player stands after it, and why."""
    try:
        n_new = pull.step(store, lichess)
    except (SourceOpen, Refused) as error:  # not this player's fault: nobody is asked for any more
        return "postponed", str(error)
    except NotThere as error:
        return "gone", str(error)
    except (ContractBroken, SourceComplains) as error:
        return "broken", str(error)
    except SourceError as error:
        return "failed", str(error)
    if n_new:
        tell(f"{pull.user}: {n_new} games, {pull.months.total()} so far")
    return ("waiting", None) if pull.passes else ("done", None)


def _log(store: GameStore, fetches: list[Fetch]) -> int:
    """Put requests into the fetch log; how many."""
    number = len(fetches)
    store_fetches(store.lake, fetches)
    fetches.clear()
    return number


def wall_time(lichess: Lichess) -> datetime:
    """The time by the client's clock, as rows are stamped with."""
    return datetime.fromtimestamp(lichess.access.clock.wall(), UTC)


def _unfinished(game: GameDocument, user: str) -> Unfinished:
    return Unfinished(game.id_game, user, EPOCH + timedelta(milliseconds=game.created_ms))


def _newest(games: Iterable[GameDocument]) -> int | None:
    return max((game.created_ms for game in games), default=None)


def _mark(line: Broken) -> bytes:
    return sha256(line.text).digest()


def _hopeless(page: Page) -> SourceError:
    if page.cut:
        return StreamBroken(f"{page.cut}, {FRUITLESS + 1} times in a row")
    return ContractBroken("lichess: games do not come oldest first in the time asked for, though asked so")
