"""The schedule that gives what failed a second chance each night. On or off at first, as KSHIFT_SCHEDULES says."""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # the only name under which Dagster 1.13 has it
)

from kshift_assets.catching_up import behind
from kshift_assets.ops.events import environment
from sensors.tv import UNFINISHED


def analytics_job(keys: Sequence[dg.AssetKey]) -> UnresolvedAssetJobDefinition:
    """The job of a month: cleaned games and analytics, as far as they are behind."""
    return dg.define_asset_job(
        "catch_up_analytics",
        selection=dg.AssetSelection.assets(*keys),
        description="Makes what is behind its sources in a month: cleaned games and analytics.",
        tags=environment(),
    )


def nightly_analytics(
    job: UnresolvedAssetJobDefinition, keys: Sequence[dg.AssetKey], at_first: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    """Each night, before marts and snapshot are made."""

    @dg.schedule(
        name="catch_up_analytics_nightly",
        job=job,
        cron_schedule="41 1 * * *",
        description="A run for each month in which cleaned games or analytics are behind their sources, each night: "
        "what failed is tried again, while automation waits for the next change.",
        default_status=at_first,
    )
    def catch_up(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        under_way = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        busy = {run.tags.get("dagster/partition") for run in under_way}
        late = behind(context.instance, context.repository_def.asset_graph, keys)
        months = [month for month in late if month not in busy]
        if not months:
            yield dg.SkipReason("nothing is behind its sources, or it is under way")
        for month in months:
            yield dg.RunRequest(partition_key=month, asset_selection=late[month])

    return catch_up
