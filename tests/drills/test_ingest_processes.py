"""`kshift` as several real processes before one server: its ledger tells whether they were polite.

Minutes, not seconds: each process carries what it fetched through the whole graph. Run by `make drills`.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from commands import KSHIFT, Processes
from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.tables import PLAYER_GAMES
from resources.lake import Lake
from serving.demo import SAMPLE, sample_players
from serving.replay import ReplayServer
from serving.replay_stage import Manners
from serving.replay_world import World
from worlds import DAY, game, world

PLAYERS = ["alice_a", "carol", "dave"]
LONGEST = 240


class Household(Processes):
    """A lakehouse on disk, and `kshift` as processes of their own in it."""

    def __init__(self, folder: Path, server: ReplayServer) -> None:
        super().__init__()
        self.folder, self.server = folder, server

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "KSHIFT_HOME": str(self.folder / "home"),
            "KSHIFT_LICHESS_URL": self.server.url,
            "KSHIFT_PAGE_GAMES": "10",
        }
        return self.begin([*KSHIFT, *arguments], environment | settings, self.folder)

    def kshift(self, *arguments: str, **settings: str) -> str:
        """Run a command to its end, which must be a good one; what it printed."""
        return finished(self.start(*arguments, **settings))

    @property
    def lake(self) -> Lake:
        return Lake(uri=str(self.folder / "home" / "lake"))

    def ids(self) -> list[str]:
        """Ids of the stored documents, one a row."""
        return self.lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA).collect()["id_game"].sort().to_list()


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
        household = Household(tmp_path, server)
        yield household
        household.end()


@pytest.mark.timeout(600)  # several commands, each a process that imports Dagster
def test_two_ingests_and_a_backfill_together_ask_one_request_at_a_time_and_store_each_game_once(
    household: Household,
) -> None:
    household.kshift("track", *PLAYERS)
    together = [
        household.start("ingest"),
        household.start("ingest"),
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


@pytest.mark.timeout(600)  # two commands that carry everything through
def test_a_second_ingest_stores_nothing_new_asks_at_most_twice_per_player_and_materializes_nothing_downstream(
    tmp_path: Path,
) -> None:
    """What is new, and the look-back: on a fresh home, with everybody of the sample followed, and a game going on."""
    made = World.load(SAMPLE)
    followed = sample_players()
    made.add(game(900, max(one["createdAt"] for one in made.games.values()) + DAY, followed[0], status="started"))
    with ReplayServer(made, manners=Manners(is_one_at_a_time=True)) as server:
        household = Household(tmp_path, server)
        household.kshift("ingest", KSHIFT_PLAYERS=",".join(followed), KSHIFT_PAGE_GAMES="300")
        before, seen = (household.ids(), changes(household), newest_event(household)), len(server.ledger.asked)
        household.kshift("ingest", KSHIFT_PLAYERS=",".join(followed), KSHIFT_PAGE_GAMES="300")
        asked = server.ledger.asked[seen:]
    assert before[0]
    assert (household.ids(), changes(household), newest_event(household)) == before
    assert {one.question.path for one in asked} == {f"/api/games/user/{player}" for player in followed}
    assert max(Counter(one.question.path for one in asked).values()) == 2
    assert {one.status for one in asked} == {200}


def newest_event(household: Household) -> dict[str, int]:
    """Number of the newest materialization of each asset."""
    with DagsterInstance.from_config(str(household.folder / "home" / "dagster")) as instance:
        newest = {}
        for key in instance.all_asset_keys():
            records = instance.fetch_materializations(key, limit=1).records
            if records:
                newest[key.to_user_string()] = records[0].storage_id
        return newest
