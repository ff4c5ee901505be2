"""How a player uses the clock: by speed, and by hour of the day."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.columns import ResultsAddUp, amount, count, percent, speed, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.phases import COLUMNS, PHASES, moves_within
from kshift_assets.chess.marts.player_games import RESULTS, RESULTS_ADDED, player_games


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
    n_think_opening_s: pl.Float64 = amount(
        description="Thinking time for a move of the opening, seconds; standard chess, each side's first move left out"
    )
    n_think_middlegame_s: pl.Float64 = amount(description="The same for a move of the middlegame, seconds")
    n_think_endgame_s: pl.Float64 = amount(description="The same for a move of the endgame, seconds")
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


# The thinking time of a phase is that of its timed moves; the first move of a side is not timed, as a rule.
PLAYER_HOURS = Partial(
    name="player_hours",
    sql=f"""
WITH player_games AS (
    {
        player_games(
            (
                "n_think_mean_s",
                "ind_time_trouble",
                "n_moves_time_trouble",
                "ind_berserk",
                *(f"n_think_{phase}_s" for phase in PHASES),
            ),
            (*COLUMNS, "id_tournament", "hour(tm_created) AS hour_utc"),
            ("time_usage", "phases"),
        )
    }
),
timed AS (
    SELECT *,
        greatest(0, {moves_within("opening")} - 1) AS opening_moves,
        {moves_within("middlegame")} AS middlegame_moves,
        {moves_within("endgame")} AS endgame_moves
    FROM player_games
)
SELECT id_user, val_speed, hour_utc,
    {RESULTS},
    count(n_think_mean_s) AS n_games_timed,
    sum(n_think_mean_s) AS think_s,
    {
        ", ".join(
            f"sum(n_think_{phase}_s) AS think_{phase}_s, "
            f"sum({phase}_moves) FILTER (n_think_{phase}_s IS NOT NULL)::BIGINT AS moves_{phase}"
            for phase in PHASES
        )
    },
    count(*) FILTER (ind_time_trouble) AS n_time_trouble,
    count(ind_time_trouble) AS n_games_time_trouble,
    sum(n_moves_time_trouble)::BIGINT AS moves_time_trouble,
    count(n_moves_time_trouble) AS n_games_moves_time_trouble,
    count(*) FILTER (is_on_time AND n_points = 0) AS n_losses_on_time,
    count(*) FILTER (is_on_time AND n_points = 1) AS n_wins_on_time,
    count(*) FILTER (ind_berserk) AS n_games_berserk,
    count(ind_berserk) FILTER (id_tournament IS NOT NULL) AS n_games_arena
FROM timed
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.time_usage", "analytics.phases"),
)

SQL = f"""
SELECT id_user, val_speed, hour_utc AS n_hour_utc,
    {RESULTS_ADDED},
    sum(part.n_games_timed) AS n_games_timed,
    round(sum(think_s) / sum(part.n_games_timed), 4) AS n_think_mean_s,
    {
    ", ".join(
        f"round(sum(think_{phase}_s) / nullif(sum(moves_{phase}), 0), 4) AS n_think_{phase}_s" for phase in PHASES
    )
},
    100 * sum(n_time_trouble) / nullif(sum(n_games_time_trouble), 0) AS n_time_trouble_pct,
    sum(moves_time_trouble) / sum(n_games_moves_time_trouble) AS n_moves_time_trouble_per_game,
    sum(part.n_losses_on_time) AS n_losses_on_time,
    100 * sum(part.n_losses_on_time) / nullif(sum(part.n_losses), 0) AS n_losses_on_time_pct,
    sum(part.n_wins_on_time) AS n_wins_on_time,
    100 * sum(part.n_wins_on_time) / nullif(sum(part.n_wins), 0) AS n_wins_on_time_pct,
    sum(part.n_games_berserk) AS n_games_berserk,
    100 * sum(part.n_games_berserk) / nullif(sum(n_games_arena), 0) AS n_berserk_pct
FROM partials.player_hours AS part
GROUP BY GROUPING SETS ((id_user, val_speed), (id_user, val_speed, hour_utc))
ORDER BY id_user, val_speed, n_hour_utc NULLS FIRST
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="time_management",
    model=TimeManagement,
    sql=SQL,
    partials=(PLAYER_HOURS,),
    account=Account("games of players, in all hours and by hour", pl.col("n_games").sum(), counted("n_sides_over", 2)),
)
