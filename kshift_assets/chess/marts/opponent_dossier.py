"""What to know of an opponent before the next game: what they play, where they go wrong, whom they know."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import ResultsAddUp, amount, count, maybe, percent, user
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.player_games import RESULTS, player_games
from kshift_assets.chess.schemas import Int32s, Strings, Utc

MOST_OPENINGS = 3
MOST_COMMON = 10


class OpponentDossier(ResultsAddUp):
    """Every opponent that a tracked player met: what they play and where they go wrong, over all their stored games."""

    id_user: str = user(description="The tracked player")
    id_opponent: str = user(description="The opponent, whom the rest of the row is about")
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games between the two")
    n_wins: pl.Int64 = count(description="Of these, games that the tracked player won")
    n_draws: pl.Int64 = count(description="Games drawn")
    n_losses: pl.Int64 = count(description="Games that the opponent won")
    n_score_pct: pl.Float64 = percent(nullable=False, description="The tracked player's points per game, percent")
    tm_last: Utc = pa.Field(description="When the newest game between the two was created")
    n_opponent_games: pl.Int64 = pa.Field(ge=1, description="Finished games of the opponent, against anybody")
    n_opponent_score_pct: pl.Float64 = percent(
        nullable=False, description="The opponent's points per game in these, percent"
    )
    n_opponent_rating: pl.Int16 = amount(description="The opponent's rating before the newest rated game, any category")
    arr_openings_white: Strings = maybe(
        description=f"Opening families that the opponent plays most with White, at most {MOST_OPENINGS}; standard chess"
    )
    arr_n_openings_white: Int32s = maybe(description="In how many games, each")
    arr_openings_black: Strings = maybe(
        description=f"Opening families that the opponent plays most with Black, at most {MOST_OPENINGS}; standard chess"
    )
    arr_n_openings_black: Int32s = maybe(description="In how many games, each")
    n_accuracy_opening: pl.Float64 = percent(description="The opponent's mean accuracy in the opening, percent")
    n_accuracy_middlegame: pl.Float64 = percent(description="The same in the middlegame, percent")
    n_accuracy_endgame: pl.Float64 = percent(description="The same in the endgame, percent")
    n_blunders_opening_pct: pl.Float64 = percent(
        description="The opponent's blunders per 100 moves of the opening, in analysed games"
    )
    n_blunders_middlegame_pct: pl.Float64 = percent(description="The same in the middlegame")
    n_blunders_endgame_pct: pl.Float64 = percent(description="The same in the endgame")
    val_weakest_phase: str = pa.Field(
        nullable=True,
        isin=("opening", "middlegame", "endgame"),
        description="Phase with most blunders per 100 moves, the earliest of equals; null without any",
    )
    n_games_analysed: pl.Int64 = count(description="The opponent's games with computer analysis")
    n_time_trouble_pct: pl.Float64 = percent(
        description="Share of the opponent's games with clocks that had a move begun in time trouble, percent"
    )
    n_losses_on_time_pct: pl.Float64 = percent(
        description="Share of the opponent's losses that ended by the clock, percent"
    )
    n_common_opponents: pl.Int64 = count(description="Players whom both have met")
    arr_common_opponents: Strings = maybe(
        description=f"Of these, whom the opponent met most, at most {MOST_COMMON}; null if there are none"
    )


PHASES = ("opening", "middlegame", "endgame")
STARTS = ("0", "coalesce(n_middlegame_ply, n_plies)", "coalesce(n_endgame_ply, n_plies)", "n_plies")


def _openings(color: str) -> str:
    return f"""SELECT id_user,
        list(family ORDER BY n DESC, family)[:{MOST_OPENINGS}] AS arr_openings_{color},
        list(n ORDER BY n DESC, family)[:{MOST_OPENINGS}] AS arr_n_openings_{color}
    FROM families WHERE val_color = '{color}' GROUP BY id_user"""  # noqa: S608  # our own names


def _blunders(start: str, end: str) -> str:
    return f"len(list_filter(arr_ply_blunders, lambda ply: ply > {start} AND ply <= {end}))"


def _moves(start: str, end: str) -> str:
    """How many of the plies after `start` up to `end` were the player's: every other, from first_ply on."""
    return f"greatest(0, ({end} - first_ply + 2) // 2 - greatest(0, ({start} - first_ply + 2) // 2))"


# A blunder's ply is the number of its move from 1, a phase begins with a board: the move after it is its first.
SQL = f"""
WITH player_games AS (
    {
    player_games(
        (
            "ind_time_trouble",
            "arr_ply_blunders",
            "n_blunders",
            *(f"n_accuracy_{phase}" for phase in PHASES),
        ),
        (
            "val_variant",
            "n_plies",
            "n_middlegame_ply",
            "n_endgame_ply",
            "if(is_white <> coalesce(contains(val_initial_fen, ' b '), false), 1, 2) AS first_ply",
            "opening.val_opening_family AS family",
        ),
        ("opening", "phases", "judgments", "time_usage"),
    )
}
),
tracked AS (
    SELECT id_user FROM lichess.players_frontier WHERE n_depth = 0
),
met AS (
    SELECT id_user, id_opponent, {RESULTS}, max(tm_created) AS tm_last
    FROM player_games SEMI JOIN tracked USING (id_user)
    WHERE id_opponent <> id_user
    GROUP BY ALL
),
opponents AS (
    SELECT DISTINCT id_opponent AS id_user FROM met
),
theirs AS (
    SELECT * FROM player_games SEMI JOIN opponents USING (id_user)
),
families AS (
    SELECT id_user, val_color, family, count(*) AS n FROM theirs
    WHERE val_variant = 'standard' AND family IS NOT NULL
    GROUP BY ALL
),
openings_white AS (
    {_openings("white")}
),
openings_black AS (
    {_openings("black")}
),
analysed AS (
    SELECT id_user, {
    ", ".join(
        f"{_blunders(start, end)} AS blunders_{phase}, {_moves(start, end)} AS moves_{phase}"
        for phase, start, end in zip(PHASES, STARTS, STARTS[1:], strict=False)
    )
}
    FROM theirs WHERE n_blunders IS NOT NULL
),
mistakes AS (
    SELECT id_user, count(*) AS n_games_analysed,
        {
    ", ".join(
        f"100 * sum(blunders_{phase}) / nullif(sum(moves_{phase}), 0) AS n_blunders_{phase}_pct" for phase in PHASES
    )
}
    FROM analysed GROUP BY id_user
),
facts AS (
    SELECT id_user,
        count(*) AS n_opponent_games,
        round(100 * avg(n_points), 4) AS n_opponent_score_pct,
        arg_max(n_rating, (tm_created, id_game)) FILTER (ind_rated) AS n_opponent_rating,
        {", ".join(f"round(avg(n_accuracy_{phase}), 4) AS n_accuracy_{phase}" for phase in PHASES)},
        100 * avg(ind_time_trouble::INTEGER) AS n_time_trouble_pct,
        100 * count(*) FILTER (n_points = 0 AND is_on_time)
            / nullif(count(*) FILTER (n_points = 0), 0) AS n_losses_on_time_pct
    FROM theirs GROUP BY id_user
),
circles AS (
    SELECT id_user, id_opponent AS id_common, count(*) AS n FROM theirs
    WHERE id_opponent IS NOT NULL AND id_opponent <> id_user
    GROUP BY ALL
),
common AS (
    SELECT met.id_user, circles.id_user AS id_opponent,
        count(*) AS n_common_opponents,
        list(id_common ORDER BY n DESC, id_common)[:{MOST_COMMON}] AS arr_common_opponents
    FROM met
    JOIN circles ON circles.id_common = met.id_opponent
    WHERE circles.id_user <> met.id_user
    GROUP BY ALL
)
SELECT met.*, facts.* EXCLUDE (id_user),
    openings_white.* EXCLUDE (id_user), openings_black.* EXCLUDE (id_user),
    mistakes.* EXCLUDE (id_user, n_games_analysed),
    coalesce(n_games_analysed, 0) AS n_games_analysed,
    CASE greatest({", ".join(f"n_blunders_{phase}_pct" for phase in PHASES)})
        WHEN 0 THEN NULL {" ".join(f"WHEN n_blunders_{phase}_pct THEN '{phase}'" for phase in PHASES)}
        END AS val_weakest_phase,
    coalesce(n_common_opponents, 0) AS n_common_opponents,
    arr_common_opponents
FROM met
JOIN facts ON facts.id_user = met.id_opponent
LEFT JOIN openings_white ON openings_white.id_user = met.id_opponent
LEFT JOIN openings_black ON openings_black.id_user = met.id_opponent
LEFT JOIN mistakes ON mistakes.id_user = met.id_opponent
LEFT JOIN common ON common.id_user = met.id_user AND common.id_opponent = met.id_opponent
ORDER BY met.id_user, met.id_opponent
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="opponent_dossier",
    model=OpponentDossier,
    sql=SQL,
    reads=(
        "chess.games",
        "lichess.players_frontier",
        "analytics.opening",
        "analytics.phases",
        "analytics.judgments",
        "analytics.time_usage",
    ),
    account=Account(
        "games of tracked players",
        pl.col("n_games").sum(),
        """
        WITH tracked AS (SELECT id_user FROM lichess.players_frontier WHERE n_depth = 0)
        SELECT coalesce(sum((id_user_white IN (FROM tracked))::INTEGER + (id_user_black IN (FROM tracked))::INTEGER), 0)
        FROM chess.games
        WHERE val_result <> '*' AND id_user_white <> id_user_black
        """,
    ),
)
