"""The crawl's frontier as pure functions on frames: who is within reach of the tracked players, and who is due when.

What belongs here: rules. Reading and writing the tables, and asking Lichess, is in `frontier.py`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import polars as pl

from kshift_assets.chess.source_schemas import PlayersFrontier
from kshift_assets.tables import polars_schema

SCHEMA = polars_schema(PlayersFrontier)
SOONEST, LATEST = timedelta(days=1), timedelta(days=30)
"""Bounds of the time between two fetches of a player."""
LAST_DOUBLING = 5
"""Failures in a row after which the pause does not double any more: 32 days, cut to the latest."""
REACH = pl.Schema({"id_user": pl.String(), "n_reach": pl.Int16()})
EDGES = pl.Schema({"id_user": pl.String(), "id_opponent": pl.String(), "n_games": pl.Int64()})

Meetings = Callable[[list[str]], pl.DataFrame]
"""Players → their opponents: frame of EDGES, one row a pair."""


def reachable(tracked: Mapping[str, int], fetched: pl.Series, meetings: Meetings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Everybody within the depth of some tracked player, by steps over players who were fetched; and those steps.

    Gives frames of REACH (how many further steps may be taken from a player) and EDGES. Players with more steps left
    come first, so that each is expanded once, with the most that is left.
    """
    reach = pl.DataFrame({"id_user": list(tracked), "n_reach": list(tracked.values())}, schema=REACH)
    edges = [pl.DataFrame(schema=EDGES)]
    for left in range(max(tracked.values(), default=0), 0, -1):
        wave = reach.filter(pl.col("n_reach") == left, pl.col("id_user").is_in(fetched.implode()))["id_user"].to_list()
        if wave:
            edges.append(meetings(wave).select(EDGES.names()))
            found = edges[-1].select(id_user="id_opponent", n_reach=pl.lit(left - 1, pl.Int16))
            reach = pl.concat([reach, found]).group_by("id_user").agg(pl.col("n_reach").max())
    return reach, pl.concat(edges)


def nearest(tracked: Mapping[str, int], reach: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """Id, n_depth, id_user_found_through of everybody within reach: breadth first from the tracked players."""
    level = pl.DataFrame({"id_user": list(tracked)}, schema={"id_user": pl.String()}).with_columns(
        n_depth=pl.lit(0, pl.Int16), id_user_found_through=pl.lit(None, pl.String)
    )
    known = level
    while level.height:
        level = (
            edges.join(level.select("id_user", "n_depth"), on="id_user")
            .join(known, left_on="id_opponent", right_on="id_user", how="anti")
            .sort(["n_games", "id_user"], descending=[True, False])
            .group_by("id_opponent", maintain_order=True)
            .first()
            .select(
                id_user="id_opponent",
                n_depth=(pl.col("n_depth") + 1).cast(pl.Int16),
                id_user_found_through="id_user",
            )
        )
        known = pl.concat([known, level])
    return known.join(reach, on="id_user", how="semi")


def latest_fetches(outcomes: pl.LazyFrame) -> pl.DataFrame:
    """One row a player: last state, its time and reason, the last success, failures in a row since."""
    failed = pl.col("val_state").is_in(["failed", "broken"])
    newest_other = pl.col("tm_fetched").filter(~failed).max()
    return (
        outcomes.sort("tm_fetched")
        .group_by("id_user")
        .agg(
            val_last=pl.col("val_state").last(),
            val_reason=pl.col("val_reason").last(),
            tm_last_tried=pl.col("tm_fetched").last(),
            tm_last_fetched=pl.col("tm_fetched").filter(pl.col("val_state") == "done").max(),
            n_failures=(failed & (newest_other.is_null() | (pl.col("tm_fetched") > newest_other))).sum(),
        )
        .collect()
    )


def frontier(players: pl.DataFrame, fetches: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The table's rows, in the order in which players are fetched.

    `players`: one row each, with n_depth (null: not followed), id_user_found_through, n_games_stored,
    n_games_with_tracked, tm_last_game, ind_bot, ind_closed; `fetches`: as `latest_fetches` gives.
    """
    known = players.join(fetches, on="id_user", how="left").with_columns(val_state=_state())
    return (
        known.with_columns(
            tm_next_due=_next_due(now),
            val_reason=pl.when(pl.col("val_state").is_in(["failed", "closed", "missing"])).then("val_reason"),
        )
        .sort(
            ["n_depth", "n_games_with_tracked", "tm_next_due", "id_user"],
            descending=[False, True, False, False],
            nulls_last=True,
        )
        .select(SCHEMA.names())
        .cast(SCHEMA)
    )


def due(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Those to be fetched now of the nearest depth that has any: farther ones may change while these are fetched."""
    waiting = rows.filter(pl.col("tm_next_due") <= now)
    return waiting.filter(pl.col("n_depth") == pl.col("n_depth").min())


def _state() -> pl.Expr:
    last = pl.col("val_last")
    # A game that began after Lichess did not know the player: the account is open again.
    is_back = (pl.col("tm_last_game") > pl.col("tm_last_tried")).fill_null(value=False)
    return (
        pl.when(pl.col("n_depth").is_null())
        .then(pl.lit("untracked"))
        .when(pl.col("ind_bot") & (pl.col("n_depth") > 0))  # who names a bot wants it
        .then(pl.lit("skipped_bot"))
        .when(pl.col("ind_closed"))
        .then(pl.lit("closed"))
        .when(last.is_null() | ((last == "gone") & is_back))
        .then(pl.lit("queued"))
        .when(last == "done")
        .then(pl.lit("fetched"))
        .when(last == "gone")
        .then(pl.when(pl.col("n_games_stored") > 0).then(pl.lit("closed")).otherwise(pl.lit("missing")))
        .otherwise(pl.lit("failed"))
    )


def _next_due(now: datetime) -> pl.Expr:
    """When to fetch next: as long after the last fetch as the player had been idle then, a day at least, 30 at most.

    So who plays daily is due after a day, who has not played for months after 30 days; a failure is tried again after
    1, 2, 4 … days.
    """
    idle = (pl.col("tm_last_fetched") - pl.col("tm_last_game")).fill_null(pl.lit(LATEST)).clip(SOONEST, LATEST)
    doublings = pl.col("n_failures").cast(pl.Int64).sub(1).clip(0, LAST_DOUBLING)
    pause = (pl.lit(SOONEST.total_seconds() * 1_000_000) * pl.lit(2.0).pow(doublings)).cast(pl.Duration("us"))
    return (
        pl.when(pl.col("val_state") == "queued")
        .then(pl.lit(now))
        .when(pl.col("val_state") == "fetched")
        .then(pl.col("tm_last_fetched") + idle)
        .when(pl.col("val_state") == "failed")
        .then(pl.col("tm_last_tried") + pause.clip(SOONEST, LATEST))
    )
