"""Sittings: games of a player that follow each other without a long break, with streaks and tilt."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.columns import ResultsAddUp, amount, count, maybe, percent, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.player_games import PLACE, RESULTS, player_games
from kshift_assets.chess.vocabulary import Utc

BREAK_MINUTES = 30
TILT_LOSSES = 3
TILT_SECONDS = 60


class PlayerSessions(ResultsAddUp):
    """A player's sessions: finished games, but for correspondence, with less than 30 minutes from one to the next.

    A game's end is its last move; where that is unknown (dumps), its begin plus the time that left both clocks; without
    clocks, its begin plus the estimated length of a game with that clock, for as many moves as were made.
    """

    id_user: str = user(description="User id, lower case")
    tm_started: Utc = pa.Field(description="When the first game was created")
    tm_ended: Utc = pa.Field(description="When the last game ended; estimated where unknown, see the table")
    ind_end_estimated: bool = pa.Field(description="Whether the end of any of the games had to be estimated")
    n_games: pl.Int64 = pa.Field(ge=1, description="Games")
    n_wins: pl.Int64 = count(description="Games won")
    n_draws: pl.Int64 = count(description="Games drawn")
    n_losses: pl.Int64 = count(description="Games lost")
    n_score_pct: pl.Float64 = percent(nullable=False, description="Points per game, percent")
    n_rating_change: pl.Int64 = maybe(
        description="Sum of what the games changed in the player's ratings, all categories; null where none is known"
    )
    n_streak_wins: pl.Int64 = count(description="Most wins in a row")
    n_streak_losses: pl.Int64 = count(description="Most losses in a row")
    n_accuracy_mean: pl.Float64 = percent(description="Mean accuracy of the analysed games, percent")
    n_accuracy_after_win: pl.Float64 = percent(description="The same, of games that followed a win, percent")
    n_accuracy_after_loss: pl.Float64 = percent(description="The same, of games that followed a loss, percent")
    n_pause_after_win_s: pl.Float64 = amount(description="Mean time from the end of a win to the next game, seconds")
    n_pause_after_loss_s: pl.Float64 = amount(description="Mean time from the end of a loss to the next game, seconds")
    ind_tilt: bool = pa.Field(
        description=f"Whether the player lost {TILT_LOSSES} games in a row or more, and began each but the first of "
        f"{TILT_LOSSES} of them at most {TILT_SECONDS} seconds after the end of the game before"
    )
    id_game_first: str = pa.Field(description="The first game")
    id_game_last: str = pa.Field(description="The last game")

    @pa.dataframe_check(name="streaks_within_results")
    @classmethod
    def _streaks_within_results(cls, data: PolarsData) -> pl.LazyFrame:
        wins = pl.col("n_streak_wins") <= pl.col("n_wins")
        return data.lazyframe.select(wins & (pl.col("n_streak_losses") <= pl.col("n_losses")))

    @pa.dataframe_check(name="ends_after_it_starts")
    @classmethod
    def _ends_after_it_starts(cls, data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("tm_started") <= pl.col("tm_ended"))


# Time that left both clocks: each began with the initial time and got the increment for each move; the last two
# elements of the list are what is left. A game of 40 moves a side takes 2 × (initial + 40 × increment) at most
# (scalachess Clock.scala estimates 40 moves).
GAMES_SQL = f"""
WITH player_games AS (
    {
    player_games(
        ("n_accuracy",),
        (
            "n_clock_initial_s AS initial_s",
            "coalesce(n_clock_increment_s, 0) AS increment_s",
            "n_plies",
            "arr_clock_cs[-1] + arr_clock_cs[-2] AS left_cs",
            "tm_last_move",
        ),
        ("accuracy",),
    )
}
)
SELECT id_user, tm_created, id_game, val_color, n_points, n_rating_diff, n_accuracy,
    tm_last_move IS NULL AS is_estimated,
    greatest(tm_created, coalesce(tm_last_move, tm_created + to_seconds(greatest(0, coalesce(
        2 * initial_s + increment_s * n_plies - left_cs / 100,
        (initial_s + 40 * increment_s) * least(2, n_plies / 40),
        0
    ))))) AS tm_ended
FROM player_games
WHERE val_speed <> 'correspondence'
"""  # noqa: S608  # constants of this module


def sessions_of(games: str) -> str:
    """SQL that makes sessions of these games, see GAMES_SQL."""
    return f"""
WITH following AS (
    SELECT *,
        max(tm_ended) OVER before AS free_since,
        lag(tm_ended) OVER play AS previous_ended,
        lag(n_points) OVER play AS previous_points
    FROM ({games})
    WINDOW play AS (PARTITION BY id_user ORDER BY tm_created, id_game, val_color),
        before AS (PARTITION BY id_user ORDER BY tm_created, id_game, val_color
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
begun AS (
    SELECT *, coalesce(tm_created - free_since >= INTERVAL {BREAK_MINUTES} MINUTE, true) AS is_first
    FROM following
),
numbered AS (
    SELECT * REPLACE (if(is_first, NULL, previous_points) AS previous_points),
        if(is_first, NULL, greatest(0, epoch(tm_created) - epoch(previous_ended))) AS pause_s,
        count(*) FILTER (is_first) OVER play AS session,
        count(*) FILTER (is_first OR n_points IS DISTINCT FROM previous_points) OVER play AS streak,
        -- a hasty run goes on while games are lost, each begun at once after another loss
        count(*) FILTER (is_first OR n_points <> 0 OR previous_points <> 0 OR pause_s > {TILT_SECONDS}) OVER play AS run
    FROM begun
    WINDOW play AS (PARTITION BY id_user ORDER BY tm_created, id_game, val_color)
),
counted AS (
    SELECT *,
        count(*) OVER (PARTITION BY id_user, streak) AS streak_games,
        count(*) FILTER (n_points = 0) OVER (PARTITION BY id_user, run) AS run_losses
    FROM numbered
)
SELECT id_user,
    min(tm_created) AS tm_started,
    max(tm_ended) AS tm_ended,
    bool_or(is_estimated) AS ind_end_estimated,
    {RESULTS},
    round(100 * avg(n_points), 4) AS n_score_pct,
    sum(n_rating_diff)::BIGINT AS n_rating_change,
    coalesce(max(streak_games) FILTER (n_points = 1), 0) AS n_streak_wins,
    coalesce(max(streak_games) FILTER (n_points = 0), 0) AS n_streak_losses,
    round(avg(n_accuracy), 4) AS n_accuracy_mean,
    round(avg(n_accuracy) FILTER (previous_points = 1), 4) AS n_accuracy_after_win,
    round(avg(n_accuracy) FILTER (previous_points = 0), 4) AS n_accuracy_after_loss,
    round(avg(pause_s) FILTER (previous_points = 1), 4) AS n_pause_after_win_s,
    round(avg(pause_s) FILTER (previous_points = 0), 4) AS n_pause_after_loss_s,
    bool_or(run_losses >= {TILT_LOSSES}) AS ind_tilt,
    arg_min(id_game, {PLACE}) AS id_game_first,
    arg_max(id_game, {PLACE}) AS id_game_last
FROM counted
GROUP BY id_user, session
"""  # noqa: S608  # constants of this module


READS = ("chess.games", "analytics.accuracy")
SESSION_GAMES = Partial(name="session_games", sql=f"{GAMES_SQL}ORDER BY id_user\n", reads=READS)
SESSIONS = Partial(
    name="sessions",
    sql=f"{sessions_of(f'FROM {SESSION_GAMES.view}')}ORDER BY id_user, tm_started\n",
    reads=READS,
    base=SESSION_GAMES,
)

BROKEN_GAMES = """SELECT games.* FROM partials.session_games AS games
    JOIN broken ON games.id_user = broken.id_user AND games.tm_created BETWEEN tm_from AND tm_to"""
# A month's sessions stand, but for those that go on over its end: these are made anew, from their games.
SQL = f"""
WITH placed AS (
    SELECT *, coalesce(tm_started - max(tm_ended) OVER before >= INTERVAL {BREAK_MINUTES} MINUTE, true) AS is_first
    FROM partials.sessions
    WINDOW before AS (PARTITION BY id_user ORDER BY tm_started ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
numbered AS (
    SELECT *, count(*) FILTER (is_first) OVER (PARTITION BY id_user ORDER BY tm_started) AS session FROM placed
),
told AS (
    SELECT *, count(*) OVER (PARTITION BY id_user, session) AS n_parts FROM numbered
),
broken AS (
    SELECT id_user, min(tm_started) AS tm_from, max(tm_ended) AS tm_to FROM told
    WHERE n_parts > 1 GROUP BY id_user, session
),
mended AS (
    {sessions_of(BROKEN_GAMES)}
)
SELECT * EXCLUDE (dt_month, is_first, session, n_parts) FROM told WHERE n_parts = 1
UNION ALL BY NAME
SELECT * FROM mended
ORDER BY id_user, tm_started
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="player_sessions",
    model=PlayerSessions,
    sql=SQL,
    partials=(SESSIONS, SESSION_GAMES),
    account=Account("games of players", pl.col("n_games").sum(), counted("n_sides_live")),
)
