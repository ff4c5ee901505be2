"""What the matrix found, each as a test of its own."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.ingestion import pull_month, pull_players
from resources.lake import Lake
from serving.replay import ReplayServer
from serving.replay_api import Answer, Question
from serving.replay_wire import Ending, Fault, Plan, lines
from serving.replay_world import World
from worlds import DAY, MARCH, game, hasty, lichess, world


@pytest.mark.parametrize("mixed_up", [0, 1, 2])
@pytest.mark.parametrize("begins_right", [False, True])
def test_an_answer_meant_for_another_player_does_not_move_the_cursor_over_games_in_between(
    tmp_path: Path, mixed_up: int, *, begins_right: bool
):
    """It holds a game of both, much later than where we are, and lines that are set aside."""
    made = world(12, step=DAY)
    made.add(shared := game(90, MARCH + 40 * DAY, white="alice_a", black="carol"))
    made.add(asked_from := game(3, MARCH + 3 * DAY, white="alice_a", black="carol"))
    others = [shared, *(game(100 + number, MARCH + (41 + number) * DAY, white="carol") for number in range(3))]

    def mix_up(answer: Answer) -> Answer:
        sent = [asked_from, *others] if begins_right else others
        return replace(answer, pieces=tuple(orjson.dumps(one) + b"\n" for one in sent))

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


@pytest.mark.parametrize("short", range(7))
@pytest.mark.parametrize("kept", [0, 1])
def test_one_short_answer_is_not_taken_for_the_end_of_a_month(tmp_path: Path, short: int, kept: int):
    """It holds no more than the game that was asked from, and nothing says that it was cut; no cursor heals it."""
    made = world(12, step=DAY)

    def plan(number: int, _: Question) -> Fault | None:
        return Fault(change=lines(lambda found: found[:kept])) if number == short else None

    assert ids_of_march(tmp_path, made, plan) == set(made.games)


@pytest.mark.parametrize("cut", range(7))
@pytest.mark.parametrize("kept", [0, 1])
def test_an_answer_that_broke_off_is_no_witness_for_a_short_one_after_it(tmp_path: Path, cut: int, kept: int):
    """Two answers in a row bring nothing, but only the second looks like the end."""
    made = world(12, step=DAY)
    size = len(orjson.dumps(game(0, MARCH))) + 1

    def plan(number: int, _: Question) -> Fault | None:
        if number == cut:
            return Fault(Ending.RESET, size + 10)
        return Fault(change=lines(lambda found: found[:kept])) if number == cut + 1 else None

    assert ids_of_march(tmp_path, made, plan) == set(made.games)


def ids_of_march(folder: Path, made: World, plan: Plan) -> set[str]:
    """Games that are stored when filling the month, three a page, says that it is done."""
    lake = Lake(uri=str(folder / "lake"))
    with ReplayServer(made, plan) as server:
        api = lichess(server.url, folder / "state", limits=hasty())
        (player,) = pull_month(lake, api, ["alice_a"], "2024-03", 3).players
    assert player.state == "done"
    return set(lake.scan("lichess.player_games", GAMES_SCHEMA).collect()["id_game"])


def test_where_another_process_moved_the_cursor_an_answer_must_begin_there(tmp_path: Path):
    """Both began with nothing; the other stores a page first, and then our answer skips some games."""
    made, lake = world(12, step=DAY), Lake(uri=str(tmp_path / "lake"))

    def plan(number: int, _: Question) -> Fault | None:
        if number == 0:
            pull_players(lake, lichess(twin.url, tmp_path / "twin", limits=hasty()), ["alice_a"], 4, most_requests=1)
        return Fault(change=lines(lambda found: found[2:])) if number == 1 else None

    with ReplayServer(made) as twin, ReplayServer(made, plan) as server:
        api = lichess(server.url, tmp_path / "state", limits=hasty())
        (player,) = pull_players(lake, api, ["alice_a"], 4, timedelta()).players
    assert player.state == "done"
    assert set(lake.scan("lichess.player_games", GAMES_SCHEMA).collect()["id_game"]) == set(made.games)
