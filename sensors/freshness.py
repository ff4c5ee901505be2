"""The alarm for stale tables: one alert when a promise of freshness is broken, one when it holds again."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState  # the only name under which Dagster 1.13 has it

from kshift_assets.ops.watch import WELL, stale_alert
from resources.alerts import Alerts

_FRESH = (FreshnessState.PASS.value, FreshnessState.WARN.value)


def freshness_alerts(keys: Sequence[dg.AssetKey]) -> dg.SensorDefinition:
    """A sensor over the assets that promise freshness; what was told is known to the alerts."""

    @dg.sensor(
        name="freshness_alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts once when a mart or the published snapshot turns stale, and once when it recovers.",
    )
    def tell_changes(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
        records = context.instance.get_freshness_state_records(keys)
        states = {key.to_user_string(): record.freshness_state.value for key, record in records.items()}
        known = alerts.troubled("stale")
        late = [
            name
            for name in {*states, *known}
            # What nobody has looked at since is what it was.
            if states.get(name) == FreshnessState.FAIL.value or (name in known and states.get(name) not in _FRESH)
        ]
        news = alerts.observe("stale", [stale_alert(name) for name in sorted(late)], WELL["stale"])
        return dg.SkipReason(f"{len(news)} alerts; states: {states or 'none evaluated yet'}")

    return tell_changes
