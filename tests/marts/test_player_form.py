"""How a player does over time: numbers reckoned by hand."""

from datetime import UTC, date, datetime

from kshift_assets.chess.marts import player_form
from tests.mart_tables import game, lake_of, made, row, values

SUNDAY = datetime(2024, 3, 31, 23, 59, tzinfo=UTC)
MONDAY = datetime(2024, 4, 1, 0, 1, tzinfo=UTC)

FORM = made(
    player_form.mart,
    lake_of(
        [
            game("ann", "bob", "1-0", SUNDAY, n_rating_white=1500, n_rating_diff_white=6, n_rating_black=1400),
            game(
                *("bob", "ann", "1/2-1/2", MONDAY),
                n_rating_black=1506,
                n_rating_diff_black=-1,
                n_rating_white=1390,
                n_accuracy_black=90.0,
                n_acpl_black=20,
                n_blunders_black=1,
                n_mistakes_black=0,
                n_accuracy_white=55.0,
                n_acpl_white=99,
                n_blunders_white=7,
                n_mistakes_white=7,
            ),
            game(
                *("ann", "cyd", "0-1", MONDAY.replace(hour=5)),
                n_rating_white=1505,
                n_rating_diff_white=-8,
                n_rating_black=1600,
                n_accuracy_white=71.0,
                n_acpl_white=61,
                n_blunders_white=4,
                n_mistakes_white=3,
            ),
            game("ann", "cyd", "1-0", MONDAY.replace(hour=6), ind_rated=False, n_rating_white=1900),
            game("ann", None, "1-0", MONDAY.replace(hour=7), n_ai_level_black=3, ind_rated=False),
            game("ann", "cyd", "*", MONDAY.replace(hour=8), n_rating_white=100),
            game("ann", "cyd", "0-1", MONDAY.replace(hour=9), val_perf="chess960", val_variant="chess960"),
        ]
    ),
)
ANN = {"id_user": "ann", "val_perf": "blitz"}


def test_days_weeks_and_months_are_those_of_utc_and_weeks_begin_on_monday():
    periods = FORM.filter(id_user="ann", val_perf="blitz").select("val_period", "dt_period", "n_games").rows()
    assert sorted(periods) == [
        ("day", date(2024, 3, 31), 1),
        ("day", date(2024, 4, 1), 4),
        ("month", date(2024, 3, 1), 1),
        ("month", date(2024, 4, 1), 4),
        ("week", date(2024, 3, 25), 1),
        ("week", date(2024, 4, 1), 4),
    ]


def test_results_and_score_are_of_finished_games():
    april = row(FORM, **ANN, val_period="month", dt_period=date(2024, 4, 1))
    assert [april[name] for name in ("n_wins", "n_draws", "n_losses", "n_score_pct")] == [2, 1, 1, 62.5]


def test_ratings_are_of_rated_games_and_the_last_is_the_one_after_the_game():
    columns = ("n_rating_first", "n_rating_last", "n_rating_min", "n_rating_max", "n_rating_opponents")
    found = values(FORM, *columns, **ANN, val_period="week", dt_period=date(2024, 4, 1))
    assert found == (1506, 1497, 1505, 1506, (1390 + 1600) / 2)


def test_quality_is_the_players_own_and_only_of_analysed_games():
    columns = ("n_accuracy_mean", "n_acpl_mean", "n_mistakes_per_game", "n_blunders_per_game", "n_games_analysed")
    april = values(FORM, *columns, "n_analysed_pct", **ANN, val_period="month", dt_period=date(2024, 4, 1))
    assert april == (80.5, 40.5, 1.5, 2.5, 2, 50.0)
    march = values(FORM, *columns, "n_analysed_pct", **ANN, val_period="month", dt_period=date(2024, 3, 1))
    assert march == (None, None, None, None, 0, 0.0)


def test_variants_have_rows_of_their_own():
    assert values(FORM, "n_losses", id_user="ann", val_perf="chess960", val_period="day") == 1
