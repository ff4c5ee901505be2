"""Promises of freshness: told once when they break, once when they hold again; beside them, the data's own age."""

import logging
import re
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from kshift_assets.chess.marts.mart import newest_row
from lakehouse import Lakehouse, pgn
from resources.alerts import Alerts

SUMMARY = dg.AssetKey(["marts", "player_summary"])


class Sensor:
    """The sensor as the daemon calls it."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self.lakehouse = lakehouse

    def tick(self) -> None:
        definitions = self.lakehouse.definitions
        sensor = definitions.resolve_sensor_def("freshness_alerts")
        with dg.build_sensor_context(
            instance=self.lakehouse.instance,
            repository_def=definitions.get_repository_def(),
            resources={"alerts": Alerts(folder=str(self.lakehouse.folder / "alerts"))},
        ) as context:
            sensor.evaluate_tick(context)


def say(lakehouse: Lakehouse, state: FreshnessState) -> None:
    """Record a state as the freshness daemon does."""
    old = FreshnessState.UNKNOWN
    change = FreshnessStateChange(
        key=SUMMARY, new_state=state, previous_state=old, state_change_timestamp=datetime.now(UTC).timestamp()
    )
    lakehouse.instance._report_runless_asset_event(change)


def alerts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "kshift.alerts"]


def test_one_alert_when_a_table_turns_stale_and_one_when_it_recovers(
    lakehouse: Lakehouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kshift.alerts")
    sensor = Sensor(lakehouse)
    sensor.tick()
    say(lakehouse, FreshnessState.PASS)
    sensor.tick()
    assert alerts(caplog) == []
    say(lakehouse, FreshnessState.WARN)
    sensor.tick()
    assert alerts(caplog) == []
    say(lakehouse, FreshnessState.FAIL)
    for _ in range(3):
        sensor.tick()
    assert alerts(caplog) == [
        "trouble: marts/player_summary: its freshness promise is broken: it was not made anew in time"
    ]
    say(lakehouse, FreshnessState.PASS)
    for _ in range(3):
        sensor.tick()
    assert alerts(caplog)[1:] == ["recovered: marts/player_summary: it is fresh again"]


def test_a_mart_with_old_games_is_told_although_it_was_just_made(lakehouse: Lakehouse) -> None:
    lakehouse.write_dump("2013-01", pgn("aaaaaaa1", day="2013.01.05"))
    lakehouse.make("lichess/dump_games", "2013-01")
    outcomes = lakehouse.carry_on()
    [warning] = [one for outcome in outcomes for one in outcome.warnings if "the newest game is" in one]
    assert re.fullmatch(r"(marts/\w+, ){2}marts/\w+ and \d+ more: the newest game is .*", warning)
    assert "marts/player_summary:newest_row" in lakehouse.failed_checks()
    assert lakehouse.snapshots.latest(), "a warning stops nothing"


def test_the_age_of_data_is_measured_against_its_limit() -> None:
    now, limit = datetime.now(UTC), timedelta(days=45)
    assert newest_row(now - timedelta(days=44), limit).passed
    assert not newest_row(now - timedelta(days=46), limit).passed
    assert not newest_row(None, limit).passed
