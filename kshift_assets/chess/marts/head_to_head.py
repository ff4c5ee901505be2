"""Who met whom: results of each pair of players, and what their ratings would have led one to expect."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import ResultsAddUp, color, count, maybe, percent, speed, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.player_games import RESULTS, RESULTS_ADDED, player_games
from kshift_assets.chess.vocabulary import Utc


class HeadToHead(ResultsAddUp):
    """Results of each pair of players by speed and colour, from either side, beside what their ratings promised."""

    id_user: str = user(description="User id, lower case")
    id_opponent: str = user(description="User id of the opponent")
    val_speed: str = speed()
    val_color: str = color()
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games")
    n_wins: pl.Int64 = count(description="Games won")
    n_draws: pl.Int64 = count(description="Games drawn")
    n_losses: pl.Int64 = count(description="Games lost")
    n_score_pct: pl.Float64 = percent(nullable=False, description="Points per game, percent")
    n_games_expected: pl.Int64 = count(description="Games in which both ratings are known")
    n_rating_difference: pl.Float64 = maybe(description="Mean of own rating minus opponent's, in these games")
    n_score_expected_pct: pl.Float64 = percent(
        description="Points per game that the ratings promise, percent: mean of 1 / (1 + 10^(-difference / 400))"
    )
    n_score_surplus_pct: pl.Float64 = maybe(
        description="Points per game above that expectation, percentage points, in the same games"
    )
    tm_first: Utc = pa.Field(description="When the first of these games was created")
    tm_last: Utc = pa.Field(description="When the newest of these games was created")
    id_game_last: str = pa.Field(description="The newest of these games")


MEETINGS = Partial(
    name="meetings",
    sql=f"""
WITH meetings AS (
    SELECT *, n_rating - n_rating_opponent AS difference, 1 / (1 + pow(10, -difference / 400)) AS expected
    FROM ({player_games()})
    WHERE id_opponent <> id_user
)
SELECT id_user, id_opponent, val_speed, val_color,
    {RESULTS},
    count(difference) AS n_games_expected,
    sum(difference)::BIGINT AS differences,
    sum(expected) AS expected,
    sum(n_points - meetings.expected) AS surplus,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last,
    arg_max(id_game, place) AS id_game_last
FROM meetings
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this module
    reads=("chess.games",),
)

SQL = f"""
SELECT id_user, id_opponent, val_speed, val_color,
    {RESULTS_ADDED},
    sum(part.n_games_expected) AS n_games_expected,
    sum(differences) / nullif(sum(part.n_games_expected), 0) AS n_rating_difference,
    round(100 * sum(expected) / nullif(sum(part.n_games_expected), 0), 4) AS n_score_expected_pct,
    round(100 * sum(surplus) / nullif(sum(part.n_games_expected), 0), 4) AS n_score_surplus_pct,
    min(part.tm_first) AS tm_first,
    max(part.tm_last) AS tm_last,
    arg_max(part.id_game_last, dt_month) AS id_game_last
FROM partials.meetings AS part
GROUP BY ALL
ORDER BY ALL
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="head_to_head",
    model=HeadToHead,
    sql=SQL,
    partials=(MEETINGS,),
    account=Account("games of pairs, from either side", pl.col("n_games").sum(), counted("n_meetings", 2)),
)
