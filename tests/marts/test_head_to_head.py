"""Results of pairs, and what their ratings promised."""

from datetime import timedelta

import pytest

from kshift_assets.chess.marts import head_to_head
from tests.mart_tables import NOON, game, lake_of, made, row

GAMES = [
    game("ann", "bob", "1-0", NOON, n_rating_white=1900, n_rating_black=1500),
    game("ann", "bob", "0-1", NOON + timedelta(days=2), n_rating_white=1500, n_rating_black=1500),
    game("ann", "bob", "1/2-1/2", NOON + timedelta(days=1)),
    game("bob", "ann", "1-0", NOON, n_rating_white=1500, n_rating_black=1900),
    game("ann", "bob", "1-0", NOON, val_speed="bullet"),
    game("ann", None, "1-0"),
    game("ann", "ann", "1-0"),
    game("ann", "bob", "*"),
]


def test_a_pair_is_told_from_either_side():
    pairs = made(head_to_head.mart, lake_of(GAMES))
    assert pairs.height == 6
    anns = row(pairs, id_user="ann", val_color="white", val_speed="blitz")
    assert (anns["id_opponent"], anns["n_wins"], anns["n_draws"], anns["n_losses"]) == ("bob", 1, 1, 1)
    assert (anns["id_game_last"], anns["tm_last"]) == ("g001", NOON + timedelta(days=2))
    bobs = row(pairs, id_user="bob", val_color="black", val_speed="blitz")
    assert (bobs["id_opponent"], bobs["n_wins"], bobs["n_draws"], bobs["n_losses"]) == ("ann", 1, 1, 1)


def test_what_ratings_promise_is_elos_expectation():
    pairs = made(head_to_head.mart, lake_of(GAMES))
    anns = row(pairs, id_user="ann", val_color="white", val_speed="blitz")
    # 400 points more: 10 of 11 points; as many: half a point; the game without ratings does not count
    assert (anns["n_games_expected"], anns["n_rating_difference"]) == (2, 200)
    assert anns["n_score_expected_pct"] == pytest.approx(100 * (10 / 11 + 1 / 2) / 2, abs=1e-4)
    assert anns["n_score_surplus_pct"] == pytest.approx(100 * (1 / 11 - 1 / 2) / 2, abs=1e-4)
    assert row(pairs, id_user="ann", val_speed="bullet")["n_score_expected_pct"] is None
