"""The schedule that keeps profiles and rating histories fresh. Off until somebody turns it on."""

import dagster as dg

from kshift_assets.chess.tables import RATING_HISTORIES, USER_PROFILES
from kshift_assets.ops.events import environment

PROFILES_JOB = dg.define_asset_job(
    "ask_about_players",
    selection=dg.AssetSelection.assets(USER_PROFILES.key, RATING_HISTORIES.key),
    description="Fetches profiles that are missing or old, and the rating histories of the followed players.",
    tags=environment(),
)

DAILY_PROFILES = dg.ScheduleDefinition(
    name="ask_about_players_daily",
    job=PROFILES_JOB,
    cron_schedule="37 3 * * *",
    description="Profiles and rating histories, each night. Turn it on for an unattended lakehouse.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
