"""The schedule that asks Lichess for new games of the tracked players. Off until somebody turns it on."""

import dagster as dg

from kshift_assets.chess.tables import PLAYER_GAMES
from kshift_assets.ops.events import environment

INGEST_JOB = dg.define_asset_job(
    "ingest_player_games",
    selection=dg.AssetSelection.assets(PLAYER_GAMES.key),
    description="Fetches what is new for the tracked players, over all months at once.",
    tags=environment(),
)

HOURLY_INGEST = dg.ScheduleDefinition(
    name="ingest_player_games_hourly",
    job=INGEST_JOB,
    cron_schedule="7 * * * *",
    description="New games of the tracked players, each hour. Turn it on for an unattended lakehouse.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
