"""A process that is killed while it holds a pool's place does not make the next one wait for ever."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dagster import DagsterInstance

from kshift_assets.chess.tables import PLAYER_GAMES
from serving.replay import Manners, ReplayServer
from serving.replay_world import World
from worlds import MARCH, MINUTE, game


@pytest.mark.timeout(200)
def test_an_ingest_after_a_killed_one_goes_on(tmp_path: Path) -> None:
    world = World()
    for number in range(60):
        world.add(game(number, MARCH + number * MINUTE))
    with ReplayServer(world, manners=Manners(games_per_second=2)) as server:
        environment = {
            "PATH": os.environ["PATH"],
            "KSHIFT_HOME": str(tmp_path / "home"),
            "KSHIFT_LICHESS_URL": server.url,
            "KSHIFT_PLAYERS": "alice_a",
            "KSHIFT_PROFILE_BUDGET": "0",
        }
        command = [sys.executable, "-m", "serving.cli", "run", "lichess/player_games"]
        killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while not server.ledger.asked:
            assert killed.poll() is None
            time.sleep(0.05)
        killed.kill()
        killed.wait()
        server.stage.manners = Manners()
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2024-03: 60 rows" in found.stdout
    with DagsterInstance.from_config(str(tmp_path / "home" / "dagster")) as instance:
        statuses = [record.status.value for record in instance.get_runs()]
        assert sorted(statuses) == ["FAILURE", "SUCCESS"]
        assert instance.fetch_materializations(PLAYER_GAMES.key, limit=1).records
