"""What raises alerts: runs, checks, sources that are left alone, disks and the daemon, each told once and once over."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from alert_receivers import Hook
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.definitions import watch_of
from kshift_assets.ops.watch import GB, silent_daemons
from lakehouse import Lakehouse, pgn
from resources.alert_settings import alerts_of
from resources.breaker import HostState, Patience
from resources.clock import SystemClock
from resources.gate import Gate


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with Hook().up() as listening:
        monkeypatch.setenv("KSHIFT_ALERT_WEBHOOK", listening.url)
        yield listening


class Daemon:
    """Calls the sensors as Dagster's daemon does, each with its cursor."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self.lakehouse, self.definitions = lakehouse, lakehouse.definitions
        self.cursors: dict[str, str | None] = {}

    def tick(self, *names: str) -> None:
        for name in names:
            with dg.build_sensor_context(
                instance=self.lakehouse.instance,
                cursor=self.cursors.get(name),
                repository_def=self.definitions.get_repository_def(),
                resources={"alerts": alerts_of(self.lakehouse.settings)},
            ) as context:
                self.definitions.resolve_sensor_def(name).evaluate_tick(context)
                self.cursors[name] = context.cursor


def test_a_failed_run_is_told_once_and_when_the_same_month_succeeds(
    lakehouse: Lakehouse, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensors.alarms.SETTLED", timedelta(0))
    lakehouse.make("lichess/dump_games", "2024-03")
    daemon = Daemon(lakehouse)
    daemon.tick("run_alerts")
    assert hook.titles == [], "what failed before anybody watched is history"
    lakehouse.make("lichess/dump_games", "2024-01")
    lakehouse.make("lichess/dump_games", "2024-01")
    for _ in range(3):
        daemon.tick("run_alerts")
    assert hook.titles == ["trouble: lichess/dump_games 2024-01"]
    assert "has no file of 2024-01" in hook.messages[0]["text"]
    run = lakehouse.instance.get_runs(limit=2)[1].run_id
    assert hook.messages[0]["knightshift"]["link"] == f"http://127.0.0.1:3000/runs/{run}"
    lakehouse.write_dump("2024-02", pgn("aaaaaaa2", day="2024.02.05"))
    lakehouse.make("lichess/dump_games", "2024-02")
    daemon.tick("run_alerts")
    assert len(hook.titles) == 1, "another month is another thing"
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    for _ in range(3):
        daemon.tick("run_alerts")
    assert hook.titles[1:] == ["recovered: lichess/dump_games 2024-01"]


def test_a_run_whose_process_was_killed_is_told(lakehouse: Lakehouse, hook: Hook) -> None:
    job = lakehouse.runner._job
    since = datetime.now(UTC) - timedelta(minutes=1)
    run = lakehouse.instance.create_run_for_job(job, asset_selection=frozenset({DUMP_GAMES.key}))
    lakehouse.instance.report_run_failed(run, "The process that ran it was killed.")
    watch_of(lakehouse.settings, lakehouse.runner.assets).over_all(
        alerts_of(lakehouse.settings), lakehouse.instance, since
    )
    assert hook.titles == ["trouble: a run of lichess/dump_games"]
    assert "was killed" in hook.messages[0]["text"]


def test_a_failed_check_is_told_once_and_when_it_passes_again(lakehouse: Lakehouse, hook: Hook) -> None:
    broken = pgn("aaaaaaa1").replace("aaaaaaa1", "a")
    lakehouse.write_dump("2024-01", broken, pgn("aaaaaaa2"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert lakehouse.failed_checks() == {"lichess/dump_games:damaged_games"}
    daemon = Daemon(lakehouse)
    for _ in range(3):
        daemon.tick("check_alerts")
    assert hook.titles == ["trouble: lichess/dump_games:damaged_games"]
    assert "failed in 2024-01: a warning" in hook.messages[0]["text"]
    lakehouse.write_dump("2024-01", pgn("aaaaaaa2"))
    lakehouse.make("lichess/dump_games", "2024-01")
    for _ in range(3):
        daemon.tick("check_alerts")
    assert hook.titles[1:] == ["recovered: lichess/dump_games:damaged_games"]


def test_a_source_that_is_left_alone_is_told_and_when_it_answers_again(lakehouse: Lakehouse, hook: Hook) -> None:
    gate = Gate(lakehouse.settings.state, "lichess.org_443", SystemClock(), 60)
    daemon, state = Daemon(lakehouse), HostState()
    for _ in range(Patience().failures_to_open):
        state = state.after_failure(Patience(), SystemClock())
    with gate.turn() as turn:
        turn.save(state)
    daemon.tick("host_alerts", "host_alerts")
    assert hook.titles == ["trouble: lichess.org"]
    with gate.turn() as turn:
        turn.save(state.after_success())
    daemon.tick("host_alerts", "host_alerts")
    assert hook.titles[1:] == ["recovered: lichess.org"]


def test_a_full_disk_is_told_once_and_when_there_is_clearly_room_again(
    lakehouse: Lakehouse, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [3.0]
    monkeypatch.setattr("kshift_assets.ops.watch.shutil.disk_usage", lambda _: SimpleNamespace(free=free[0] * GB))
    daemon = Daemon(lakehouse)
    for free[0] in (3.0, 1.9, 1.8, 2.1, 1.9):
        daemon.tick("host_alerts")
    home = lakehouse.settings.home
    assert hook.titles == [f"trouble: {home}"], "no alert for each file that comes and goes"
    free[0] = 2.3
    daemon.tick("host_alerts")
    assert hook.titles[1:] == [f"recovered: {home}"]


def test_a_silent_daemon_is_told_where_one_is_meant_to_run(tmp_path: Path) -> None:
    now, minutes = datetime.now(UTC), timedelta(minutes=5)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert silent_daemons(instance, timedelta(0), now) == [], "nobody said that one is to run"
        assert silent_daemons(instance, minutes, now)[0].text == "it never gave a sign of life"
        for kind in instance.get_required_daemon_types():
            instance.add_daemon_heartbeat(DaemonHeartbeat(now.timestamp(), kind, "id", []))
        assert silent_daemons(instance, minutes, now) == []
        [alert] = silent_daemons(instance, minutes, now + timedelta(minutes=6))
    assert alert.text == f"no sign of life of it since {now:%Y-%m-%d %H:%M} UTC"


def test_a_stale_table_is_told_without_a_daemon_too(
    lakehouse: Lakehouse, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse.plugins = []
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    lakehouse.make("chess/games", "2024-01")
    lakehouse.make("marts/player_summary")
    watch = watch_of(lakehouse.settings, lakehouse.runner.assets)
    now = datetime.now(UTC)
    alerts = alerts_of(lakehouse.settings)
    watch.over_all(alerts, lakehouse.instance, now)
    assert [title for title in hook.titles if "newest_row" not in title] == []

    later = SimpleNamespace(now=lambda _: now + timedelta(hours=27), fromtimestamp=datetime.fromtimestamp)
    monkeypatch.setattr("kshift_assets.ops.watch.datetime", later)
    watch.over_all(alerts, lakehouse.instance, now)
    watch.over_all(alerts, lakehouse.instance, now)
    assert hook.titles[-1] == "trouble: marts/player_summary"
    stale = [message["knightshift"] for message in hook.messages if message["knightshift"]["kind"] == "stale"]
    assert [one["subject"] for one in stale] == ["marts/player_summary"]


def test_every_alert_is_in_the_file_too(lakehouse: Lakehouse, hook: Hook) -> None:
    gate = Gate(lakehouse.settings.state, "lichess.org_443", SystemClock(), 60)
    with gate.turn() as turn:
        turn.save(HostState(failures=9).after_failure(Patience(), SystemClock()))
    Daemon(lakehouse).tick("host_alerts")
    lines = [json.loads(line) for line in Path(lakehouse.settings.alert_file).read_text().splitlines()]
    assert [line["subject"] for line in lines] == ["lichess.org"]
    assert len(hook.titles) == 1
