"""How the clock is used: clocks and results that can be reckoned by hand."""

from datetime import timedelta

import pytest

from kshift_assets.chess.marts import time_management
from tests.mart_tables import NOON, game, lake_of, made, row, values

PHASES = ("n_think_opening_s", "n_think_middlegame_s", "n_think_endgame_s")

# White's clocks 180 → 178, 170 | 150, 145 | 144; Black's 180 → 179, 177 | 177, 100 | 99
CLOCKS_S = [180, 180, 178, 179, 170, 177, 150, 177, 145, 100, 144, 99]
CLOCKED = {
    "arr_clock_cs": [100 * clock for clock in CLOCKS_S],
    "n_plies": 12,
    "n_middlegame_ply": 6,
    "n_endgame_ply": 10,
    "n_think_mean_s_white": 7.2,
    "n_think_mean_s_black": 16.2,
}


def test_thinking_is_told_by_phase():
    found = made(time_management.mart, lake_of([game("ann", "bob", **CLOCKED)]))
    # the first move of each side is not timed
    assert values(found, *PHASES, id_user="ann", n_hour_utc=None) == (10 / 2, 25 / 2, 1 / 1)
    assert values(found, *PHASES, id_user="bob", n_hour_utc=None) == (3 / 2, 77 / 2, 1 / 1)


def test_increments_are_thinking_time_too_but_not_after_berserk():
    games = [game("ann", "bob", **CLOCKED, n_clock_increment_s=2, ind_berserk_white=True, id_tournament="arena")]
    found = made(time_management.mart, lake_of(games))
    assert values(found, *PHASES, id_user="ann", n_hour_utc=None) == (5, 12.5, 1)
    assert values(found, *PHASES, id_user="bob", n_hour_utc=None) == (1.5 + 2, 38.5 + 2, 1 + 2)


def test_a_game_without_a_middlegame_is_all_opening():
    games = [game("ann", "bob", **CLOCKED | {"n_middlegame_ply": None, "n_endgame_ply": None})]
    found = made(time_management.mart, lake_of(games))
    assert values(found, *PHASES, id_user="ann", n_hour_utc=None) == (36 / 5, None, None)


def test_black_may_begin():
    fen = "8/8/8/8/8/8/8/Kk6 b - - 0 1"
    found = made(time_management.mart, lake_of([game("ann", "bob", **CLOCKED, val_initial_fen=fen)]))
    assert values(found, *PHASES, id_user="bob", n_hour_utc=None) == (5, 12.5, 1)


def test_games_without_clocks_tell_no_thinking():
    found = row(made(time_management.mart, lake_of([game("ann", "bob")])), id_user="ann", n_hour_utc=None)
    assert [found[name] for name in (*PHASES, "n_think_mean_s", "n_time_trouble_pct")] == [None] * 5
    assert found["n_games_timed"] == 0


def test_results_by_the_clock_and_time_trouble_are_shares():
    flagged = {"val_termination": "Time forfeit", "val_status": "outoftime"}
    trouble = {"n_moves_time_trouble_white": 4, "ind_time_trouble_white": True, "n_think_mean_s_white": 3.0}
    calm = {"n_moves_time_trouble_white": 0, "ind_time_trouble_white": False, "n_think_mean_s_white": 6.0}
    games = [
        game("ann", "bob", "0-1", **flagged, **trouble),
        game("ann", "bob", "0-1", **flagged | {"val_status": None}, **calm),
        game("ann", "bob", "0-1", **flagged | {"val_status": "timeout"}),
        game("ann", "bob", "0-1", **calm),
        game("ann", "bob", "1/2-1/2", **flagged, **calm),
        game("ann", "bob", "1-0", NOON + timedelta(hours=1), **flagged, id_tournament="a", ind_berserk_white=True),
        game("ann", "bob", "1-0", NOON + timedelta(hours=1), id_tournament="a", ind_berserk_white=False),
        game("ann", "bob", "1-0", NOON + timedelta(hours=1), id_tournament="a"),
    ]
    found = made(time_management.mart, lake_of(games)).filter(id_user="ann")
    whole = row(found, n_hour_utc=None)
    assert (whole["n_losses_on_time"], whole["n_losses_on_time_pct"]) == (2, 50)
    assert (whole["n_wins_on_time"], whole["n_wins_on_time_pct"]) == (1, pytest.approx(100 / 3))
    assert (whole["n_time_trouble_pct"], whole["n_moves_time_trouble_per_game"]) == (25, 1)
    assert (whole["n_games_timed"], whole["n_think_mean_s"]) == (4, 5.25)
    assert (whole["n_games_berserk"], whole["n_berserk_pct"]) == (1, 50)
    assert sorted(found.select("n_hour_utc", "n_games", "n_score_pct").rows(), key=str) == [
        (12, 5, 10.0),
        (13, 3, 100.0),
        (None, 8, 43.75),
    ]
