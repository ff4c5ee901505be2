"""The alarms for what fails: runs, checks, hosts, disks and the daemon. Each is told once, and once when it is over."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from kshift_assets.ops.watch import WELL, Watch, failed_checks, run_alerts
from resources.alerts import Alerts

EVERY_SECONDS = 60
SETTLED = timedelta(seconds=5)


def alarms(watch: Watch) -> list[dg.SensorDefinition]:
    """The sensors of an unattended lakehouse. Each tick also tries again what could not be delivered before."""

    @dg.sensor(
        name="run_alerts",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts once when a step fails, and once when it succeeds again for the same month.",
    )
    def tell_runs(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
        # What happened before the first tick is history: see `kshift runs`.
        since = datetime.fromisoformat(context.cursor) if context.cursor else datetime.now(UTC)
        # An event is stored a little later than it happens.
        told, newest = run_alerts(context.instance, since, datetime.now(UTC) - SETTLED)
        news = [alert for alert in told if alerts.send(alert)]
        alerts.flush()
        context.update_cursor(newest.isoformat())
        return dg.SkipReason(f"{len(news)} alerts")

    @dg.sensor(
        name="check_alerts",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts once when a check fails, warnings included, and once when it passes again.",
    )
    def tell_checks(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
        news = alerts.observe("check", failed_checks(context.instance, watch.checks), WELL["check"])
        return dg.SkipReason(f"{len(news)} alerts")

    @dg.sensor(
        name="host_alerts",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts once when a source is left alone, a disk fills or a part of the daemon falls silent.",
    )
    def tell_hosts(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
        watch.over_host(alerts, context.instance)
        return dg.SkipReason(f"{len(alerts.incidents())} incidents in all")

    return [tell_runs, tell_checks, tell_hosts]
