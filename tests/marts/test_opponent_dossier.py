"""What to know of an opponent: by hand, and common opponents by a plain count."""

from datetime import timedelta
from random import Random

import pytest

from kshift_assets.chess.marts import opponent_dossier
from tests.mart_tables import NOON, game, games_in_a_row, lake_of, made, row, values


def opening(family: str, times: int, white: str, black: str | None):
    return [game(white, black, val_opening_family=family) for _ in range(times)]


def dossiers(games, tracked=("ann",)):
    return made(opponent_dossier.mart, lake_of(games, tracked))


def test_only_tracked_players_have_dossiers_one_for_each_opponent():
    games = [*games_in_a_row("1-0", "0-1", "1/2-1/2"), game("cyd", "ann"), game("cyd", "bob"), game("ann", None)]
    found = dossiers(games)
    assert found.select("id_user", "id_opponent").rows() == [("ann", "bob"), ("ann", "cyd")]
    bob = row(found, id_opponent="bob")
    assert (bob["n_wins"], bob["n_draws"], bob["n_losses"], bob["n_score_pct"]) == (1, 1, 1, 50)
    assert bob["tm_last"] == NOON + timedelta(minutes=20)
    assert (bob["n_opponent_games"], bob["n_opponent_score_pct"]) == (4, 37.5)
    assert dossiers(games, tracked=()).height == 0


def test_what_the_opponent_plays_is_told_by_colour_most_frequent_first():
    games = [
        *opening("Vienna Game", 1, "bob", "ann"),
        *opening("French Defense", 4, "bob", "cyd"),
        *opening("Benoni Defense", 2, "bob", None),
        *opening("Alekhine Defense", 1, "bob", None),
        *opening("Caro-Kann Defense", 5, "dee", "bob"),
        game("bob", "cyd", val_opening_family="Atomic Opening", val_variant="atomic"),
    ]
    bob = row(dossiers(games), id_opponent="bob")
    assert bob["arr_openings_white"] == ["French Defense", "Benoni Defense", "Alekhine Defense"]
    assert bob["arr_n_openings_white"] == [4, 2, 1]
    assert (bob["arr_openings_black"], bob["arr_n_openings_black"]) == (["Caro-Kann Defense"], [5])


def test_where_the_opponent_goes_wrong_is_told_by_phase():
    # Plies 1-10 opening, 11-30 middlegame, 31-40 endgame: 5, 10 and 5 moves a side
    phases = {"n_middlegame_ply": 10, "n_endgame_ply": 30, "n_plies": 40}
    quality = {"n_accuracy_opening_black": 90.0, "n_accuracy_middlegame_black": 60.0, "n_accuracy_endgame_white": 1.0}
    games = [
        game("ann", "bob", **phases, **quality, n_blunders_black=3, arr_ply_blunders_black=[10, 12, 30]),
        game("cyd", "bob", **phases, n_blunders_black=1, arr_ply_blunders_black=[32]),
        game("bob", "cyd", n_plies=21, n_blunders_white=0, arr_ply_blunders_white=[]),
        game("bob", "cyd", **phases),
    ]
    bob = row(dossiers(games), id_opponent="bob")
    assert (bob["n_accuracy_opening"], bob["n_accuracy_middlegame"], bob["n_accuracy_endgame"]) == (90, 60, None)
    # the third game is all opening: 11 moves of White
    assert bob["n_blunders_opening_pct"] == pytest.approx(100 * 1 / (5 + 5 + 11))
    assert bob["n_blunders_middlegame_pct"] == 100 * 2 / 20
    assert bob["n_blunders_endgame_pct"] == 100 * 1 / 10
    assert (bob["val_weakest_phase"], bob["n_games_analysed"]) == ("middlegame", 3)


def test_an_opponent_without_analysis_has_no_weakness():
    bob = row(dossiers([game("ann", "bob")]), id_opponent="bob")
    assert (bob["val_weakest_phase"], bob["n_games_analysed"], bob["n_blunders_opening_pct"]) == (None, 0, None)
    flawless = game("ann", "bob", n_blunders_black=0, arr_ply_blunders_black=[])
    assert row(dossiers([flawless]), id_opponent="bob")["val_weakest_phase"] is None


def test_time_and_rating_are_the_opponents():
    games = [
        game("ann", "bob", "1-0", val_termination="Time forfeit", ind_time_trouble_black=True, n_rating_black=1510),
        game("cyd", "bob", "1-0", NOON + timedelta(1), ind_time_trouble_black=False, n_rating_black=1520),
        game("bob", "cyd", "0-1", NOON + timedelta(2), ind_rated=False, n_rating_white=9),
    ]
    columns = ("n_time_trouble_pct", "n_losses_on_time_pct", "n_opponent_rating")
    assert values(dossiers(games), *columns, id_opponent="bob") == (50, pytest.approx(100 / 3), 1520)


@pytest.mark.parametrize("seed", range(3))
def test_common_opponents_are_those_whom_both_met(seed: int):
    random = Random(seed)
    players = [f"p{number:02}" for number in range(14)]
    pairs = [random.sample(players, 2) for _ in range(60)]
    tracked = players[:3]
    found = dossiers([game(*pair) for pair in pairs], tracked)
    met = {player: {one for pair in pairs if player in pair for one in pair} - {player} for player in players}
    assert {tuple(pair) for pair in found.select("id_user", "id_opponent").iter_rows()} == {
        (player, other) for player in tracked for other in met[player]
    }
    for dossier in found.to_dicts():
        opponent = dossier["id_opponent"]
        common = met[dossier["id_user"]] & met[opponent]
        often = {one: sum({one, opponent} == set(pair) for pair in pairs) for one in common}
        assert dossier["n_common_opponents"] == len(common)
        assert (dossier["arr_common_opponents"] or []) == sorted(common, key=lambda one: (-often[one], one))[:10]
