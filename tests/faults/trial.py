"""One trial: a small Lichess that changes, faults drawn from a seed, runs of the real ingestion code, and an audit.

The same trial runs over a simulated wire, where minutes cost nothing, and over real sockets with a lake on the disk.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from clocks import HandClock
from faults.books import Books, RecordedWorld, Tally, hurried, impolite
from faults.memory_lake import MemoryLake
from faults.stage_transport import StageTransport
from faults.weather import Row, Weather, with_strange_names

from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.ingestion import CURSOR, Harvest, pull_month, pull_players
from kshift_assets.chess.late_finishers import pull_pending
from kshift_assets.chess.pending import pending
from resources.lake import Lake
from resources.lichess import Lichess
from resources.names import month_of
from serving.replay import ReplayServer
from serving.replay_stage import Asked, Manners, Stage
from serving.replay_world import RUNNING
from worlds import DAY, analysed, game, hasty, lichess

TABLE = "lichess.player_games"
PLAYERS = ("alice_a", "carol", "dave")
HOUR = 3_600_000
START = 1_709_251_200.0
"""March 2024, where the clock of a trial starts."""
LINE_BYTES = 60_000
MOST_OTHERS = 6
ALL_OVER = 86_401.0
"""Seconds after which every silence is over, a `Retry-After` of a day too."""


class Killed(BaseException):
    """What a simulated `kill -9` raises: nothing in the code under test may catch it."""


@dataclass
class TrueClock(HandClock):
    """Also knows the time that really passed, whatever is done to the clocks that the code under test sees."""

    true_now: float = 0.0

    def sleep(self, seconds: float) -> None:
        """Nobody sleeps for less than a millisecond: a billionth of a second is lost in the sum."""
        super().sleep(max(seconds, 0.001))

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody."""
        super().pass_time(seconds)
        self.true_now += seconds

    def restart(self, after: float) -> None:
        """The machine starts anew."""
        super().restart(after)
        self.true_now += after

    def true(self) -> float:
        """Seconds that passed since the trial began."""
        return self.true_now


@dataclass
class Trial:
    """The state of one trial."""

    row: Row
    seed: str
    folder: Path
    lookback: timedelta = timedelta(days=14)
    """What is promised; `used` is what the code under test is told."""
    used: timedelta | None = None
    is_real: bool = False
    """Over sockets and with a lake on the disk."""
    has_disk: bool = False
    """With a lake on the disk, though simulated."""
    only_months: bool = False
    """Months are filled while the faults last, and nothing else."""
    chance: Random = field(init=False)
    clock: TrueClock = field(init=False)
    tally: Tally = field(default_factory=Tally)
    is_under_way: bool = False
    """An answer is being read, or another simulated process is at work: no further one may start."""
    fuse: int = -1
    """Commits until the next simulated kill."""
    n_others: int = 0
    """Runs of other simulated processes so far."""
    number: int = 0
    """Of the next game."""
    passed_by: dict[str, int] = field(default_factory=dict)
    """Player → creation of the newest finished game when the last run ended, UTC milliseconds."""
    late: dict[str, float] = field(default_factory=dict)
    """Running game → when it will be over."""
    slow: set[str] = field(default_factory=set)
    """Games that were running when they were first listed."""

    def __post_init__(self) -> None:
        """Set the scene."""
        self.chance = Random(f"{self.row.name} {self.seed}")  # seeded, so that it can be rerun
        self.clock = TrueClock(wall_now=START)
        self.players = PLAYERS[: self.chance.randint(1, 3)]
        self.page_games = self.chance.choice((2, 3, 5, 8, 20))
        self.fills_months = self.only_months or (self.row.has_months and self.chance.random() < 0.3)
        self.weather = Weather(self.chance, self.clock, self.row.kinds, self.row.share, self.row.roads)
        self.world = RecordedWorld()
        self.books = Books(self.world)
        for player in self.players:
            self.world.users[player] = {"id": player, "username": player.title()}
        self.memory = MemoryLake(self._spark, self._spark)

    # The world and time

    def now_ms(self) -> int:
        """The server's time."""
        return int((START + self.clock.true_now) * 1000)

    def grow(self, span_ms: int, most: int = 25) -> None:
        """Games were played in the time that has just passed; some are still going on."""
        now = self.now_ms()
        times = sorted(self.chance.randint(now - span_ms, now - 1) for _ in range(self.chance.randint(0, most)))
        if "crowd" in self.row.turns and times and self.chance.random() < 0.4:
            times += [times[-1]] * self.chance.randint(1, 3 * self.page_games)
        for created in times:
            self._play(created)

    def _play(self, created: int) -> None:
        white = self.chance.choice(self.players)
        black = self.chance.choice([name for name in (*self.players, "bob-b", "eve") if name != white])
        document = game(self.number, created, white=white, black=black)
        self.number += 1
        if "names" in self.row.turns and self.chance.random() < 0.3:
            document = with_strange_names(document)
        if "late" in self.row.turns and self.chance.random() < 0.25:
            delay_days = self.chance.choice((1 / 24, 0.5, 3, 10, 13, 40, 100, 200))
            self.late[document["id"]] = created / 1000 - START + delay_days * 86_400
            self.slow.add(document["id"])
            document = {key: value for key, value in document.items() if key != "winner"} | {"status": "started"}
        self.world.add(document)

    def let_time_pass(self, seconds: float) -> None:
        """Between two runs: games end, are analysed, accounts close and open."""
        self.clock.pass_time(seconds)
        for id_game in [one for one, over in self.late.items() if over <= self.clock.true_now]:
            del self.late[id_game]
            self.world.add(self.world.games[id_game] | {"status": "resign", "winner": "white"})
        if "late" in self.row.turns:
            over = [one for one in self.world.games.values() if one["status"] not in RUNNING]
            for document in self.chance.sample(over, min(2, len(over))):
                self.world.add(analysed(document))
        if "clock" in self.row.turns:
            self._shake_clock()

    def _shake_clock(self) -> None:
        draw = self.chance.random()
        if draw < 0.35:
            self.clock.set_wall(-3600)
        elif draw < 0.7:
            self.clock.set_wall(3600)
        elif draw < 0.8 and not self.is_under_way:
            self.clock.restart(self.chance.uniform(10, 100))

    # Runs

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The server is there."""
        if not self.is_real:
            self.stage = Stage(self.world, self.weather.fault, Manners(), self.clock.true)
            self.url = "https://lichess.example"
            yield
            return
        server = ReplayServer(self.world, self.weather.fault, Manners(), clock=self.clock.true)
        self.stage, self.url = server.stage, server.url
        with server:
            yield

    @property
    def asked(self) -> list[Asked]:
        """The ledger of requests."""
        return self.stage.ledger.asked

    def lake(self) -> Any:  # two kinds of lake
        """The lake as a new process sees it."""
        return Lake(uri=str(self.folder / "lake")) if self.is_real or self.has_disk else self.memory

    def api(self) -> Any:  # a client, or one with a turn in it
        """The client as a new process makes it; all share one folder of state."""
        transport = None
        if not self.is_real:
            transport = StageTransport(self.stage, self.clock, self.chance, self.weather.unreachable, self._meanwhile)
        limits = hasty(read_seconds=0.3 if self.is_real else 60.0, line_bytes=LINE_BYTES)
        client = lichess(self.url, self.folder / "state", clock=self.clock, transport=transport, limits=limits)
        return Interleaved(client, self._others) if "others" in self.row.turns else client

    def follow(self) -> Harvest | None:
        """One run for all players; None if it was killed."""
        before = {player: self.world.finished(player) for player in self.players}
        try:
            lake, api = self.lake(), self.api()
            harvest = pull_players(lake, api, self.players, self.page_games, self._used())
            late = pull_pending(lake, api, datetime.fromtimestamp(self.clock.wall(), UTC))
        except Killed:
            return None
        finally:
            self.fuse = -1
            self._audit()
            reach = {player: self._promised_from(player) for player in self.players}
            for player in self.players:
                self.passed_by[player] = max((one["createdAt"] for one in self.world.finished(player)), default=0)
        if not self.weather.is_bad:
            self.tally += Tally(unfinished=int(late.problem is not None))
            for player in [one.id_user for one in harvest.players if one.state == "done"]:
                self.books.promise_any_end(one for one in before[player] if one["id"] not in self.slow)
                self.books.promise(one for one in before[player] if one["createdAt"] >= reach[player])
        return harvest

    def _used(self) -> timedelta:
        return self.lookback if self.used is None else self.used

    def _promised_from(self, player: str) -> int:
        """From which creation on late ends and analyses are promised: what the look-back says, of what was listed."""
        seen = self.passed_by.get(player)
        return 0 if seen is None else seen - self.lookback // timedelta(milliseconds=1)

    def fill_month(self) -> None:
        """Fill a month for all players; where that says that it is done, all must be there."""
        month = month_of(self.now_ms() - self.chance.randint(0, 20) * DAY)
        before = [one for one in self.world.games.values() if month_of(one["createdAt"]) == month]
        harvest = pull_month(self.lake(), self.api(), self.players, month, self.page_games)
        for outcome in harvest.players:
            if outcome.state == "done":
                mine = [one for one in before if outcome.id_user in _ids(one) and one["status"] not in RUNNING]
                self.books.promise_any_end(mine)
        self._audit()
        self._audit_promises()

    def _audit(self) -> None:
        lake = self.lake()
        stored = lake.scan(TABLE, GAMES_SCHEMA).collect()
        cursors = {player: lake.cursor(TABLE, CURSOR.format(player)) for player in self.players}
        self.tally += self.books.audit(stored, cursors, set(pending(lake)["id_game"]))

    def _audit_promises(self) -> None:
        self.tally += self.books.audit_promises(self.lake().scan(TABLE, GAMES_SCHEMA).collect())

    # What happens in the middle

    def _meanwhile(self) -> None:
        if "clock" in self.row.turns and self.weather.is_bad and self.chance.random() < 0.05:
            self.is_under_way = True
            self._shake_clock()
            self.is_under_way = False
        if self.chance.random() < 0.02 and self.weather.is_bad:
            self._play(self.now_ms())

    def _spark(self, _: str) -> None:
        """Before and after each commit of the lake in memory: a kill, if it is time for it."""
        if self.fuse >= 0:
            self.fuse -= 1
            if self.fuse < 0:
                raise Killed

    def _others(self) -> None:
        """Another process does a whole run between an answer and its commit."""
        if self.is_under_way or self.n_others >= MOST_OTHERS or not self.weather.is_bad or self.chance.random() > 0.3:
            return
        self.is_under_way, self.n_others = True, self.n_others + 1
        others, size = self.chance.sample(self.players, self.chance.randint(1, len(self.players))), self.page_games
        try:
            if self.chance.random() < 0.3:
                pull_month(self.lake(), self.api(), others, month_of(self.now_ms()), size)
            else:
                pull_players(self.lake(), self.api(), others, size, self._used())
        finally:
            self.is_under_way = False

    # The whole

    def run(self) -> Tally:
        """The faults, the time after them, and the count."""
        with self.opened():
            self.clock.pass_time(30 * 86_400)
            self.grow(30 * DAY, most=45)
            for _ in range(self.chance.randint(1, 4)):
                if "kills" in self.row.turns and self.chance.random() < 0.7:
                    self.fuse = self.chance.randint(0, 12)
                if self.fills_months and (self.only_months or self.chance.random() < 0.5):
                    self.fill_month()
                else:
                    self.follow()
                pause = self.chance.choice((0, 10, 400, 7_200, 3 * 86_400))
                self.let_time_pass(pause)
                if pause:
                    self.grow(int(pause * 1000), most=10)
            self.weather.is_bad = False
            self.clock.pass_time(ALL_OVER)
            if "clock" in self.row.turns:  # after a restart a silence counts from the first look
                self.follow()
                self.clock.pass_time(ALL_OVER)
            self._calm_runs(self.chance.randint(3, 6) if "late" in self.row.turns else 1)
            if "late" in self.row.turns:
                self._settle()
            self._audit_promises()
            self.tally += impolite(self.asked)
            if self.row.has_breaker_watch:
                self.tally += hurried(self.weather.tries)
        return self.tally

    def _calm_runs(self, number: int) -> None:
        """Runs after the faults: each must end by itself, with everything."""
        for index in range(number):
            if index:
                days = self.chance.choice((0.05, 1, 5, 12, 30, 90))
                self.let_time_pass(days * 86_400)
                self.grow(int(days * DAY), most=6)
                self._close_or_open()
            harvest = self.follow()
            if harvest is None or harvest.failed:
                self.tally += Tally(unfinished=1)

    def _settle(self) -> None:
        """All games come to their end; after two further weeks a finished version of each must be there."""
        self.world.closed.clear()
        self.let_time_pass(200 * 86_400)
        for _ in range(2):
            self.clock.pass_time(8 * 86_400)
            self.follow()
        for player in self.players:
            self.books.promise_any_end(self.world.finished(player))

    def _close_or_open(self) -> None:
        """An account closes: its games stay as they are stored; or is opened again."""
        if self.world.closed:
            self.world.closed.clear()
        elif self.chance.random() < 0.3:
            self.world.closed.add(self.chance.choice(self.players))


class Interleaved:
    """A client, with something that happens after each of its answers, before anything is stored."""

    def __init__(self, client: Lichess, between: Callable[[], None]) -> None:
        self._client, self._between = client, between

    def games_of(self, *arguments: Any, **more: Any) -> Any:  # as the client's own
        """A page, and what happens after it."""
        page = self._client.games_of(*arguments, **more)
        self._between()
        return page

    def __getattr__(self, name: str) -> Any:  # all else is the client's
        """What the client has."""
        return getattr(self._client, name)


def _ids(document: dict[str, Any]) -> Sequence[str | None]:
    return [player.get("user", {}).get("id") for player in document["players"].values()]
