"""Every player's games, results and rating span."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.player_games import PLACE
from kshift_assets.chess.vocabulary import SPEEDS, USER_ID, Utc


class PlayerSummary(pa.DataFrameModel):
    """A player's games, results and rating span, by speed and colour; standard and variant games together."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    val_speed: str = pa.Field(isin=SPEEDS, description="Speed, see chess.games")
    val_color: str = pa.Field(isin=("white", "black"), description="Colour that the player had")
    n_games: pl.Int64 = pa.Field(ge=1, description="Games, unfinished ones included")
    n_wins: pl.Int64 = pa.Field(ge=0, description="Games won")
    n_draws: pl.Int64 = pa.Field(ge=0, description="Games drawn")
    n_losses: pl.Int64 = pa.Field(ge=0, description="Games lost")
    n_unfinished: pl.Int64 = pa.Field(ge=0, description="Games without a result: aborted or still running")
    n_score_pct: pl.Float64 = pa.Field(
        nullable=True,
        in_range={"min_value": 0, "max_value": 100},
        description="Points per finished game, percent; null without one",
    )
    n_rating_min: pl.Int16 = pa.Field(nullable=True, description="Lowest rating before a rated game")
    n_rating_max: pl.Int16 = pa.Field(nullable=True, description="Highest rating before a rated game")
    n_rating_last: pl.Int16 = pa.Field(nullable=True, description="Rating before the newest rated game")
    n_rating_opponents: pl.Float64 = pa.Field(nullable=True, description="Mean rating of the opponents")
    tm_first: Utc = pa.Field(description="When the first of these games was created")
    tm_last: Utc = pa.Field(description="When the newest of these games was created")

    @pa.dataframe_check(name="results_add_up")
    @classmethod
    def _results_add_up(cls, data: PolarsData) -> pl.LazyFrame:
        parts = pl.sum_horizontal("n_wins", "n_draws", "n_losses", "n_unfinished")
        return data.lazyframe.select(pl.col("n_games") == parts)


PLAYER_SPEEDS = Partial(
    name="player_speeds",
    sql=f"""
WITH sides AS (
    SELECT id_user_white AS id_user, 'white' AS val_color, val_speed, val_result, val_result = '1-0' AS won,
        val_result = '0-1' AS lost, n_rating_white AS rating, n_rating_black AS opponent, ind_rated, tm_created, id_game
    FROM chess.games
    UNION ALL
    SELECT id_user_black, 'black', val_speed, val_result, val_result = '0-1',
        val_result = '1-0', n_rating_black, n_rating_white, ind_rated, tm_created, id_game
    FROM chess.games
)
SELECT id_user, val_speed, val_color,
    count(*) AS n_games,
    count(*) FILTER (won) AS n_wins,
    count(*) FILTER (val_result = '1/2-1/2') AS n_draws,
    count(*) FILTER (lost) AS n_losses,
    count(*) FILTER (val_result = '*') AS n_unfinished,
    min(rating) FILTER (ind_rated) AS n_rating_min,
    max(rating) FILTER (ind_rated) AS n_rating_max,
    arg_max(rating, {PLACE}) FILTER (ind_rated) AS n_rating_last,
    sum(opponent)::BIGINT AS opponents,
    count(opponent) AS n_opponents,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last
FROM sides
WHERE id_user IS NOT NULL
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this package
    reads=("chess.games",),
)

SQL = """
SELECT id_user, val_speed, val_color,
    sum(part.n_games) AS n_games,
    sum(part.n_wins) AS n_wins,
    sum(part.n_draws) AS n_draws,
    sum(part.n_losses) AS n_losses,
    sum(part.n_unfinished) AS n_unfinished,
    100 * (sum(part.n_wins) + 0.5 * sum(part.n_draws)) / nullif(sum(part.n_games - part.n_unfinished), 0)
        AS n_score_pct,
    min(part.n_rating_min) AS n_rating_min,
    max(part.n_rating_max) AS n_rating_max,
    arg_max(part.n_rating_last, dt_month) AS n_rating_last,
    sum(opponents) / sum(n_opponents) AS n_rating_opponents,
    min(part.tm_first) AS tm_first,
    max(part.tm_last) AS tm_last
FROM partials.player_speeds AS part
GROUP BY ALL
ORDER BY ALL
"""

mart = Mart(
    name="player_summary",
    model=PlayerSummary,
    sql=SQL,
    partials=(PLAYER_SPEEDS,),
    account=Account("games of players", pl.col("n_games").sum(), counted("n_sides")),
)
