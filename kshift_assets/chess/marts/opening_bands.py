"""Which openings pay at which strength."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import ECO, OutcomesAddUp, count, percent, speed
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.opening_results import BAND, OPENING_COUNTS, OPENING_SPEEDS, OUTCOMES_ADDED


class OpeningBands(OutcomesAddUp):
    """Results of standard chess by opening, speed and rating band: games in which both ratings are known."""

    val_eco: str = pa.Field(str_matches=ECO, description="ECO code")
    val_family: str = pa.Field(description="Opening family, the name up to its colon")
    val_speed: str = speed()
    n_rating_band: pl.Int16 = count(
        description=f"Lower end of the rating band, which is {BAND} points wide, of the mean rating of both sides"
    )
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games")
    n_white_wins: pl.Int64 = count(description="Games that White won")
    n_draws: pl.Int64 = count(description="Games drawn")
    n_black_wins: pl.Int64 = count(description="Games that Black won")
    n_white_score_pct: pl.Float64 = percent(nullable=False, description="White's points per game, percent")


SQL = f"""
SELECT val_eco, val_family, val_speed, n_rating_band,
    {OUTCOMES_ADDED}
FROM partials.opening_speeds AS part
WHERE n_rating_band IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""  # noqa: S608  # constants of this package

mart = Mart(
    name="opening_bands",
    model=OpeningBands,
    sql=SQL,
    partials=(OPENING_SPEEDS, OPENING_COUNTS),
    account=Account(
        "games with both ratings",
        pl.col("n_games").sum(),
        "SELECT coalesce(sum(n_games_rated), 0) FROM partials.opening_counts",
    ),
)
