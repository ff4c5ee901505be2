"""How a player uses the clock: by speed, and by hour of the day."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.columns import ResultsAddUp, amount, count, percent, speed, user
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.player_games import PLAYER_GAMES_COUNT, RESULTS, player_games


class TimeManagement(ResultsAddUp):
    """How a player uses the clock, by speed: one row for all hours, and one for each hour of the day (UTC)."""

    id_user: str = user(description="User id, lower case")
    val_speed: str = speed()
    n_hour_utc: pl.Int64 = pa.Field(
        nullable=True,
        in_range={"min_value": 0, "max_value": 23},
        description="Hour in which the games were created, UTC; null in the row of all hours",
    )
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games")
    n_wins: pl.Int64 = count(description="Games won")
    n_draws: pl.Int64 = count(description="Games drawn")
    n_losses: pl.Int64 = count(description="Games lost")
    n_score_pct: pl.Float64 = percent(nullable=False, description="Points per game, percent")
    n_games_timed: pl.Int64 = count(
        description="Games with clocks: those with a move of the player whose time is known"
    )
    n_think_mean_s: pl.Float64 = amount(
        description="Mean over these games of the mean thinking time for a move, seconds"
    )
    n_think_opening_s: pl.Float64 = amount(description="Thinking time for a move of the opening, seconds")
    n_think_middlegame_s: pl.Float64 = amount(description="Thinking time for a move of the middlegame, seconds")
    n_think_endgame_s: pl.Float64 = amount(description="Thinking time for a move of the endgame, seconds")
    n_time_trouble_pct: pl.Float64 = percent(
        description="Share of games with clocks in which a move of the player began in time trouble, percent"
    )
    n_moves_time_trouble_per_game: pl.Float64 = amount(description="Moves that began in time trouble, per such game")
    n_losses_on_time: pl.Int64 = count(description="Games lost because the player's time was up; not: left the game")
    n_losses_on_time_pct: pl.Float64 = percent(description="Share of the losses that were losses on time, percent")
    n_wins_on_time: pl.Int64 = count(description="Games won because the opponent's time was up")
    n_wins_on_time_pct: pl.Float64 = percent(description="Share of the wins that were wins on time, percent")
    n_games_berserk: pl.Int64 = count(description="Games in which the player berserked, as far as the clock shows it")
    n_berserk_pct: pl.Float64 = percent(description="Share of the arena games with clocks that these are, percent")

    @pa.dataframe_check(name="parts_within_results")
    @classmethod
    def _parts_within_results(cls, data: PolarsData) -> pl.LazyFrame:
        losses, wins = pl.col("n_losses_on_time") <= pl.col("n_losses"), pl.col("n_wins_on_time") <= pl.col("n_wins")
        return data.lazyframe.select(losses & wins & (pl.col("n_games_timed") <= pl.col("n_games")))


PHASES = ("opening", "middlegame", "endgame")

# Thinking time of a phase: the player's clock at its begin minus the clock at its end, plus the increments earned in
# it. So no game is taken apart by ply: three clocks of a game and player tell everything. First moves are not timed.
SQL = f"""
WITH player_games AS (
    {
    player_games(
        ("n_think_mean_s", "ind_time_trouble", "n_moves_time_trouble", "ind_berserk"),
        (
            "id_tournament",
            "hour(tm_created) AS hour_utc",
            "arr_clock_cs AS clocks",
            "coalesce(n_clock_increment_s, 0) AS increment_s",
            "if(is_white <> coalesce(contains(val_initial_fen, ' b '), false), 1, 2) AS first_ply",
            "least(n_plies, len(arr_clock_cs)) AS last_ply",
            "n_middlegame_ply",
            "n_endgame_ply",
        ),
        ("time_usage", "phases"),
    )
}
),
counted AS (
    SELECT *,
        (last_ply - first_ply + 2) // 2 AS moves,
        greatest(1, least(moves, (coalesce(n_middlegame_ply, last_ply) - first_ply + 2) // 2)) AS moves_to_middlegame,
        greatest(1, least(moves, (coalesce(n_endgame_ply, last_ply) - first_ply + 2) // 2)) AS moves_to_endgame,
        if(ind_berserk, 0, 100 * increment_s) AS gain_cs
    FROM player_games
),
clocked AS (
    SELECT *,
        clocks[first_ply] AS clock_first,
        clocks[first_ply + 2 * moves_to_middlegame - 2] AS clock_middlegame,
        clocks[first_ply + 2 * moves_to_endgame - 2] AS clock_endgame,
        clocks[first_ply + 2 * moves - 2] AS clock_last
    FROM counted
),
timed AS (
    SELECT *,
        moves_to_middlegame - 1 AS opening_moves,
        moves_to_endgame - moves_to_middlegame AS middlegame_moves,
        moves - moves_to_endgame AS endgame_moves,
        clock_first - clock_middlegame + gain_cs * opening_moves AS opening_cs,
        clock_middlegame - clock_endgame + gain_cs * middlegame_moves AS middlegame_cs,
        clock_endgame - clock_last + gain_cs * endgame_moves AS endgame_cs
    FROM clocked
)
SELECT id_user, val_speed, hour_utc AS n_hour_utc,
    {RESULTS},
    count(n_think_mean_s) AS n_games_timed,
    round(avg(n_think_mean_s), 4) AS n_think_mean_s,
    {
    ", ".join(
        f"round(greatest(0, sum({phase}_cs)) / 100 / nullif(sum({phase}_moves) FILTER ({phase}_cs IS NOT NULL), 0), 4) "
        f"AS n_think_{phase}_s"
        for phase in PHASES
    )
},
    100 * avg(ind_time_trouble::INTEGER) AS n_time_trouble_pct,
    avg(n_moves_time_trouble) AS n_moves_time_trouble_per_game,
    count(*) FILTER (is_on_time AND n_points = 0) AS n_losses_on_time,
    100 * n_losses_on_time / nullif(n_losses, 0) AS n_losses_on_time_pct,
    count(*) FILTER (is_on_time AND n_points = 1) AS n_wins_on_time,
    100 * n_wins_on_time / nullif(n_wins, 0) AS n_wins_on_time_pct,
    count(*) FILTER (ind_berserk) AS n_games_berserk,
    100 * n_games_berserk / nullif(count(ind_berserk) FILTER (id_tournament IS NOT NULL), 0) AS n_berserk_pct
FROM timed
GROUP BY GROUPING SETS ((id_user, val_speed), (id_user, val_speed, hour_utc))
ORDER BY id_user, val_speed, n_hour_utc NULLS FIRST
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="time_management",
    model=TimeManagement,
    sql=SQL,
    reads=("chess.games", "analytics.time_usage", "analytics.phases"),
    account=Account(
        "games of players, in all hours and by hour", pl.col("n_games").sum(), f"SELECT 2 * ({PLAYER_GAMES_COUNT})"
    ),
)
