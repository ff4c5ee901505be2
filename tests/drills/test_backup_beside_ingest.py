"""A lakehouse that is backed up while it ingests, and wiped: each backup is one that the next ingest completes.

The backups are processes of their own, of which some are killed. What has to be there in the end says the server.
"""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from commands import KSHIFT, Processes
from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.tables import PLAYER_GAMES
from resources.backup_store import BackupStore
from resources.lake import Lake
from serving.replay import Manners, ReplayServer
from worlds import DAY, game_id, world

N_GAMES = 60


class Scene(Processes):
    """A home, a folder for backups, a slow server, and `kshift` as processes."""

    def __init__(self, folder: Path, server: ReplayServer) -> None:
        super().__init__()
        self.folder, self.home, self.target, self.server = folder, folder / "home", folder / "backups", server

    def start(self, *command: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "KSHIFT_HOME": str(self.home),
            "KSHIFT_LICHESS_URL": self.server.url,
            "KSHIFT_PLAYERS": "alice_a",
            "KSHIFT_PAGE_GAMES": "5",
            "KSHIFT_PROFILE_BUDGET": "0",
        }
        return self.begin([*KSHIFT, *command], environment, self.folder)

    def run(self, *command: str) -> str:
        process = self.start(*command)
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed
        return printed

    def stored(self, version: int | None = None) -> list[str]:
        lake = Lake(uri=str(self.home / "lake"))
        games = lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA, version=version).collect()
        return sorted(games["id_game"].to_list())

    def store(self) -> BackupStore:
        return BackupStore.open(str(self.target))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = world(N_GAMES, step=DAY)
    with ReplayServer(made, manners=Manners(games_per_second=2)) as server:
        scene = Scene(tmp_path, server)
        yield scene
        scene.end()


@pytest.mark.timeout(1500)  # a dozen processes that import Dagster, and three that carry everything through
def test_backups_during_an_ingest_come_back_whole_and_the_next_ingest_completes_them(scene: Scene) -> None:
    chance = random.Random(7)
    ingest = scene.start("ingest")
    while not (scene.home / "lake/lichess/player_games/_delta_log").exists():
        assert ingest.poll() is None, ingest.communicate()
        time.sleep(0.1)
    n_killed = 0
    while ingest.poll() is None:
        backup = scene.start("backup", str(scene.target))
        if chance.random() < 0.5:
            time.sleep(chance.uniform(1, 6))
            n_killed += backup.poll() is None
            backup.kill()
            backup.communicate()
        else:
            printed, _ = backup.communicate(timeout=300)
            assert backup.returncode == 0, printed
    printed, _ = ingest.communicate()
    assert ingest.returncode == 0, printed
    everything = sorted(game_id(number) for number in range(N_GAMES))
    assert scene.stored() == everything
    assert n_killed
    assert "are whole" in scene.run("verify", str(scene.target))
    ids = scene.store().ids()
    games = {one: scene.stored(scene.store().manifest(one).tables[PLAYER_GAMES.full_name]) for one in ids}
    in_the_middle = [one for one in ids if 0 < len(games[one]) < N_GAMES]
    assert in_the_middle, "no backup fell into the ingestion"
    scene.server.stage.manners = Manners()
    for one in {in_the_middle[0], in_the_middle[-1], ids[-1]}:
        shutil.rmtree(scene.home)
        scene.run("restore", str(scene.target), "--backup", one)
        assert scene.stored() == games[one]
        scene.run("ingest")
        assert scene.stored() == everything
        with duckdb.connect(str(scene.home / "published/latest.duckdb"), read_only=True) as published:
            cleaned = published.execute("SELECT id_game FROM chess.games ORDER BY ALL").fetchall()
        assert [id_game for (id_game,) in cleaned] == everything
