"""What a player plays, and how well it goes: openings by colour and speed."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import ECO, ResultsAddUp, amount, color, count, maybe, percent, speed, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.player_games import RESULTS, RESULTS_ADDED, player_games
from kshift_assets.chess.vocabulary import Utc

FIDE_DIFFERENCES = (
    "[0, 7, 14, 21, 29, 36, 43, 50, 57, 65, 72, 80, 87, 95, 102, 110, 117, 125, 133, 141, 149, 158, 166, 175, 184, 193,"
    "202, 211, 220, 230, 240, 251, 262, 273, 284, 296, 309, 322, 336, 351, 366, 383, 401, 422, 444, 470, 501, 538, 589,"
    "677, 800]"
)
"""Rating difference that a score of 50, 51 … 100 percent stands for. Source: FIDE Handbook B.02, table 8.1.1."""


class PlayerOpenings(ResultsAddUp):
    """A player's results and accuracy in standard chess by colour, speed and opening."""

    id_user: str = user(description="User id, lower case")
    val_color: str = color()
    val_speed: str = speed()
    val_eco: str = pa.Field(nullable=True, str_matches=ECO, description="ECO code; null where no opening is known")
    val_opening_family: str = pa.Field(nullable=True, description="Opening family; null where no opening is known")
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games")
    n_wins: pl.Int64 = count(description="Games won")
    n_draws: pl.Int64 = count(description="Games drawn")
    n_losses: pl.Int64 = count(description="Games lost")
    n_score_pct: pl.Float64 = percent(nullable=False, description="Points per game, percent")
    n_rating_opponents: pl.Float64 = amount(description="Mean rating of the opponents")
    n_performance: pl.Float64 = maybe(
        description="Performance rating as FIDE reckons it (Handbook B.02, 8.1.1): mean rating of the opponents plus "
        "the difference that the score stands for, at most ±800; over games whose opponent has a rating"
    )
    n_accuracy_mean: pl.Float64 = percent(description="Mean accuracy of the analysed games, percent")
    n_acpl_mean: pl.Float64 = amount(description="Mean ACPL of the analysed games, centipawns a move")
    n_games_analysed: pl.Int64 = count(description="Games with computer analysis: those that have an ACPL")
    tm_last: Utc = pa.Field(description="When the newest of these games was created")


PLAYER_OPENINGS = Partial(
    name="player_openings",
    sql=f"""
WITH player_games AS (
    {
        player_games(
            ("n_accuracy", "n_acpl"),
            ("val_variant", "opening.val_eco AS val_eco", "opening.val_opening_family AS val_opening_family"),
            ("opening", "accuracy", "acpl"),
        )
    }
)
SELECT id_user, val_color, val_speed, val_eco, val_opening_family,
    {RESULTS},
    sum(n_rating_opponent)::BIGINT AS opponents,
    count(n_rating_opponent) AS n_opponents,
    sum(n_points) FILTER (n_rating_opponent IS NOT NULL) AS points_rated,
    sum(n_accuracy) AS accuracies,
    count(n_accuracy) AS n_accuracies,
    sum(n_acpl)::BIGINT AS acpls,
    count(n_acpl) AS n_games_analysed,
    max(tm_created) AS tm_last
FROM player_games
WHERE val_variant = 'standard'
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.opening", "analytics.accuracy", "analytics.acpl"),
)

SQL = f"""
WITH openings AS (
    SELECT id_user, val_color, val_speed, val_eco, val_opening_family,
        {RESULTS_ADDED},
        sum(opponents) / sum(n_opponents) AS n_rating_opponents,
        round(100 * sum(points_rated) / sum(n_opponents))::INTEGER AS rated_score_pct,
        round(sum(accuracies) / sum(n_accuracies), 4) AS n_accuracy_mean,
        sum(acpls) / sum(part.n_games_analysed) AS n_acpl_mean,
        sum(part.n_games_analysed) AS n_games_analysed,
        max(part.tm_last) AS tm_last
    FROM partials.player_openings AS part
    GROUP BY ALL
)
SELECT *,
    n_rating_opponents
        + sign(rated_score_pct - 50) * {FIDE_DIFFERENCES}[abs(rated_score_pct - 50) + 1] AS n_performance
FROM openings
ORDER BY id_user, val_color, val_speed, n_games DESC, val_eco, val_opening_family
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="player_openings",
    model=PlayerOpenings,
    sql=SQL,
    partials=(PLAYER_OPENINGS,),
    account=Account("games of players", pl.col("n_games").sum(), counted("n_sides_standard")),
)
