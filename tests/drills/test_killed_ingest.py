"""A process that is killed while it holds a pool's place does not make the next one wait for ever."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from commands import KSHIFT, Processes
from kshift_assets.chess.tables import PLAYER_GAMES
from serving.replay import Manners, ReplayServer
from serving.replay_world import World
from worlds import MARCH, MINUTE, game

RUN, CRAWL = ["run", "lichess/player_games"], ["crawl", "--budget", "3"]
N_GAMES, PAGE_GAMES = 60, 10


class Scene(Processes):
    """A server that is slow at first, and `kshift` as processes of their own."""

    def __init__(self, home: Path, server: ReplayServer) -> None:
        super().__init__()
        self.home, self.server = home, server

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "KSHIFT_HOME": str(self.home),
            "KSHIFT_LICHESS_URL": self.server.url,
            "KSHIFT_PLAYERS": "alice_a",
            "KSHIFT_PAGE_GAMES": str(PAGE_GAMES),
            "KSHIFT_PROFILE_BUDGET": "0",
        }
        return self.begin([*KSHIFT, *command], environment)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """`kill -9`, and a server that hurries from now on."""
        process.kill()
        process.communicate()
        self.server.stage.manners = Manners()

    def finish(self, process: subprocess.Popen[str]) -> None:
        """It ends well, all is there, and no place is held any more."""
        printed, _ = process.communicate(timeout=180)
        assert process.returncode == 0, printed
        assert f"2024-03: {N_GAMES} rows" in printed
        with self.instance() as instance:
            assert instance.fetch_materializations(PLAYER_GAMES.key, limit=1).records
            assert not instance.event_log_storage.get_concurrency_run_ids()
            statuses = [record.status.value for record in instance.get_runs()]
        assert statuses.count("FAILURE") == 1
        assert set(statuses) == {"FAILURE", "SUCCESS"}

    def n_waiting(self) -> int:
        """Runs that wait for a place in the pool."""
        with self.instance() as instance:
            return instance.event_log_storage.get_concurrency_info("lichess").pending_step_count

    def instance(self) -> DagsterInstance:
        return DagsterInstance.from_config(str(self.home / "dagster"))


def _wait_until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not is_so():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    world = World()
    for number in range(N_GAMES):
        world.add(game(number, MARCH + number * MINUTE))
    with ReplayServer(world, manners=Manners(games_per_second=5)) as server:
        scene = Scene(tmp_path / "home", server)
        yield scene
        scene.end()


@pytest.mark.timeout(300)  # two processes that import Dagster; a crawl carries everything through
@pytest.mark.parametrize("command", [RUN, CRAWL], ids=lambda command: command[0])
def test_the_next_one_after_a_killed_one_goes_on_where_that_was(scene: Scene, command: list[str]) -> None:
    first = scene.start(command)
    _wait_until(lambda: len(scene.server.ledger.asked) == 3, first)
    scene.kill(first)
    scene.finish(scene.start(command))
    stored = MARCH + 2 * (PAGE_GAMES - 1) * MINUTE  # the newest game of two pages, each from the last game on
    assert scene.server.ledger.asked[3].question.params["since"] == str(stored)


@pytest.mark.timeout(300)  # as above
def test_one_that_waits_for_its_place_gets_it_when_the_one_before_is_killed(scene: Scene) -> None:
    scene.server.stage.manners = Manners(games_per_second=1)
    first = scene.start(RUN)
    _wait_until(lambda: bool(scene.server.ledger.asked), first)
    second = scene.start(CRAWL)
    _wait_until(lambda: scene.n_waiting() == 1, second)
    scene.kill(first)
    scene.finish(second)
