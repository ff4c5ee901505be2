"""The sensor that looks at Lichess TV every minute. Off until somebody turns it on."""

import dagster as dg

from kshift_assets.chess.tables import TV_GAMES
from kshift_assets.ops.events import environment

TV_JOB = dg.define_asset_job(
    "watch_tv",
    selection=dg.AssetSelection.assets(TV_GAMES.key),
    description="Notes what every TV channel shows and stores the games that are over.",
    tags=environment(),
)
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    name="watch_tv_every_minute",
    job=TV_JOB,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Looks at Lichess TV each minute, unless the last look is not over. Turn it on to collect TV games.",
)
def watch_tv_every_minute(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run at a time: in a long silence after a 429, looks would pile up."""
    unfinished = dg.RunsFilter(job_name=TV_JOB.name, statuses=UNFINISHED)
    if context.instance.get_runs_count(unfinished):
        return dg.SkipReason("the last look at TV is not over")
    return dg.RunRequest()
