"""The opponents crawl: in which order players are asked for, whom it leaves alone, what it costs, how it goes on."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from clocks import HandClock

from kshift_assets.chess import tracking
from kshift_assets.chess.frontier import Budget, Manner, crawl, frontier_of
from kshift_assets.chess.frontier_rows import EDGES, due, nearest, reachable
from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.ingestion import Harvest, wall_time
from kshift_assets.chess.source_schemas import PlayersFrontier
from kshift_assets.chess.tables import PLAYER_GAMES
from resources.lake import Lake
from serving.replay import ReplayServer
from serving.replay_api import Question, error
from serving.replay_wire import Fault
from serving.replay_world import World
from worlds import DAY, MINUTE, game, hasty, lichess

PREFIX = "/api/games/user/"


@dataclass
class Town:
    """Players who meet each other, a crawler among them, and a clock."""

    folder: Path
    server: ReplayServer
    clock: HandClock
    number: int = 0

    def __post_init__(self) -> None:
        self.lake = Lake(uri=str(self.folder / "lake"))
        self.api = lichess(self.server.url, self.folder / "state", clock=self.clock, limits=hasty())

    def meet(self, white: str, black: str, times: int = 1, days_ago: float = 1, title: str | None = None) -> None:
        """Let two play; `title` is Black's."""
        for _ in range(times):
            self.number += 1
            created = int(self.clock.wall_now * 1000 - days_ago * DAY) - self.number * MINUTE
            document = game(self.number, created, white=white, black=black)
            if title:
                document["players"]["black"]["user"]["title"] = title
            self.server.world.add(document)

    def crawl(self, players: int = 100, requests: int | None = None, **followed: int) -> Harvest:
        return crawl(self.lake, self.api, followed, Budget(players, requests), Manner())

    def asked(self) -> list[str]:
        """Players asked for since the last look, in order, each once."""
        paths = [one.question.path for one in self.server.ledger.asked]
        self.server.ledger.asked.clear()
        return list(dict.fromkeys(path.removeprefix(PREFIX) for path in paths if path.startswith(PREFIX)))

    def rows(self, **followed: int) -> dict[str, dict[str, object]]:
        frame = frontier_of(self.lake, followed, wall_time(self.api))
        PlayersFrontier.validate(frame)
        return {str(row["id_user"]): row for row in frame.iter_rows(named=True)}

    def states(self, **followed: int) -> dict[str, object]:
        return {name: row["val_state"] for name, row in self.rows(**followed).items()}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Anna met ben thrice, cleo once; ben met dora and cleo; dora met emil; a bot and a closed account met anna."""
    with ReplayServer(World()) as server:
        made = Town(tmp_path, server, HandClock())
        made.meet("anna", "cleo")
        made.meet("anna", "ben", 3)
        made.meet("ben", "dora", 5)
        made.meet("cleo", "ben")
        made.meet("dora", "emil")
        made.meet("anna", "robo", 9, title="BOT")
        made.meet("anna", "left", 2)
        server.world.closed.add("left")
        yield made


def test_nearest_first_and_of_these_who_met_the_tracked_most(town: Town) -> None:
    town.crawl(anna=2)
    assert town.asked() == ["anna", "ben", "left", "cleo", "dora"]


@pytest.mark.parametrize(
    ("depth", "reached"),
    [(0, {"anna"}), (1, {"anna", "ben", "cleo", "left"}), (3, {"anna", "ben", "cleo", "left", "dora", "emil"})],
)
def test_the_crawl_goes_as_far_as_the_depth_says(town: Town, depth: int, reached: set[str]) -> None:
    town.crawl(anna=depth)
    assert set(town.asked()) == reached


def test_bots_and_closed_accounts_are_left_alone(town: Town) -> None:
    town.crawl(anna=1, zoe=0)
    assert town.states(anna=1, zoe=0) == {
        "anna": "fetched",
        "ben": "fetched",
        "cleo": "fetched",
        "left": "closed",
        "robo": "skipped_bot",
        "zoe": "missing",
    }
    town.asked()
    town.clock.pass_time(400 * 86_400)
    town.crawl(anna=1, zoe=0)
    assert set(town.asked()) == {"anna", "ben", "cleo"}
    town.crawl(robo=0)
    assert town.asked() == ["robo"]  # who names a bot wants it


def test_an_account_that_plays_again_is_asked_for_again(town: Town) -> None:
    town.crawl(anna=1)
    town.server.world.closed.clear()
    town.clock.pass_time(3 * 86_400)
    town.meet("anna", "left")
    town.crawl(anna=1)
    assert town.states(anna=1)["left"] == "fetched"


def test_the_table_tells_depth_way_games_and_times(town: Town) -> None:
    town.crawl(anna=2)
    rows = town.rows(anna=2)
    told = {name: (row["n_depth"], row["id_user_found_through"]) for name, row in rows.items()}
    assert told == {
        "anna": (0, None),
        "ben": (1, "anna"),
        "cleo": (1, "anna"),
        "left": (1, "anna"),
        "robo": (1, "anna"),
        "dora": (2, "ben"),
    }
    assert list(rows) == ["anna", "robo", "ben", "left", "cleo", "dora"]
    games = {name: (row["n_games_stored"], row["n_games_with_tracked"]) for name, row in rows.items()}
    assert games == {
        "anna": (15, 0),
        "robo": (9, 9),
        "ben": (9, 3),
        "left": (2, 2),
        "cleo": (2, 1),
        "dora": (6, 0),
    }
    assert rows["dora"]["tm_last_fetched"] == wall_time(town.api)
    assert rows["robo"]["tm_next_due"] is None
    assert set(town.rows(anna=3)) - set(rows) == {"emil"}


def test_the_budget_of_players_is_kept_and_the_next_crawl_goes_on(town: Town) -> None:
    order = ["anna", "ben", "left", "cleo", "dora"]
    for player in order:
        town.crawl(players=1, anna=2)
        assert town.asked() == [player]
    assert town.crawl(players=1, anna=2).n_requests == 0


def test_the_budget_of_requests_is_kept_and_the_next_crawl_goes_on_from_the_cursor(town: Town) -> None:
    town.meet("anna", "ben", 40)
    manner = Manner(page_games=10)
    total = 0
    for _ in range(6):
        harvest = crawl(town.lake, town.api, {"anna": 0}, Budget(5, 2), manner)
        assert harvest.n_requests <= 2
        assert len(town.server.ledger.asked) == harvest.n_requests
        town.server.ledger.asked.clear()
        total += harvest.n_requests
    assert town.lake.n_rows(PLAYER_GAMES.full_name) == 55
    assert total == 7  # 55 games on pages of ten that overlap by one, the last of which tells that there are no more
    assert town.states(anna=0) == {"anna": "fetched"}


def test_who_is_not_due_is_not_asked_for(town: Town) -> None:
    town.crawl(anna=2)
    town.asked()
    assert town.crawl(anna=2).n_requests == 0
    town.clock.pass_time(0.9 * 86_400)
    assert town.crawl(anna=2).n_requests == 0
    town.clock.pass_time(0.2 * 86_400)  # all played a day ago when they were fetched: due after a day
    town.crawl(anna=2)
    assert town.asked() == ["anna", "ben", "cleo", "dora"]


@pytest.mark.parametrize(("idle", "days"), [(0.2, 1), (1, 1), (5, 5), (29, 29), (200, 30)])
def test_a_player_is_due_after_as_long_as_they_had_been_idle(tmp_path: Path, idle: float, days: float) -> None:
    with ReplayServer(World()) as server:
        town = Town(tmp_path, server, HandClock())
        town.number = -1
        town.meet("anna", "ben", days_ago=idle)
        town.crawl(anna=0)
        row = town.rows(anna=0)["anna"]
        waits = row["tm_next_due"] - row["tm_last_fetched"]
        assert abs(waits - timedelta(days=days)) < timedelta(minutes=1)


def test_a_failure_is_tried_again_after_one_two_four_days(town: Town) -> None:
    town.crawl(anna=0)
    town.server.stage.plan = lambda _, question: _broken(question, "ben")
    waits = []
    for _ in range(3):
        town.crawl(anna=1)
        row = town.rows(anna=1)["ben"]
        assert (row["val_state"], "400" in str(row["val_reason"])) == ("failed", True)
        waits.append(row["tm_next_due"] - wall_time(town.api))
        town.clock.pass_time(waits[-1].total_seconds() + 1)
    assert waits == [timedelta(days=1), timedelta(days=2), timedelta(days=4)]
    town.server.stage.plan = None
    town.crawl(anna=1)
    assert town.states(anna=1)["ben"] == "fetched"


def _broken(question: Question, name: str) -> Fault | None:
    return Fault(change=lambda _: error(400, "no")) if question.path == PREFIX + name else None


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from kshift_assets.chess import {module} as module
    from kshift_assets.chess.frontier import Budget, Manner, crawl
    from resources.lake import Lake
    from worlds import lichess

    usual, calls = module.{victim}, iter(range(100))

    def die(*arguments, **named):
        if next(calls) == {spared}:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(*arguments, **named)

    module.{victim} = die
    url, folder = sys.argv[1:]
    lake, api = Lake(uri=folder + "/lake"), lichess(url, Path(folder) / "state")
    crawl(lake, api, {{"anna": 2}}, Budget(100), Manner())
"""


@pytest.mark.parametrize(
    ("module", "victim", "spared"),
    [("ingestion", "GameStore.add", 3), ("ingestion", "store_outcomes", 2), ("frontier", "frontier_of", 2)],
)
def test_a_crawl_that_was_killed_goes_on_where_it_was(town: Town, module: str, victim: str, spared: int) -> None:
    root = Path(__file__).parents[2]
    text = textwrap.dedent(KILLED).format(module=module, victim=victim, spared=spared)
    died = subprocess.run(
        [sys.executable, "-c", text, town.server.url, str(town.folder)],
        env={"PYTHONPATH": f"{root}:{root / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    before = town.asked()
    town.clock.wall_now = time.time()  # the child kept real time
    town.crawl(anna=2)
    after = town.asked()
    order = ["anna", "ben", "left", "cleo", "dora"]
    assert before == order[: len(before)]
    assert after in (order[len(before) :], order[len(before) - 1 :])  # at most the player in flight again
    assert town.lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA).collect()["id_game"].sort().to_list() == sorted(
        town.server.world.games
    )


def test_one_players_failure_does_not_stop_the_crawl(town: Town) -> None:
    town.server.stage.plan = lambda _, question: _broken(question, "ben")
    harvest = town.crawl(anna=1)
    assert [player.id_user for player in harvest.failed] == ["ben"]
    assert town.states(anna=1)["cleo"] == "fetched"


def test_who_was_found_only_through_an_untracked_player_is_no_longer_due(town: Town) -> None:
    tracking.say(town.lake, ["anna"], tracked=True, depth=2)
    tracking.say(town.lake, ["emil"], tracked=True)
    town.crawl(players=2, **tracking.tracked(town.lake, []))
    tracking.say(town.lake, ["anna"], tracked=False)
    town.asked()
    followed = tracking.tracked(town.lake, [])
    assert town.crawl(**followed).failed == []
    assert town.asked() == []
    assert town.states(**followed) == {"emil": "fetched", "anna": "untracked"}
    stored = town.lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA).filter(id_user="anna").collect()
    assert stored.height == 15


def test_games_of_dumps_count_and_unfetched_players_are_not_expanded() -> None:
    met = {"t": {"a": 3, "b": 1}, "a": {"c": 1}, "b": {"d": 1}}

    def meetings(wave: list[str]) -> pl.DataFrame:
        rows = [(one, other, times) for one in wave for other, times in met[one].items()]
        return pl.DataFrame(rows, schema=EDGES, orient="row")

    tracked = {"t": 2, "u": 0}
    reach, edges = reachable(tracked, pl.Series(["t", "a"]), meetings)
    assert set(reach["id_user"]) == {"t", "u", "a", "b", "c"}
    depths = dict(nearest(tracked, reach, edges).select("id_user", "n_depth").iter_rows())
    assert depths == {"t": 0, "u": 0, "a": 1, "b": 1, "c": 2}


def test_due_are_only_those_of_the_nearest_depth_that_has_any() -> None:
    now = datetime(2024, 5, 1, tzinfo=UTC)
    times = [now + timedelta(days=1), now, now, now]
    rows = pl.DataFrame({"id_user": ["a", "b", "c", "d"], "n_depth": [0, 1, 1, 2], "tm_next_due": times})
    assert due(rows, now)["id_user"].to_list() == ["b", "c"]
