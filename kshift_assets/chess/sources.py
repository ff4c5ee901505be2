"""The chess sources that Lichess is asked for: what it sent of the followed players, kept as it came."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

import dagster as dg
from pydantic import Field

from kshift_assets.audit import Audit
from kshift_assets.chess.frontier import Budget, Manner, crawl
from kshift_assets.chess.game_store import store_fetches
from kshift_assets.chess.ingestion import Harvest, pull_month, pull_players, wall_time
from kshift_assets.chess.late_finishers import Late, pull_pending
from kshift_assets.chess.tables import FETCHES, PENDING_GAMES, PLAYER_GAMES
from kshift_assets.chess.tracking import tracked
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    AT_HOME,
    OWNER,
    AuditFailed,
    Metadata,
    Report,
    Table,
    refuse,
    report,
    report_months,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import polars_schema, summary
from resources.alerts import Alerts
from resources.following import Following
from resources.lake import Lake
from resources.lichess import Lichess

fetches = dg.AssetSpec(
    FETCHES.key,
    group_name="lichess/sources",
    description=f"{summary(FETCHES.model)} Written by everything that asks Lichess.",
    kinds={"lichess", "deltalake"},
    owners=[OWNER],
    tags={"layer": "source", "domain": "chess"},
    metadata=table_metadata(FETCHES, store_fetches),
)

pending_games = dg.AssetSpec(
    PENDING_GAMES.key,
    group_name="lichess/sources",
    description=f"{summary(PENDING_GAMES.model)} Written by everything that sees games of players.",
    kinds={"lichess", "deltalake"},
    owners=[OWNER],
    tags={"layer": "source", "domain": "chess"},
    metadata=table_metadata(PENDING_GAMES, pull_pending),
)


class Crawl(dg.Config):
    """A run that fetches who is due of lichess.players_frontier, opponents included, instead of the tracked players."""

    crawl_players: int = Field(0, ge=0, description="Players to fetch at most; 0 for a run that does not crawl")
    crawl_requests: int = Field(0, ge=0, description="Requests to make at most; 0 for no limit")


@dg.multi_asset(
    name="player_games",
    specs=[
        dg.AssetSpec(
            PLAYER_GAMES.key,
            partitions_def=MONTHS,
            skippable=True,  # a run over all months marks only those that it touched
            group_name="lichess/sources",
            description=summary(PLAYER_GAMES.model),
            kinds={"python", "lichess", "deltalake"},
            owners=[OWNER],
            tags={"layer": "source", "domain": "chess"},
            metadata=table_metadata(PLAYER_GAMES, pull_players),
            code_version="1",
        )
    ],
    check_specs=[schema_check(PLAYER_GAMES)],
    op_tags=AT_HOME,
    pool="lichess",
)
def player_games(
    context: dg.AssetExecutionContext,
    config: Crawl,
    lake: Lake,
    lichess: Lichess,
    following: Following,
    alerts: Alerts,
) -> Iterator[Report]:
    """What is new of every followed player; a run for one month fetches that month whole, whatever was there before."""
    if not tracked(lake, following.players):
        text = "nobody is followed: name players with `kshift track NAME…`, or in KSHIFT_PLAYERS"
        raise dg.Failure(text, allow_retries=False)
    month = context.partition_key if context.has_partition_key else None
    harvest, late = brought(lake, lichess, following, month or config, context.log.info)
    for player in harvest.players:
        if player.reason:
            context.log.warning("%s: %s: %s", player.id_user, player.state, player.reason)
    broken = [player for player in harvest.players if player.state == "broken"]
    trouble = broken and (
        f"the games of {len(broken)} players cannot be read, first {broken[0].id_user}: {broken[0].reason}"
    )
    alerts.judge("contract", PLAYER_GAMES.key.to_user_string(), trouble or None, "answers are as agreed again")
    stored = lake.rows_by_month(PLAYER_GAMES.full_name)
    changed = {month: stored.get(month, 0)} if month else untold(context.instance, stored)
    audit = Audit(PLAYER_GAMES.model)
    try:
        for _ in audit.watch(lake.batches(PLAYER_GAMES.full_name, polars_schema(PLAYER_GAMES.model), list(changed))):
            pass
    except AuditFailed as failed:
        yield from refuse(PLAYER_GAMES.key, failed.finding)
        return
    metadata: Metadata = {
        "documents": harvest.n_new + late.months.total(),
        "documents of late finishers": late.months.total(),
        "requests": harvest.n_requests + late.n_requests,
        "players": dg.MetadataValue.md(players_table(harvest)),
    }
    if month and not harvest.failed:
        yield from report(context, PLAYER_GAMES.key, stored.get(month, 0), audit.findings(), metadata)
    elif not month:
        yield from report_months(context, PLAYER_GAMES, changed, audit.findings(), metadata)
    if lacking := what_is_lacking(harvest, late):
        raise dg.Failure(lacking, allow_retries=False)


def brought(
    lake: Lake, lichess: Lichess, following: Following, task: str | Crawl, tell: Callable[[str], None]
) -> tuple[Harvest, Late]:
    """Fetch a month of the tracked players (`task` names it), what is new of them, or the players of a crawl."""
    users, lookback = tracked(lake, following.players), timedelta(days=following.lookback_days)
    if isinstance(task, str):
        return pull_month(lake, lichess, users, task, following.page_games, tell), Late()
    if task.crawl_players:
        budget = Budget(task.crawl_players, task.crawl_requests or None)
        return crawl(lake, lichess, users, budget, Manner(following.page_games, lookback, tell)), Late()
    harvest = pull_players(lake, lichess, users, following.page_games, lookback, tell)
    return harvest, pull_pending(lake, lichess, wall_time(lichess), following.pending_games, tell)


def what_is_lacking(harvest: Harvest, late: Late) -> str | None:
    """One sentence on games that a run could not fetch."""
    if harvest.failed:
        first = harvest.failed[0]
        who = f"{len(harvest.failed)} of {len(harvest.players)} players"
        return f"{who} lack games yet, first {first.id_user}: {first.reason}"
    return f"unfinished games were not all asked for: {late.problem}" if late.problem else None


def untold(instance: dg.DagsterInstance, stored: Mapping[str, int], table: Table = PLAYER_GAMES) -> dict[str, int]:
    """The months, with their rows, of which Dagster knows another number of rows.

    Not only those that this run brought rows for: a run that was killed after a commit told nobody. Games before the
    first month stay in the source table: the graph begins where the dumps do.
    """
    changed = {}
    for month, n_rows in stored.items():
        if not MONTHS.has_partition_key(month):
            continue
        wanted = dg.AssetRecordsFilter(asset_key=table.key, asset_partitions=[month])
        records = instance.fetch_materializations(wanted, limit=1).records
        event = records[0].asset_materialization if records else None
        if event is None or event.metadata["rows"].value != n_rows:
            changed[month] = n_rows
    return changed


def players_table(harvest: Harvest) -> str:
    """What became of each player, as Markdown."""
    rows = [
        f"| {player.id_user} | {player.state} | {player.n_new} | {player.n_pages} | {player.reason or ''} |"
        for player in harvest.players
    ]
    return "\n".join(["| player | state | new documents | pages | reason |", "|---|---|---|---|---|", *rows])
