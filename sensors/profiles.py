"""The schedule that keeps profiles and rating histories fresh. On or off at first, as KSHIFT_SCHEDULES says."""

import dagster as dg

from kshift_assets.chess.tables import RATING_HISTORIES, USER_PROFILES
from kshift_assets.ops.events import environment

PROFILES_JOB = dg.define_asset_job(
    "ask_about_players",
    selection=dg.AssetSelection.assets(USER_PROFILES.key, RATING_HISTORIES.key),
    description="Fetches profiles that are missing or old, and the rating histories of the followed players.",
    tags=environment(),
)


def daily_profiles(at_first: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Each night."""
    return dg.ScheduleDefinition(
        name="ask_about_players_daily",
        job=PROFILES_JOB,
        cron_schedule="37 3 * * *",
        description="Profiles and rating histories, each night.",
        default_status=at_first,
    )
