"""The sensor that carries a change through the graph: it evaluates every asset's automation condition."""

import dagster as dg

from kshift_assets.ops.events import environment

AUTOMATION = dg.AutomationConditionSensorDefinition(
    "carry_changes_through",
    target=dg.AssetSelection.all(),
    # Dagster creates its own one stopped: a fresh `kshift up` would never move.
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    run_tags=environment(),
    description="Makes an asset anew once something that it is made from changed and passed its checks.",
)
