"""What a player plays: results, and performance ratings from FIDE's published table."""

import pytest

from kshift_assets.chess.marts import player_openings
from tests.mart_tables import NOON, game, games_in_a_row, lake_of, made, row, values

FRENCH = {"val_eco": "C00", "val_opening_family": "French Defense"}


def test_openings_are_counted_by_colour_and_speed():
    games = [
        *games_in_a_row("1-0", "1/2-1/2", **FRENCH, n_rating_black=1500),
        game("bob", "ann", "1-0", **FRENCH, n_accuracy_black=80.0, n_accuracy_white=10.0, n_acpl_black=33),
        game("ann", "bob", val_speed="rapid", **FRENCH),
        game("ann", "bob", val_variant="atomic", **FRENCH),
        game("ann", "bob"),
    ]
    openings = made(player_openings.mart, lake_of(games)).filter(id_user="ann")
    assert openings.height == 4
    whites = row(openings, val_color="white", val_speed="blitz", val_eco="C00")
    assert (whites["n_games"], whites["n_wins"], whites["n_draws"], whites["n_score_pct"]) == (2, 1, 1, 75.0)
    assert whites["tm_last"] == NOON.replace(minute=10)
    blacks = row(openings, val_color="black")
    assert (blacks["n_losses"], blacks["n_accuracy_mean"], blacks["n_acpl_mean"], blacks["n_games_analysed"]) == (
        *(1, 80.0, 33.0, 1),
    )
    assert blacks["n_performance"] is None, "no opponent has a rating"
    assert values(openings, "n_games", val_eco=None) == 1


@pytest.mark.parametrize(
    ("results", "difference"),  # FIDE Handbook B.02, table 8.1.1: p → dp
    [
        ("1", 800),
        ("0", -800),
        ("10", 0),
        ("1110", 193),
        ("1000", -193),
        ("110", 125),
        ("100", -125),
        ("1111111110", 366),
        ("1=", 193),
        ("11111=====", 193),
        ("1==", 125),
        ("1" * 99 + "0", 677),
        ("1" * 53 + "0" * 47, 21),
    ],
)
def test_performance_is_the_opponents_mean_rating_and_fides_difference(results: str, difference: int):
    names = {"1": "1-0", "0": "0-1", "=": "1/2-1/2"}
    games = [game("ann", "bob", names[result], n_rating_black=1500) for result in results]
    openings = made(player_openings.mart, lake_of(games))
    assert values(openings, "n_performance", id_user="ann") == 1500 + difference


def test_games_against_the_computer_do_not_count_for_performance():
    games = [game("ann", "bob", "0-1", n_rating_black=1600), game("ann", None, "1-0")]
    found = row(made(player_openings.mart, lake_of(games)), id_user="ann")
    assert (found["n_rating_opponents"], found["n_performance"], found["n_score_pct"]) == (1600, 800, 50)
