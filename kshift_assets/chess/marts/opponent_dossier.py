"""What to know of an opponent before the next game: what they play, where they go wrong, whom they know."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import ResultsAddUp, amount, count, maybe, percent, user
from kshift_assets.chess.marts.head_to_head import MEETINGS
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.opponent_network import PAIRS
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.phases import COLUMNS, PHASES, moves_within, plies_within
from kshift_assets.chess.marts.player_games import RESULTS, RESULTS_ADDED, player_games
from kshift_assets.chess.marts.player_openings import PLAYER_OPENINGS
from kshift_assets.chess.vocabulary import Int32s, Strings, Utc

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
    n_games_analysed: pl.Int64 = count(description="The opponent's games with computer analysis, standard chess")
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


PLAYER_FACTS = Partial(
    name="player_facts",
    sql=f"""
WITH player_games AS (
    {
        player_games(
            (
                "ind_time_trouble",
                "arr_ply_blunders",
                "n_blunders",
                *(f"n_accuracy_{phase}" for phase in PHASES),
            ),
            COLUMNS,
            ("phases", "judgments", "time_usage"),
        )
    }
),
measured AS (
    SELECT *, has_phases AND n_blunders IS NOT NULL AS is_analysed, {
        ", ".join(
            f"if(is_analysed, {plies_within('arr_ply_blunders', phase)}, NULL) AS blunders_{phase}, "
            f"if(is_analysed, {moves_within(phase)}, NULL) AS moves_{phase}"
            for phase in PHASES
        )
    }
    FROM player_games
)
SELECT id_user,
    {RESULTS},
    arg_max(n_rating, place) FILTER (ind_rated) AS n_rating,
    {
        ", ".join(
            f"sum(n_accuracy_{phase}) AS accuracies_{phase}, count(n_accuracy_{phase}) AS n_accuracies_{phase}, "
            f"sum(blunders_{phase})::BIGINT AS blunders_{phase}, sum(moves_{phase})::BIGINT AS moves_{phase}"
            for phase in PHASES
        )
    },
    count(*) FILTER (is_analysed) AS n_games_analysed,
    count(*) FILTER (ind_time_trouble) AS n_time_trouble,
    count(ind_time_trouble) AS n_games_time_trouble,
    count(*) FILTER (n_points = 0 AND is_on_time) AS n_losses_on_time
FROM measured
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.phases", "analytics.judgments", "analytics.time_usage"),
)


def _openings(color: str) -> str:
    return f"""SELECT id_user,
        list(family ORDER BY n DESC, family)[:{MOST_OPENINGS}] AS arr_openings_{color},
        list(n ORDER BY n DESC, family)[:{MOST_OPENINGS}] AS arr_n_openings_{color}
    FROM families WHERE val_color = '{color}' GROUP BY id_user"""  # noqa: S608  # our own names


SQL = f"""
WITH tracked AS (
    SELECT id_user FROM lichess.players_frontier WHERE n_depth = 0
),
met AS (
    SELECT id_user, id_opponent, {RESULTS_ADDED}, max(part.tm_last) AS tm_last
    FROM partials.meetings AS part SEMI JOIN tracked USING (id_user)
    GROUP BY ALL
),
opponents AS (
    SELECT DISTINCT id_opponent AS id_user FROM met
),
families AS (
    SELECT id_user, val_color, val_opening_family AS family, sum(n_games)::INTEGER AS n
    FROM partials.player_openings SEMI JOIN opponents USING (id_user)
    WHERE val_opening_family IS NOT NULL
    GROUP BY ALL
),
openings_white AS (
    {_openings("white")}
),
openings_black AS (
    {_openings("black")}
),
facts AS (
    SELECT id_user,
        sum(part.n_games) AS n_opponent_games,
        round(100 * (sum(part.n_wins) + 0.5 * sum(part.n_draws)) / sum(part.n_games), 4) AS n_opponent_score_pct,
        arg_max(n_rating, dt_month) AS n_opponent_rating,
        {
    ", ".join(
        f"round(sum(accuracies_{phase}) / nullif(sum(n_accuracies_{phase}), 0), 4) AS n_accuracy_{phase}, "
        f"100 * sum(blunders_{phase}) / nullif(sum(moves_{phase}), 0) AS n_blunders_{phase}_pct"
        for phase in PHASES
    )
},
        sum(part.n_games_analysed) AS n_games_analysed,
        100 * sum(n_time_trouble) / nullif(sum(n_games_time_trouble), 0) AS n_time_trouble_pct,
        100 * sum(n_losses_on_time) / nullif(sum(part.n_losses), 0) AS n_losses_on_time_pct
    FROM partials.player_facts AS part SEMI JOIN opponents USING (id_user)
    GROUP BY id_user
),
circles AS (
    SELECT id_user, id_opponent AS id_common, sum(n_games) AS n
    FROM partials.meetings SEMI JOIN opponents USING (id_user)
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
    CASE greatest({", ".join(f"n_blunders_{phase}_pct" for phase in PHASES)})
        WHEN 0 THEN NULL {" ".join(f"WHEN n_blunders_{phase}_pct THEN '{phase}'" for phase in PHASES)}
        END AS val_weakest_phase,
    coalesce(n_common_opponents, 0) AS n_common_opponents,
    arr_common_opponents
FROM met
JOIN facts ON facts.id_user = met.id_opponent
LEFT JOIN openings_white ON openings_white.id_user = met.id_opponent
LEFT JOIN openings_black ON openings_black.id_user = met.id_opponent
LEFT JOIN common ON common.id_user = met.id_user AND common.id_opponent = met.id_opponent
ORDER BY met.id_user, met.id_opponent
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="opponent_dossier",
    model=OpponentDossier,
    sql=SQL,
    partials=(MEETINGS, PLAYER_OPENINGS, PLAYER_FACTS, PAIRS),
    reads=("lichess.players_frontier",),
    account=Account(
        "games of tracked players",
        pl.col("n_games").sum(),
        """
        WITH tracked AS (SELECT id_user FROM lichess.players_frontier WHERE n_depth = 0)
        SELECT coalesce(sum(
            n_games * ((id_user IN (FROM tracked))::INTEGER + (id_opponent IN (FROM tracked))::INTEGER)
        ), 0) FROM partials.pairs
        """,
    ),
)
