"""Which openings pay, and for whom."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import OutcomesAddUp
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.vocabulary import SPEEDS


class OpeningResults(OutcomesAddUp):
    """Results of standard chess by opening and speed."""

    val_eco: str = pa.Field(str_matches=r"^[A-E][0-9]{2}$", description="ECO code")
    val_family: str = pa.Field(description="Opening family, the name up to its colon")
    val_speed: str = pa.Field(isin=SPEEDS, description="Speed, see chess.games")
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games")
    n_white_wins: pl.Int64 = pa.Field(ge=0, description="Games that White won")
    n_draws: pl.Int64 = pa.Field(ge=0, description="Games drawn")
    n_black_wins: pl.Int64 = pa.Field(ge=0, description="Games that Black won")
    n_white_score_pct: pl.Float64 = pa.Field(
        in_range={"min_value": 0, "max_value": 100}, description="White's points per game, percent"
    )
    n_rating_mean: pl.Float64 = pa.Field(nullable=True, description="Mean rating of both sides")
    n_plies_mean: pl.Float64 = pa.Field(ge=0, description="Mean length, plies")


BAND = 200
_COUNTED = "val_result <> '*' AND val_variant = 'standard'"
_KNOWN = "val_eco IS NOT NULL AND val_opening_family IS NOT NULL"

OPENING_SPEEDS = Partial(
    name="opening_speeds",
    sql=f"""
SELECT opening.val_eco, opening.val_opening_family AS val_family, games.val_speed,
    (n_rating_white + n_rating_black) // 2 // {BAND} * {BAND} AS n_rating_band,
    count(*) AS n_games,
    count(*) FILTER (val_result = '1-0') AS n_white_wins,
    count(*) FILTER (val_result = '1/2-1/2') AS n_draws,
    count(*) FILTER (val_result = '0-1') AS n_black_wins,
    sum((n_rating_white + n_rating_black) / 2) AS ratings,
    count(n_rating_white + n_rating_black) AS n_rated,
    sum(n_plies)::BIGINT AS plies
FROM analytics.opening AS opening JOIN chess.games AS games USING (id_game, dt_month)
WHERE {_COUNTED} AND opening.val_eco IS NOT NULL AND opening.val_opening_family IS NOT NULL
GROUP BY ALL
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.opening"),
)
OPENING_COUNTS = Partial(
    name="opening_counts",
    sql=f"""
SELECT count(*) AS n_games, count(n_rating_white + n_rating_black) AS n_games_rated FROM chess.games
WHERE {_COUNTED} AND id_game IN (SELECT id_game FROM analytics.opening WHERE {_KNOWN})
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.opening"),
)

OUTCOMES_ADDED = """sum(part.n_games) AS n_games,
    sum(part.n_white_wins) AS n_white_wins,
    sum(part.n_draws) AS n_draws,
    sum(part.n_black_wins) AS n_black_wins,
    100 * (sum(part.n_white_wins) + 0.5 * sum(part.n_draws)) / sum(part.n_games) AS n_white_score_pct"""
"""The results of all months, from those of OPENING_SPEEDS as `part`."""

SQL = f"""
SELECT val_eco, val_family, val_speed,
    {OUTCOMES_ADDED},
    sum(ratings) / sum(n_rated) AS n_rating_mean,
    sum(plies) / sum(part.n_games) AS n_plies_mean
FROM partials.opening_speeds AS part
GROUP BY ALL
ORDER BY ALL
"""  # noqa: S608  # constants of this package

mart = Mart(
    name="opening_results",
    model=OpeningResults,
    sql=SQL,
    partials=(OPENING_SPEEDS, OPENING_COUNTS),
    account=Account("games", pl.col("n_games").sum(), "SELECT coalesce(sum(n_games), 0) FROM partials.opening_counts"),
)
