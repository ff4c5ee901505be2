"""The schedule of the lake's upkeep. Off until somebody turns it on."""

import dagster as dg

from kshift_assets.ops.events import environment
from kshift_assets.ops.maintenance import MAINTENANCE_KEY

MAINTENANCE_JOB = dg.define_asset_job(
    "keep_the_lake_in_shape",
    selection=dg.AssetSelection.assets(MAINTENANCE_KEY),
    description="Merges small files and removes files that nothing needs.",
    tags=environment(),
)

WEEKLY_MAINTENANCE = dg.ScheduleDefinition(
    name="keep_the_lake_in_shape_weekly",
    job=MAINTENANCE_JOB,
    cron_schedule="23 2 * * 0",
    description="The lake's upkeep, each Sunday. Turn it on for an unattended lakehouse.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
