"""The schedule that asks Lichess for new games of the tracked players. On or off at first, as KSHIFT_SCHEDULES says."""

import dagster as dg

from kshift_assets.chess.tables import PLAYER_GAMES
from kshift_assets.ops.events import environment

INGEST_JOB = dg.define_asset_job(
    "ingest_player_games",
    selection=dg.AssetSelection.assets(PLAYER_GAMES.key),
    description="Fetches what is new for the tracked players, over all months at once.",
    tags=environment(),
)


def hourly_ingest(at_first: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Each hour."""
    return dg.ScheduleDefinition(
        name="ingest_player_games_hourly",
        job=INGEST_JOB,
        cron_schedule="7 * * * *",
        description="New games of the tracked players, each hour.",
        default_status=at_first,
    )
