"""Lichess TV as assets: every game that was shown on one of its channels, once it is over."""

from collections.abc import Iterator

import dagster as dg

from kshift_assets.chess.sources import untold
from kshift_assets.chess.tables import TV_GAMES, TV_RUNNING
from kshift_assets.chess.tv_store import GIVE_UP_AFTER, TvStore
from kshift_assets.chess.tv_watch import TvHarvest, finish_month, watch_tv
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    AT_HOME,
    OWNER,
    AuditFailed,
    Finding,
    Metadata,
    Report,
    refuse,
    report,
    report_months,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import summary
from resources.alerts import Alerts
from resources.lake import Lake
from resources.lichess import Lichess

tv_running = dg.AssetSpec(
    TV_RUNNING.key,
    group_name="lichess/sources",
    description=f"{summary(TV_RUNNING.model)} Written by lichess/tv_games.",
    kinds={"lichess", "deltalake"},
    owners=[OWNER],
    tags={"layer": "source", "domain": "chess"},
    metadata=table_metadata(TV_RUNNING, TvStore.sight),
)


@dg.multi_asset(
    name="tv_games",
    specs=[
        dg.AssetSpec(
            TV_GAMES.key,
            partitions_def=MONTHS,
            skippable=True,  # a run over all months marks only those for which games ended
            group_name="lichess/sources",
            description=summary(TV_GAMES.model),
            kinds={"python", "lichess", "deltalake"},
            owners=[OWNER],
            tags={"layer": "source", "domain": "chess"},
            metadata=table_metadata(TV_GAMES, watch_tv),
            code_version="1",
        )
    ],
    check_specs=[schema_check(TV_GAMES)],
    op_tags=AT_HOME,
    pool="lichess_tv",  # not that of the players: their long backfills would keep TV waiting; requests queue anyway
)
def tv_games(context: dg.AssetExecutionContext, lake: Lake, lichess: Lichess, alerts: Alerts) -> Iterator[Report]:
    """What all channels show, and how games ended that they showed; a run for one month only asks how those ended."""
    month = context.partition_key if context.has_partition_key else None
    try:
        harvest = (
            finish_month(lake, lichess, month, context.log.info) if month else watch_tv(lake, lichess, context.log.info)
        )
    except AuditFailed as failed:
        yield from refuse(TV_GAMES.key, failed.finding)
        return
    alerts.judge("contract", TV_GAMES.key.to_user_string(), harvest.broken, "answers are as agreed again")
    if harvest.given_up:
        days = GIVE_UP_AFTER.days
        context.log.warning("given up after %s days without a sign of life: %s", days, ", ".join(harvest.given_up))
    context.log.info("%s games on %s channels", sum(harvest.channels.values()), len(harvest.channels))
    stored = lake.rows_by_month(TV_GAMES.full_name)
    # Rows are held to the model before they are appended.
    findings = [Finding("schema", passed=True, metadata={"rows": harvest.n_new})]
    if month and not harvest.problems:
        yield from report(context, TV_GAMES.key, stored.get(month, 0), findings, facts(harvest))
    elif not month:
        changed = untold(context.instance, stored, TV_GAMES)
        yield from report_months(context, TV_GAMES, changed, findings, facts(harvest))
    if harvest.problems:
        raise dg.Failure(
            f"{len(harvest.problems)} questions about TV failed, first: {harvest.problems[0]}", allow_retries=False
        )


def facts(harvest: TvHarvest) -> Metadata:
    """The numbers of a run."""
    channels = "\n".join(f"| {channel} | {number} |" for channel, number in harvest.channels.items())
    return {
        "documents": harvest.n_new,
        "running": harvest.n_running,
        "given_up": len(harvest.given_up),
        "requests": harvest.n_requests,
        "channels": dg.MetadataValue.md(f"| channel | games |\n|---|---|\n{channels}"),
    }
