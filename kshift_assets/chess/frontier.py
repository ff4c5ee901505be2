"""The opponents crawl: from the tracked players to their opponents, step by step, within a budget.

Nothing of a crawl lives in memory alone: who was fetched stands in lichess.player_fetches, how far in the cursors of
lichess.player_games, and the frontier is made from these anew. A crawl that was killed goes on where it was.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import orjson
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_SETTLED_CHANGE_OR_NIGHTLY
from kshift_assets.chess.frontier_rows import (
    EDGES,
    SCHEMA,
    due,
    frontier,
    latest_fetches,
    nearest,
    reachable,
)
from kshift_assets.chess.game_store import GAMES_SCHEMA, OUTCOMES_SCHEMA
from kshift_assets.chess.ingestion import BROKEN_PLAYERS, Harvest, pull_players, wall_time
from kshift_assets.chess.tables import GAMES, PLAYER_FETCHES, PLAYER_GAMES, PLAYERS_FRONTIER
from kshift_assets.chess.tracking import ever_tracked, tracked
from kshift_assets.reporting import (
    OWNER,
    AuditFailed,
    Finding,
    Report,
    check,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import polars_schema, summary
from resources.following import Following
from resources.lake import Lake
from resources.lichess import Lichess

SIDES = pl.Schema(
    {
        "id_game": pl.String(),
        "id_user_white": pl.String(),
        "id_user_black": pl.String(),
        "val_title_white": pl.String(),
        "val_title_black": pl.String(),
        "tm_created": pl.Datetime("us", "UTC"),
    }
)
"""What the crawl needs to know of a game."""


@dataclass(frozen=True)
class Budget:
    """How much a crawl may do. A request that has to be repeated may exceed the number of requests by two."""

    players: int
    requests: int | None = None


@dataclass(frozen=True)
class Manner:
    """How each player is fetched, see `pull_players`."""

    page_games: int = 300
    lookback: timedelta = timedelta(days=14)
    tell: Callable[[str], None] = lambda _: None


def crawl(lake: Lake, lichess: Lichess, followed: Mapping[str, int], budget: Budget, manner: Manner) -> Harvest:
    """Fetch the players who are due, nearest first, until the budget is used up or nobody is due.

    One player after the other, so that a kill costs the page in flight and no more. Opponents that come to light are
    fetched in the same run, once everybody nearer is.
    """
    harvest, asked, n_broken = Harvest(), set[str](), 0
    while waiting := {user: old for user, old in _due(lake, followed, wall_time(lichess)).items() if user not in asked}:
        for user, was_fetched in waiting.items():
            left = None if budget.requests is None else budget.requests - harvest.n_requests
            if len(asked) >= budget.players or (left is not None and left <= 0):
                return harvest
            asked.add(user)
            # A first fetch that a small budget cuts into pieces would spend it on looking back, each time.
            lookback = manner.lookback if was_fetched else timedelta()
            one = pull_players(lake, lichess, [user], manner.page_games, lookback, manner.tell, most_requests=left)
            harvest.months.update(one.months)
            harvest.n_requests += one.n_requests
            outcome = one.players[0]
            if outcome.state == "postponed" and left is not None and one.n_requests >= left:
                manner.tell(f"{user}: {outcome.n_new} games, the rest another time: {outcome.reason}")
                return harvest
            harvest.players.append(outcome)
            n_broken = n_broken + 1 if outcome.state == "broken" else 0
            if outcome.state == "postponed" or n_broken >= BROKEN_PLAYERS:
                return harvest
    return harvest


def frontier_of(lake: Lake, followed: Mapping[str, int], now: datetime) -> pl.DataFrame:
    """The frontier as it follows from what is stored: who is tracked, who was fetched, and who met whom."""
    fetches = latest_fetches(lake.scan(PLAYER_FETCHES.full_name, OUTCOMES_SCHEMA))
    games = stored_games(lake)
    fetched = fetches.filter(pl.col("tm_last_fetched").is_not_null())["id_user"]
    reach, edges = reachable(followed, fetched, lambda wave: opponents(games, wave))
    near = nearest(followed, reach, edges)
    others = pl.concat(
        [fetches.select("id_user"), pl.DataFrame({"id_user": ever_tracked(lake)}, {"id_user": pl.String})]
    )
    known = pl.concat([near, others.unique().join(near, on="id_user", how="anti")], how="diagonal")
    return frontier(
        known.join(played(games, known["id_user"], list(followed)), on="id_user", how="left").with_columns(
            pl.col("n_games_stored", "n_games_with_tracked").fill_null(0),
            pl.col("ind_bot").fill_null(value=False),
            ind_closed=False,
        ),
        fetches,
        now,
    )


def stored_games(lake: Lake) -> pl.LazyFrame:
    """Who met whom, one row a game (SIDES): from chess.games, and from documents that are not cleaned yet."""
    cleaned = lake.scan(GAMES.full_name, polars_schema(GAMES.model)).select(SIDES.names())
    months = lake.months(PLAYER_GAMES.full_name)
    there = lake.scan(GAMES.full_name, polars_schema(GAMES.model), months).select("id_game")
    documents = (
        lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA, months)
        .select("id_game", "tm_created", "val_document")
        .join(there, on="id_game", how="anti")
        .unique("id_game")
        .collect()
    )
    rows = [_sides(*row) for row in documents.iter_rows()]
    return pl.concat([cleaned, pl.LazyFrame(rows, schema=SIDES, orient="row")])


def opponents(games: pl.LazyFrame, users: list[str]) -> pl.DataFrame:
    """The opponents of these players, with the number of games (EDGES)."""
    white, black = pl.col("id_user_white"), pl.col("id_user_black")
    meetings = [
        games.filter(own.is_in(users), other.is_not_null(), own != other).select(id_user=own, id_opponent=other)
        for own, other in ((white, black), (black, white))
    ]
    found = pl.concat(meetings).group_by("id_user", "id_opponent").agg(n_games=pl.len().cast(pl.Int64))
    return found.select(EDGES.names()).collect()


def played(games: pl.LazyFrame, users: pl.Series, followed: list[str]) -> pl.DataFrame:
    """What these players played: numbers of games, time of the newest, whether they are bots."""
    sides = [
        games.select(
            id_user=f"id_user_{own}",
            with_tracked=pl.col(f"id_user_{other}").is_in(followed),
            is_bot=pl.col(f"val_title_{own}") == "BOT",
            tm_created="tm_created",
        )
        for own, other in (("white", "black"), ("black", "white"))
    ]
    return (
        pl.concat(sides)
        .join(pl.LazyFrame({"id_user": users}), on="id_user", how="semi")
        .group_by("id_user")
        .agg(
            n_games_stored=pl.len().cast(pl.Int64),
            n_games_with_tracked=pl.col("with_tracked").sum().cast(pl.Int64),
            tm_last_game=pl.col("tm_created").max(),
            ind_bot=pl.col("is_bot").any(),
        )
        .collect()
    )


def _due(lake: Lake, followed: Mapping[str, int], now: datetime) -> dict[str, bool]:
    """Who is due, in order, and whether all of theirs was fetched before."""
    rows = due(frontier_of(lake, followed, now), now)
    return dict(rows.select("id_user", pl.col("tm_last_fetched").is_not_null()).iter_rows())


def _sides(id_game: str, created: datetime, document: str) -> dict[str, Any]:
    players = orjson.loads(document)["players"]
    users = {side: players[side].get("user", {}) for side in ("white", "black")}
    return {
        "id_game": id_game,
        "tm_created": created,
        **{f"id_user_{side}": user.get("id") for side, user in users.items()},
        **{f"val_title_{side}": user.get("title") for side, user in users.items()},
    }


@dg.asset(
    key=PLAYERS_FRONTIER.key,
    deps=[PLAYER_GAMES.key, GAMES.key],
    group_name="lichess/sources",
    description=summary(PLAYERS_FRONTIER.model),
    kinds={"python", "polars", "deltalake"},
    owners=[OWNER],
    tags={"layer": "source", "domain": "chess"},
    metadata=table_metadata(PLAYERS_FRONTIER, frontier_of),
    code_version="1",
    check_specs=[
        schema_check(PLAYERS_FRONTIER),
        check(PLAYERS_FRONTIER, "unique_id_user", "Every player has one row."),
    ],
    automation_condition=ON_SETTLED_CHANGE_OR_NIGHTLY,
)
def players_frontier(context: dg.AssetExecutionContext, lake: Lake, following: Following) -> Iterator[Report]:
    """The frontier, made anew from what is stored and written in one commit."""
    now = datetime.now(UTC)
    rows = frontier_of(lake, tracked(lake, following.players), now)
    audit = Audit(PLAYERS_FRONTIER.model, unique="id_user")
    try:
        written = lake.overwrite(PLAYERS_FRONTIER.full_name, lambda: audit.watch([rows]), SCHEMA)
    except AuditFailed as failed:
        yield from refuse(PLAYERS_FRONTIER.key, failed.finding)
        return
    states = dict(rows["val_state"].value_counts().iter_rows())
    waiting = rows.filter(pl.col("tm_next_due") <= now).height
    findings: list[Finding] = audit.findings()
    yield from report(context, PLAYERS_FRONTIER.key, written.n_rows, findings, states | {"due": waiting})
