"""A player beside peers: percentiles by hand, and of random players by a plain count."""

from collections import defaultdict
from random import Random
from statistics import mean, median

import pytest

from kshift_assets.chess.marts import peers
from tests.mart_tables import NOON, game, games_in_a_row, lake_of, made, values


def player(name: str, wins: int, losses: int, rating: int = 1500, **more):
    """Games against the computer, so that nobody else is touched."""
    results = ["1-0"] * wins + ["0-1"] * losses
    return games_in_a_row(*results, white=name, black=None, n_rating_white=rating, **more)


def test_the_percentile_is_the_share_of_peers_below_ties_counted_half():
    games = [
        *player("ann", 8, 2),
        *player("bob", 5, 5),
        *player("cyd", 8, 2),
        *player("dee", 1, 9, rating=1599),
        *player("eve", 10, 0, rating=1600),
        *player("too_few", 0, 9),
    ]
    found = made(peers.mart, lake_of(games)).filter(val_metric="score_pct")
    columns = ("n_value", "n_percentile", "n_peers", "n_games", "n_median")
    assert values(found, *columns, id_user="ann") == (80, 100 * (2 + 0.5) / 3, 3, 10, 65)
    assert values(found, *columns, id_user="bob") == (50, 100 * 1 / 3, 3, 10, 65)
    assert values(found, *columns, id_user="dee") == (10, 0, 3, 10, 65)
    assert values(found, *columns, "n_rating_band", id_user="eve") == (100, None, 0, 10, 100, 1600)
    assert "too_few" not in set(found["id_user"])


def test_speeds_and_bands_are_apart_and_variants_do_not_count():
    games = [
        *player("ann", 10, 0),
        *player("ann", 10, 0, rating=1700),
        *player("ann", 10, 0, val_speed="bullet"),
        *player("ann", 10, 0, val_variant="horde"),
    ]
    found = made(peers.mart, lake_of(games)).filter(val_metric="score_pct")
    assert sorted(found.select("val_speed", "n_rating_band", "n_games").rows()) == [
        ("blitz", 1400, 10),
        ("blitz", 1600, 10),
        ("bullet", 1400, 10),
    ]


def test_bots_are_nobodys_peers_but_games_against_them_count():
    games = [
        *player("ann", 8, 2),
        *player("bob", 5, 5),
        *player("engine", 10, 0, val_title_white="BOT"),
        *games_in_a_row(
            *["0-1"] * 10,
            white="cyd",
            black="machine",
            n_rating_white=1500,
            n_rating_black=1500,
            val_title_white="GM",
            val_title_black="BOT",
        ),
    ]
    found = made(peers.mart, lake_of(games)).filter(val_metric="score_pct")
    assert found.select("id_user", "n_value", "n_percentile", "n_peers", "n_median").rows() == [
        ("ann", 80, 100, 2, 50),
        ("bob", 50, 50, 2, 50),
        ("cyd", 0, 0, 2, 50),
    ]


def test_each_metric_stands_on_the_games_that_have_it():
    measured = {"n_accuracy_white": 90.0, "n_acpl_white": 30, "n_blunders_white": 2, "n_think_mean_s_white": 4.0}
    games = [
        *player("ann", 10, 0, **measured, ind_time_trouble_white=True),
        *player("ann", 2, 0, ind_time_trouble_white=False),
    ]
    found = made(peers.mart, lake_of(games))
    metrics = {name: (value, n, better) for name, value, n, better in found.select(
        "val_metric", "n_value", "n_games", "ind_more_is_better"
    ).iter_rows()}  # fmt: skip
    assert metrics == {
        "accuracy_pct": (90.0, 10, True),
        "acpl": (30.0, 10, False),
        "blunders_per_game": (2.0, 10, False),
        "seconds_per_move": (4.0, 10, None),
        "time_trouble_pct": (pytest.approx(1000 / 12), 12, False),
        "score_pct": (100.0, 12, True),
    }


@pytest.mark.parametrize("seed", range(3))
def test_random_players_are_compared_as_a_plain_count_does(seed: int):
    random = Random(seed)
    scores = defaultdict(list)
    games = []
    for _ in range(600):
        name, rating = f"p{random.randrange(15):02}", random.choice([1390, 1410, 1580])
        won = random.random() < 0.5
        scores[name, rating // 200 * 200].append(100 * won)
        games.append(game(name, None, "1-0" if won else "0-1", NOON, n_rating_white=rating))
    found = made(peers.mart, lake_of(games)).filter(val_metric="score_pct")
    means = {key: mean(points) for key, points in scores.items() if len(points) >= 10}
    assert {(user, band) for user, band in found.select("id_user", "n_rating_band").iter_rows()} == set(means)
    for (name, band), value in means.items():
        others = [mean_ for (other, of), mean_ in means.items() if of == band and other != name]
        below = sum(other < value for other in others) + sum(other == value for other in others) / 2
        columns = ("n_value", "n_percentile", "n_peers", "n_median")
        assert values(found, *columns, id_user=name, n_rating_band=band) == pytest.approx(
            (value, 100 * below / len(others), len(others), median([*others, value])), abs=1e-5
        )
