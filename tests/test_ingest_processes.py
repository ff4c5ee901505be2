"""`kshift` as several real processes before one server: its ledger tells whether they were polite."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.tables import PLAYER_GAMES
from resources.lake import Lake
from serving.replay import ReplayServer
from serving.replay_stage import Manners
from worlds import DAY, MARCH, game, world

PLAYERS = ["alice_a", "carol", "dave"]
LONGEST = 240


class Household:
    """A lakehouse on disk, and `kshift` as processes of their own in it."""

    def __init__(self, folder: Path, server: ReplayServer) -> None:
        self.folder, self.server = folder, server

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "KSHIFT_HOME": str(self.folder / "home"),
            "KSHIFT_LICHESS_URL": self.server.url,
            "KSHIFT_PAGE_GAMES": "10",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "serving.cli", *arguments],
            cwd=self.folder,
            env=environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kshift(self, *arguments: str, **settings: str) -> str:
        """Run a command to its end, which must be a good one; what it printed."""
        return finished(self.start(*arguments, **settings))

    @property
    def lake(self) -> Lake:
        return Lake(uri=str(self.folder / "home" / "lake"))

    def ids(self) -> list[str]:
        """Ids of the stored documents, one a row."""
        return self.lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA).collect()["id_game"].sort().to_list()

    def asked(self) -> Counter[str]:
        """Requests for games since the last look, by player."""
        paths = [one.question.path for one in self.server.ledger.asked]
        self.server.ledger.asked.clear()
        return Counter(path.rsplit("/", 1)[1] for path in paths if path.startswith("/api/games/user/"))


def finished(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, printed
    return printed


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    """A strict server (429 to a second request in flight) with 20 games a player in March."""
    with ReplayServer(
        world(20, players=PLAYERS, step=DAY), manners=Manners(is_one_at_a_time=True, games_per_second=200)
    ) as server:
        yield Household(tmp_path, server)


@pytest.mark.timeout(600)  # several commands, each a process that imports Dagster
def test_two_ingests_and_a_backfill_together_ask_one_request_at_a_time_and_store_each_game_once(
    household: Household,
) -> None:
    household.kshift("track", *PLAYERS)
    together = [
        household.start("run", "lichess/player_games"),
        household.start("run", "lichess/player_games"),
        household.start("run", "lichess/player_games", "--partition", "2024-03"),
    ]
    for process in together:
        finished(process)
    assert household.server.ledger.together == []
    assert household.server.ledger.early == []
    assert {one.status for one in household.server.ledger.asked} == {200}
    assert household.ids() == sorted(household.server.world.games)


def changes(household: Household) -> dict[str, int | None]:
    """Version of each table that a second run has no reason to touch."""
    names = ("lichess.player_games", "lichess.pending_games", "lichess.players_frontier", "chess.games")
    return {name: household.lake.version(name) for name in (*names, "marts.player_summary")}


@pytest.mark.timeout(600)  # three commands that carry everything through
def test_a_second_ingest_stores_nothing_asks_twice_a_player_and_makes_nothing_anew(household: Household) -> None:
    household.server.world.add(game(900, MARCH + 30 * DAY, status="started"))
    household.kshift("track", *PLAYERS)
    household.kshift("ingest", KSHIFT_PAGE_GAMES="300")
    household.kshift("ingest", KSHIFT_PAGE_GAMES="300")  # brings the profiles of players that the first one found
    household.asked()
    before = changes(household), newest_event(household)
    household.kshift("ingest", KSHIFT_PAGE_GAMES="300")
    assert (changes(household), newest_event(household)) == before
    assert household.asked() == dict.fromkeys(PLAYERS, 2)


def newest_event(household: Household) -> dict[str, int]:
    """Number of the newest materialization of each asset."""
    with DagsterInstance.from_config(str(household.folder / "home" / "dagster")) as instance:
        newest = {}
        for key in instance.all_asset_keys():
            records = instance.fetch_materializations(key, limit=1).records
            if records:
                newest[key.to_user_string()] = records[0].storage_id
        return newest
