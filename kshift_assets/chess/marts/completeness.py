"""How much of a player's chess the lake has: games against the profile's count, and what is known of them."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.columns import amount, count, maybe, percent, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.player_games import player_games
from kshift_assets.chess.perfs import PERFS
from kshift_assets.chess.vocabulary import Utc

COMPLETE_PCT = 99
ALL = "all"


class Completeness(pa.DataFrameModel):
    """How many of a player's games are stored, against the profile's count, and how many have clocks and analysis."""

    id_user: str = user(description="User id, lower case")
    val_perf: str = pa.Field(
        description=f"Rating category: the speed for standard chess, else the variant; `{ALL}`: all of them together"
    )
    val_badge: str = pa.Field(
        isin=("complete", "partial", "unknown"),
        description=f"complete: at least {COMPLETE_PCT} % of the games that the profile counts are stored; partial: "
        "fewer; unknown: there is no profile, or it does not count",
    )
    n_games: pl.Int64 = count(description="Finished games that are stored")
    n_games_compared: pl.Int64 = count(
        description=f"Of these, those that the profile can count: created before it was fetched; rated, but for `{ALL}`"
    )
    n_games_profile: pl.Int64 = amount(
        description=f"Games that the profile counts: rated ones; for `{ALL}` also casual ones and those against the "
        "computer; null if unknown"
    )
    n_stored_pct: pl.Float64 = amount(description="n_games_compared of n_games_profile, percent")
    tm_profile: Utc = maybe(description="When that profile was fetched")
    n_clocks_pct: pl.Float64 = percent(description="Share of the stored games with clocks, percent")
    n_evaluations_pct: pl.Float64 = percent(description="Share with evaluations from Lichess, percent")
    n_evaluations_engine_pct: pl.Float64 = percent(
        description="Share with evaluations from our own engine (analytics.engine_eval) and none from Lichess, percent"
    )
    n_openings_pct: pl.Float64 = percent(description="Share whose opening is known, percent")
    tm_first: Utc = maybe(description="When the first stored game was created")
    tm_last: Utc = maybe(description="When the newest stored game was created")

    @pa.dataframe_check(name="compared_within_games")
    @classmethod
    def _compared_within_games(cls, data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("n_games_compared") <= pl.col("n_games"))


RATED_COUNTS = ", ".join(
    f"{{'val_perf': '{key}', 'n_games_profile': n_games_{name}}}" for key, name in PERFS.items() if key != "puzzle"
)

# Whether a profile can count a game depends on when it was fetched, so the times of all games are kept.
PLAYER_PERFS = Partial(
    name="player_perfs",
    sql=f"""
WITH player_games AS (
    {
        player_games(
            (),
            (
                "arr_clock_cs IS NOT NULL AS has_clocks",
                "games.arr_eval_cp IS NOT NULL OR games.arr_eval_mate IS NOT NULL AS has_evaluations",
                "engine_eval.arr_eval_cp IS NOT NULL OR engine_eval.arr_eval_mate IS NOT NULL AS has_engine",
                "opening.val_eco IS NOT NULL AS has_opening",
            ),
            ("opening", "engine_eval"),
        )
    }
)
SELECT id_user, val_perf, ind_rated,
    count(*) AS n_games,
    count(*) FILTER (has_clocks) AS n_clocks,
    count(*) FILTER (has_evaluations) AS n_evaluations,
    count(*) FILTER (has_engine AND NOT has_evaluations) AS n_engine,
    count(*) FILTER (has_opening) AS n_openings,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last,
    list(tm_created) AS arr_tm
FROM player_games
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.opening", "analytics.engine_eval"),
)

SQL = f"""
WITH known AS (
    SELECT id_user, tm_facts FROM chess.players
),
parts AS (
    SELECT *,
        CASE WHEN tm_last <= tm_facts THEN n_games
            WHEN tm_first <= tm_facts THEN len(list_filter(arr_tm, lambda tm: tm <= tm_facts))
            ELSE 0 END AS n_before
    FROM partials.player_perfs LEFT JOIN known USING (id_user)
),
stored AS (
    SELECT id_user, coalesce(perf, '{ALL}') AS val_perf,
        sum(parts.n_games)::BIGINT AS n_games,
        if(val_perf = '{ALL}', sum(n_before), coalesce(sum(n_before) FILTER (ind_rated), 0))::BIGINT
            AS n_games_compared,
        sum(n_clocks) AS n_clocks, sum(n_evaluations) AS n_evaluations, sum(n_engine) AS n_engine,
        sum(n_openings) AS n_openings,
        min(parts.tm_first) AS tm_first,
        max(parts.tm_last) AS tm_last
    FROM (SELECT * RENAME (val_perf AS perf) FROM parts) AS parts
    GROUP BY GROUPING SETS ((id_user, perf), (id_user))
),
profiles AS (
    SELECT id_user, unnest([{{'val_perf': '{ALL}', 'n_games_profile': n_games}}, {RATED_COUNTS}], recursive := true)
    FROM chess.players SEMI JOIN stored USING (id_user)
)
SELECT id_user, val_perf,
    CASE WHEN n_games_profile IS NULL THEN 'unknown'
        WHEN 100 * coalesce(n_games_compared, 0) >= {COMPLETE_PCT} * n_games_profile THEN 'complete'
        ELSE 'partial' END AS val_badge,
    coalesce(stored.n_games, 0) AS n_games,
    coalesce(n_games_compared, 0) AS n_games_compared,
    n_games_profile,
    100 * coalesce(n_games_compared, 0) / nullif(n_games_profile, 0) AS n_stored_pct,
    tm_facts AS tm_profile,
    100 * n_clocks / stored.n_games AS n_clocks_pct,
    100 * n_evaluations / stored.n_games AS n_evaluations_pct,
    100 * n_engine / stored.n_games AS n_evaluations_engine_pct,
    100 * n_openings / stored.n_games AS n_openings_pct,
    stored.tm_first, stored.tm_last
FROM stored
FULL JOIN (SELECT * FROM profiles WHERE n_games_profile IS NOT NULL) USING (id_user, val_perf)
LEFT JOIN known USING (id_user)
WHERE stored.n_games > 0 OR n_games_profile > 0
ORDER BY ALL
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="completeness",
    model=Completeness,
    sql=SQL,
    partials=(PLAYER_PERFS,),
    reads=("chess.players",),
    account=Account(
        "games of players", pl.col("n_games").filter(pl.col("val_perf") == ALL).sum(), counted("n_sides_over")
    ),
)
