"""What holds for every mart: what it reads is there, no game gives no rows, and the order of the games is nothing."""

from datetime import timedelta
from random import Random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kshift_assets.chess.marts import MARTS, Mart
from kshift_assets.chess.tables import TABLES
from kshift_assets.definitions import find_plugins
from tests.mart_tables import ANALYTICS, NOON, game, lake_of, made

READ = (*ANALYTICS, "engine_eval")

each_mart = pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)


@pytest.mark.parametrize("plugin", find_plugins(), ids=lambda plugin: plugin.name)
def test_analytics_have_the_columns_that_these_tests_give_them(plugin):
    assert set(ANALYTICS.get(plugin.name, ())) <= set(plugin.columns)


@each_mart
def test_what_it_reads_is_a_table(mart: Mart):
    assert set(mart.sources) <= {*(table.full_name for table in TABLES), *(f"analytics.{name}" for name in READ)}


@each_mart
def test_no_games_give_no_rows(mart: Mart):
    assert made(mart, lake_of([])).height == 0


@each_mart
def test_the_order_of_the_games_is_nothing(mart: Mart):
    random = Random(7)
    games = [{"id_game": f"g{number:03}", **random_game(random)} for number in range(400)]
    profiles = [{"id_user": "p1", "n_games": 80, "n_games_blitz": 30, "tm_facts": NOON}]
    first = made(mart, lake_of(games, ["p1", "p2"], profiles))
    assert first.height
    random.shuffle(games)
    assert_frame_equal(first, made(mart, lake_of(games, ["p1", "p2"], profiles)), check_exact=True)


def random_game(random: Random) -> dict[str, Any]:
    """A game with anything that a row of chess.games and its analytics may hold."""
    plies = random.randrange(90)
    analysed, timed = random.random() < 0.5, random.random() < 0.7
    start = NOON + timedelta(minutes=random.randrange(9000))
    perf = random.choice([("blitz", "standard"), ("bullet", "standard"), ("chess960", "chess960")])
    middlegame = random.choice([None, random.randrange(30)])
    measures: dict[str, Any] = {}
    for side in ("white", "black"):
        measures |= {
            f"n_rating_{side}": random.choice([None, 1480, 1520, 1610]),
            f"n_rating_diff_{side}": random.choice([None, -5, 6]),
            f"n_accuracy_{side}": random.uniform(0, 100) if analysed else None,
            f"n_acpl_{side}": random.randrange(200) if analysed else None,
            f"n_blunders_{side}": 1 if analysed and plies else None,
            f"arr_ply_blunders_{side}": [random.randrange(plies) + 1] if analysed and plies else None,
            f"n_accuracy_opening_{side}": random.uniform(0, 100) if analysed else None,
            f"n_think_opening_s_{side}": random.uniform(0, 90) if timed else None,
            f"n_think_mean_s_{side}": random.uniform(0, 9) if timed else None,
            f"ind_time_trouble_{side}": random.random() < 0.3 if timed else None,
            f"n_moves_time_trouble_{side}": random.randrange(9) if timed else None,
            f"ind_berserk_{side}": random.random() < 0.1 if timed else None,
        }
    return game(
        *random.sample(["p1", "p2", "p3", "p4", None], 2),
        random.choice(["1-0", "0-1", "1/2-1/2", "*"]),
        start,
        **measures,
        val_perf=perf[0],
        val_speed="bullet" if perf[0] == "bullet" else "blitz",
        val_variant=perf[1],
        n_plies=plies,
        ind_rated=random.random() < 0.8,
        arr_clock_cs=[random.randrange(18000) for _ in range(plies)] if timed else None,
        n_middlegame_ply=middlegame,
        n_plies_opening=random.choice([None, plies]),
        n_endgame_ply=random.choice([None, middlegame + 20]) if middlegame is not None else None,
        tm_last_move=random.choice([None, start + timedelta(minutes=random.randrange(9))]),
        val_termination=random.choice(["Normal", "Time forfeit"]),
        val_status=random.choice([None, "outoftime", "timeout", "resign"]),
        **random.choice([{}, {"val_eco": "C00", "val_opening_family": "French Defense"}]),
        id_tournament=random.choice([None, "arena"]),
    )


def test_the_lake_of_these_tests_has_the_types_of_the_lake():
    lake = lake_of([game("ann", "bob")])
    assert lake.sql("SELECT tm_created FROM chess.games").pl().schema == {"tm_created": pl.Datetime("us", "UTC")}
