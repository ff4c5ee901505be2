"""The alarms for what fails: runs, checks, hosts, disks and the daemon. Each is told once, and once when it is over."""

from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg

from kshift_assets.ops.watch import WELL, Watch, failed_checks, run_alerts
from resources.alerts import Alerts

SETTLED = timedelta(seconds=5)
every_minute = partial(dg.sensor, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)


def alarms(watch: Watch) -> list[dg.SensorDefinition]:
    """The sensors of an unattended lakehouse. Each tick also tries again what could not be delivered before."""

    @every_minute(
        name="run_alerts",
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

    @every_minute(
        name="check_alerts",
        description="Alerts once when a check fails, warnings included, and once when it passes again.",
    )
    def tell_checks(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
        news = alerts.observe("check", failed_checks(context.instance, watch.checks), WELL["check"])
        return dg.SkipReason(f"{len(news)} alerts")

    @every_minute(
        name="host_alerts",
        description="Alerts once when a source is left alone, a disk fills or a part of the daemon falls silent.",
    )
    def tell_hosts(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
        watch.over_host(alerts, context.instance)
        return dg.SkipReason(f"{len(alerts.incidents())} incidents in all")

    return [tell_runs, tell_checks, tell_hosts]
