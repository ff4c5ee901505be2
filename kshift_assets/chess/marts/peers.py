"""A player beside others of the same strength: percentiles within a band of ratings and a speed."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import count, maybe, percent, speed, user
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.marts.player_games import player_games
from kshift_assets.chess.vocabulary import Utc

BAND = 200
FEWEST_GAMES = 10

METRICS: dict[str, tuple[str, str]] = {
    "accuracy_pct": ("n_accuracy", "true"),
    "acpl": ("n_acpl", "false"),
    "blunders_per_game": ("n_blunders", "false"),
    "seconds_per_move": ("n_think_mean_s", "NULL"),
    "time_trouble_pct": ("100 * ind_time_trouble::INTEGER", "false"),
    "score_pct": ("100 * n_points", "true"),
}
"""Metric → what is averaged over games, and whether more of it is better."""


class Peers(pa.DataFrameModel):
    """A player beside all people of the same rating band and speed in the lake, metric by metric; standard chess.

    A game counts for the band of the player's rating before it, so a player who moved on has rows in several bands.
    Bots (title BOT) are no peers: they have no rows, and nobody is compared with them; games against them count.
    """

    id_user: str = user(description="User id, lower case")
    val_speed: str = speed()
    n_rating_band: pl.Int16 = count(description=f"Lower end of the rating band, which is {BAND} points wide")
    val_metric: str = pa.Field(
        isin=tuple(METRICS),
        description="What is compared, each a mean over games: accuracy_pct; acpl (centipawns a move); "
        "blunders_per_game; seconds_per_move; time_trouble_pct (share of games with time trouble); score_pct (points)",
    )
    ind_more_is_better: bool = maybe(description="Whether a higher value is the better one; null where neither is")
    n_value: pl.Float64 = count(description="The player's value")
    n_median: pl.Float64 = count(description="Median of the values of all who are compared, the player included")
    n_percentile: pl.Float64 = percent(
        description="Share of the peers with a lower value, percent, those with an equal one counted half; "
        "null without peers"
    )
    n_games: pl.Int64 = pa.Field(
        ge=FEWEST_GAMES, description=f"Games behind the value; who has fewer than {FEWEST_GAMES} is not compared"
    )
    n_peers: pl.Int64 = count(description="Other players who are compared")
    tm_last: Utc = pa.Field(description="When the player's newest game in this band and speed was created")


PLAYER_BANDS = Partial(
    name="player_bands",
    sql=f"""
WITH player_games AS (
    {
        player_games(
            ("n_accuracy", "n_acpl", "n_blunders", "n_think_mean_s", "ind_time_trouble", "val_title"),
            ("val_variant",),
            ("accuracy", "acpl", "judgments", "time_usage"),
        )
    }
)
SELECT id_user, val_speed, n_rating // {BAND} * {BAND} AS n_rating_band, max(tm_created) AS tm_last,
    {
        ", ".join(
            f"sum({value})::DOUBLE AS {name}, count({value}) AS {name}_games" for name, (value, _) in METRICS.items()
        )
    }
FROM player_games
WHERE val_variant = 'standard' AND n_rating IS NOT NULL AND val_title IS DISTINCT FROM 'BOT'
GROUP BY ALL
ORDER BY id_user
""",  # noqa: S608  # constants of this module
    reads=("chess.games", "analytics.accuracy", "analytics.acpl", "analytics.judgments", "analytics.time_usage"),
)
BAND_COUNTS = Partial(
    name="band_counts",
    sql=f"""
WITH ratings AS (
    SELECT id_user_white AS id_user, val_speed, n_rating_white AS n_rating FROM chess.games
    WHERE val_result <> '*' AND val_variant = 'standard' AND coalesce(val_title_white, '') <> 'BOT'
    UNION ALL
    SELECT id_user_black, val_speed, n_rating_black FROM chess.games
    WHERE val_result <> '*' AND val_variant = 'standard' AND coalesce(val_title_black, '') <> 'BOT'
)
SELECT id_user, val_speed, floor(n_rating / {BAND})::SMALLINT AS band, count(*) AS n_games FROM ratings
WHERE id_user IS NOT NULL AND n_rating IS NOT NULL
GROUP BY ALL
""",  # noqa: S608  # constants of this module
    reads=("chess.games",),
)

# Sums and counts are kept by month; medians and ranks come last, from the means over all months.
SQL = f"""
WITH players AS (
    SELECT id_user, val_speed, n_rating_band, max(part.tm_last) AS tm_last,
        {
    ", ".join(
        f"round(sum(part.{name}) / nullif(sum({name}_games), 0), 6) AS {name}, sum({name}_games)::BIGINT AS n_{name}"
        for name in METRICS
    )
}
    FROM partials.player_bands AS part
    GROUP BY ALL
),
facts AS (
    SELECT id_user, val_speed, n_rating_band, tm_last, unnest([{
    ", ".join(
        f"{{'val_metric': '{name}', 'ind_more_is_better': {is_better}::BOOLEAN, "
        f"'n_value': {name}, 'n_games': n_{name}}}"
        for name, (_, is_better) in METRICS.items()
    )
}], recursive := true)
    FROM players
),
compared AS (
    SELECT * FROM facts WHERE n_games >= {FEWEST_GAMES}
),
medians AS (
    SELECT val_speed, n_rating_band, val_metric, median(n_value) AS n_median, count(*) AS n_players
    FROM compared
    GROUP BY ALL
)
SELECT *,
    n_players - 1 AS n_peers,
    100 * (rank() OVER lower - 1 + (count(*) OVER (PARTITION BY val_speed, n_rating_band, val_metric, n_value) - 1) / 2)
        / nullif(n_peers, 0) AS n_percentile
FROM compared JOIN medians USING (val_speed, n_rating_band, val_metric)
WINDOW lower AS (PARTITION BY val_speed, n_rating_band, val_metric ORDER BY n_value)
ORDER BY id_user, val_speed, n_rating_band, val_metric
"""  # noqa: S608  # constants of this module

mart = Mart(
    name="peers",
    model=Peers,
    sql=SQL,
    partials=(PLAYER_BANDS, BAND_COUNTS),
    account=Account(
        "games of players who are compared by score",
        pl.col("n_games").filter(pl.col("val_metric") == "score_pct").sum(),
        f"""
        SELECT coalesce(sum(n), 0) FROM (
            SELECT sum(n_games) AS n FROM partials.band_counts
            GROUP BY id_user, val_speed, band HAVING sum(n_games) >= {FEWEST_GAMES}
        )
        """,  # noqa: S608  # constants of this module
    ),
)
