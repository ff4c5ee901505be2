"""Openings by strength: bands of the mean rating of both sides, over the months."""

from datetime import timedelta

from kshift_assets.chess.marts import opening_bands
from tests.mart_tables import NOON, game, lake_of, made

FRENCH = {"val_eco": "C00", "val_opening_family": "French Defense"}


def rated(white: int | None, black: int | None, result: str = "1-0", **more):
    return game("ann", "bob", result, n_rating_white=white, n_rating_black=black, **FRENCH, **more)


def test_a_game_counts_for_the_band_of_its_mean_rating():
    games = [
        rated(1500, 1699),  # 1599.5
        rated(1400, 1400, "1/2-1/2", at=NOON + timedelta(days=40)),
        rated(1600, 1600, "0-1"),
        rated(1799, 1800),
        rated(1500, None),
        rated(1500, 1500, "*"),
        rated(1500, 1500, val_variant="atomic"),
    ]
    found = made(opening_bands.mart, lake_of(games))
    assert found.select("n_rating_band", "n_games", "n_white_wins", "n_draws", "n_white_score_pct").rows() == [
        (1400, 2, 1, 1, 75),
        (1600, 2, 1, 0, 50),
    ]
