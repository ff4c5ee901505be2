"""What the matrix found, each as a test of its own."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.ingestion import pull_players
from resources.lake import Lake
from serving.replay import ReplayServer
from serving.replay_api import Answer, Question
from serving.replay_wire import Fault
from worlds import DAY, MARCH, game, hasty, lichess, world


@pytest.mark.parametrize("mixed_up", [0, 1, 2])
def test_an_answer_meant_for_another_player_does_not_move_the_cursor_over_games_in_between(
    tmp_path: Path, mixed_up: int
):
    """It holds a game of both, much later than where we are, and lines that are set aside."""
    made = world(12, step=DAY)
    made.add(shared := game(90, MARCH + 40 * DAY, white="alice_a", black="carol"))
    others = [shared, *(game(100 + number, MARCH + (41 + number) * DAY, white="carol") for number in range(3))]

    def mix_up(answer: Answer) -> Answer:
        return replace(answer, pieces=tuple(orjson.dumps(one) + b"\n" for one in others))

    def plan(number: int, _: Question) -> Fault | None:
        return Fault(change=mix_up) if number == mixed_up else None

    lake = Lake(uri=str(tmp_path / "lake"))
    with ReplayServer(made, plan) as server:
        api = lichess(server.url, tmp_path / "state", limits=hasty())
        (player,) = pull_players(lake, api, ["alice_a"], 4, timedelta()).players
    assert player.state == "done"
    assert set(lake.scan("lichess.player_games", GAMES_SCHEMA).collect()["id_game"]) == set(made.games)


def test_a_game_that_vanished_from_the_listing_holds_nobody_up(tmp_path: Path):
    """The game that was asked from does not come again, since Lichess has taken it away: the others do."""
    made, lake = world(6, step=DAY), Lake(uri=str(tmp_path / "lake"))
    with ReplayServer(made) as server:
        api = lichess(server.url, tmp_path / "state", limits=hasty())
        pull_players(lake, api, ["alice_a"])
        made.games.popitem()
        made.add(game(50, MARCH + 20 * DAY))
        (player,) = pull_players(lake, api, ["alice_a"]).players
    assert (player.state, player.n_new) == ("done", 1)
