"""The alarm for stale tables: one alert when a promise of freshness is broken, one when it holds again."""

import json
from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState  # the only name under which Dagster 1.13 has it

from resources.alerts import Alert, Alerts

_FRESH = (FreshnessState.PASS.value, FreshnessState.WARN.value)


def freshness_alerts(keys: Sequence[dg.AssetKey]) -> dg.SensorDefinition:
    """A sensor over the assets that promise freshness; the states that it has told are its cursor."""

    @dg.sensor(
        name="freshness_alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts once when a mart or the published snapshot turns stale, and once when it recovers.",
    )
    def tell_changes(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SensorResult | dg.SkipReason:
        told: dict[str, str] = json.loads(context.cursor or "{}")
        records = context.instance.get_freshness_state_records(keys)
        states = {key.to_user_string(): record.freshness_state.value for key, record in records.items()}
        changes = changed(told, states)
        for alert in changes:
            alerts.send(alert)
            context.log.warning("%s: %s: %s", alert.severity, alert.subject, alert.text)
        known = {name: state for name, state in states.items() if state == FreshnessState.FAIL.value or state in _FRESH}
        context.update_cursor(json.dumps(told | known, sort_keys=True))
        return dg.SkipReason(f"{len(changes)} alerts; states: {states or 'none evaluated yet'}")

    return tell_changes


def changed(told: dict[str, str], states: dict[str, str]) -> list[Alert]:
    """The alerts from the states told before to the present ones: one for each table that crossed the line."""
    stale = FreshnessState.FAIL.value
    alerts = []
    for name, state in sorted(states.items()):
        was_stale = told.get(name) == stale
        if state == stale and not was_stale:
            alerts.append(Alert(name, "trouble", "its freshness promise is broken: it was not made anew in time"))
        elif was_stale and state in _FRESH:
            alerts.append(Alert(name, "recovered", "it is fresh again"))
    return alerts
