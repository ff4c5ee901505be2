"""The schedule of the lake's upkeep. On or off at first, as KSHIFT_SCHEDULES says."""

import dagster as dg

from kshift_assets.ops.events import environment
from kshift_assets.ops.maintenance import MAINTENANCE_KEY

MAINTENANCE_JOB = dg.define_asset_job(
    "keep_the_lake_in_shape",
    selection=dg.AssetSelection.assets(MAINTENANCE_KEY),
    description="Merges small files and removes files that nothing needs.",
    tags=environment(),
)


def weekly_maintenance(at_first: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Each Sunday."""
    return dg.ScheduleDefinition(
        name="keep_the_lake_in_shape_weekly",
        job=MAINTENANCE_JOB,
        cron_schedule="23 2 * * 0",
        description="The lake's upkeep, each Sunday.",
        default_status=at_first,
    )
