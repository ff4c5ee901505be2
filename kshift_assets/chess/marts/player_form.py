"""How a player does over time: results, rating and accuracy by day, week and month."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.columns import ResultsAddUp, amount, count, percent, speed, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.player_games import player_games


class PlayerForm(ResultsAddUp):
    """A player's results, rating and accuracy by day, week and month (UTC), for each rating category and speed."""

    id_user: str = user(description="User id, lower case")
    val_perf: str = pa.Field(description="Rating category: the speed for standard chess, else the variant")
    val_speed: str = speed()
    val_period: str = pa.Field(isin=("day", "week", "month"), description="Length of the period")
    dt_period: pl.Date = pa.Field(description="First day of the period, UTC; weeks begin on Monday")
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games")
    n_wins: pl.Int64 = count(description="Games won")
    n_draws: pl.Int64 = count(description="Games drawn")
    n_losses: pl.Int64 = count(description="Games lost")
    n_score_pct: pl.Float64 = percent(nullable=False, description="Points per game, percent")
    n_rating_first: pl.Int16 = amount(description="Rating before the first rated game")
    n_rating_last: pl.Int16 = amount(
        description="Rating after the last rated game; before it, if its change is unknown"
    )
    n_rating_min: pl.Int16 = amount(description="Lowest rating before a rated game")
    n_rating_max: pl.Int16 = amount(description="Highest rating before a rated game")
    n_rating_opponents: pl.Float64 = amount(description="Mean rating of the opponents")
    n_accuracy_mean: pl.Float64 = percent(description="Mean accuracy of the analysed games, percent")
    n_acpl_mean: pl.Float64 = amount(description="Mean ACPL of the analysed games, centipawns a move")
    n_inaccuracies_per_game: pl.Float64 = amount(description="Inaccuracies per analysed game")
    n_mistakes_per_game: pl.Float64 = amount(description="Mistakes per analysed game")
    n_blunders_per_game: pl.Float64 = amount(description="Blunders per analysed game")
    n_games_analysed: pl.Int64 = count(description="Games with computer analysis: those that have an ACPL")
    n_analysed_pct: pl.Float64 = percent(nullable=False, description="Share of the games with analysis, percent")

    @pa.dataframe_check(name="rating_stays_in_its_span")
    @classmethod
    def _rating_stays_in_its_span(cls, data: PolarsData) -> pl.LazyFrame:
        inside = pl.col("n_rating_first").is_between("n_rating_min", "n_rating_max")
        return data.lazyframe.select(inside | pl.col("n_rating_first").is_null())


JUDGED = ("n_inaccuracies", "n_mistakes", "n_blunders")
MEASURES = ("n_accuracy", "n_acpl", *JUDGED)
COUNTS = (
    *("n_games", "n_wins", "n_draws", "n_losses", "opponents", "n_opponents", *MEASURES[1:]),
    *(f"{name}_games" for name in MEASURES),
)

# Each day is added up once; weeks and months are made from days.
PLAYER_DAYS = Partial(
    name="player_days",
    sql=f"""
WITH player_games AS (
    {player_games(MEASURES, analytics=("accuracy", "acpl", "judgments"))}
)
SELECT id_user, val_perf, val_speed, dt_game,
    count(*) AS n_games,
    count(*) FILTER (n_points = 1) AS n_wins,
    count(*) FILTER (n_points = 0.5) AS n_draws,
    count(*) FILTER (n_points = 0) AS n_losses,
    arg_min(n_rating, place) FILTER (ind_rated) AS rating_first,
    arg_max(n_rating + coalesce(n_rating_diff, 0), place) FILTER (ind_rated) AS rating_last,
    min(n_rating) FILTER (ind_rated) AS rating_min,
    max(n_rating) FILTER (ind_rated) AS rating_max,
    sum(n_rating_opponent)::BIGINT AS opponents,
    count(n_rating_opponent) AS n_opponents,
    sum(n_accuracy) AS n_accuracy, count(n_accuracy) AS n_accuracy_games,
    {", ".join(f"sum({name})::BIGINT AS {name}, count({name}) AS {name}_games" for name in MEASURES[1:])}
FROM player_games
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.accuracy", "analytics.acpl", "analytics.judgments"),
)

# A day has all its games in one month, and is a row of the partial as it stands.
SQL = f"""
WITH periods AS (
    SELECT id_user, val_perf, val_speed, val_period, date_trunc(val_period, dt_game)::DATE AS dt_period,
        {", ".join(f"sum(days.{name})::BIGINT AS {name}" for name in COUNTS)},
        sum(days.n_accuracy) AS n_accuracy,
        arg_min(days.rating_first, dt_game) AS rating_first,
        arg_max(days.rating_last, dt_game) AS rating_last,
        min(days.rating_min) AS rating_min,
        max(days.rating_max) AS rating_max
    FROM partials.player_days AS days CROSS JOIN (VALUES ('week'), ('month')) AS longer (val_period)
    GROUP BY id_user, val_perf, val_speed, val_period, dt_period
    UNION ALL BY NAME
    SELECT * EXCLUDE (dt_game, dt_month), 'day' AS val_period, dt_game AS dt_period FROM partials.player_days
)
SELECT id_user, val_perf, val_speed, val_period, dt_period,
    n_games, n_wins, n_draws, n_losses,
    round(100 * (n_wins + 0.5 * n_draws) / n_games, 4) AS n_score_pct,
    rating_first AS n_rating_first,
    rating_last AS n_rating_last,
    rating_min AS n_rating_min,
    rating_max AS n_rating_max,
    opponents / n_opponents AS n_rating_opponents,
    round(n_accuracy / n_accuracy_games, 4) AS n_accuracy_mean,
    n_acpl / n_acpl_games AS n_acpl_mean,
    {", ".join(f"{name} / {name}_games AS {name}_per_game" for name in JUDGED)},
    n_acpl_games AS n_games_analysed,
    100 * n_acpl_games / n_games AS n_analysed_pct
FROM periods
ORDER BY id_user, val_perf, val_speed, val_period, dt_period
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="player_form",
    model=PlayerForm,
    sql=SQL,
    partials=(PLAYER_DAYS,),
    account=Account("games of players by day, week and month", pl.col("n_games").sum(), counted("n_sides_over", 3)),
)
