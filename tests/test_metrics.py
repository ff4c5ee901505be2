"""The exporter for Prometheus: numbers that are true, go on after a restart, and come while other things are broken."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import dagster as dg
import httpx
import pytest
from filelock import FileLock
from prometheus_client.core import GaugeMetricFamily

from commands import KSHIFT, Kshift, Processes
from kshift_assets.chess.game_store import store_fetches
from kshift_assets.chess.ingestion import pull_players
from kshift_assets.chess.tables import DUMP_GAMES, FETCHES
from kshift_assets.chess.tracking import say
from kshift_assets.liveness import TAG
from kshift_assets.ops.history import note_runs
from lakehouse import Lakehouse, pgn
from resources.breaker import HostState, Patience
from resources.clock import SystemClock
from resources.exchange import Fetch, new_id
from resources.gate import Gate
from scraping import exporter, numbers_in, scrape, text_of
from serving.metrics import Exporter, Part
from serving.replay import ReplayServer
from worlds import analysed, lichess, world

MOMENT = datetime(2024, 3, 5, tzinfo=UTC)
SECRET = "lip_" + "hushhush" * 4  # pragma: allowlist secret


@pytest.fixture
def stored(lakehouse_on_disk: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> Lakehouse:
    """A lakehouse without analytics."""
    monkeypatch.setattr("kshift_assets.definitions.discover", lambda *_, **__: [])
    lakehouse_on_disk.plugins = []
    return lakehouse_on_disk


def fetch(n_duration_ms: int, n_status: int | None = 200) -> Fetch:
    return Fetch(new_id(MOMENT), "lichess", "GET /api/games", MOMENT, n_status, 2, 1_000, n_duration_ms, None)


def test_where_nothing_is_yet_every_part_answers(stored: Lakehouse) -> None:
    numbers = scrape(exporter(stored.settings))
    assert numbers["kshift_snapshot_published_timestamp_seconds"] == 0
    assert numbers['kshift_games_ingested_total{source="player"}'] == 0
    assert numbers['kshift_runs_finished_total{status="failure"}'] == 0
    assert numbers['kshift_oldest_run_age_seconds{state="working"}'] == 0
    assert not [name for name in numbers if name.startswith("kshift_table_rows")]


def test_requests_are_counted_once_also_after_a_restart_and_when_their_files_are_merged(stored: Lakehouse) -> None:
    first = exporter(stored.settings)
    store_fetches(stored.lake, [fetch(50), fetch(51), fetch(100, 429)])
    assert scrape(first)['kshift_requests_total{source="lichess",status="200"}'] == 2
    store_fetches(stored.lake, [fetch(2_000_000, None)])
    expected = {
        'kshift_requests_total{source="lichess",status="200"}': 2,
        'kshift_requests_total{source="lichess",status="429"}': 1,
        'kshift_requests_total{source="lichess",status="none"}': 1,
        'kshift_request_duration_seconds_bucket{le="0.05",source="lichess"}': 1,
        'kshift_request_duration_seconds_bucket{le="0.1",source="lichess"}': 3,
        'kshift_request_duration_seconds_bucket{le="900.0",source="lichess"}': 3,
        'kshift_request_duration_seconds_bucket{le="+Inf",source="lichess"}': 4,
        'kshift_request_duration_seconds_count{source="lichess"}': 4,
        'kshift_request_duration_seconds_sum{source="lichess"}': 2_000.201,
        'kshift_response_bytes_total{source="lichess"}': 4_000,
        'kshift_response_records_total{source="lichess"}': 8,
    }
    for _ in range(2):
        assert scrape(first).items() >= expected.items()
    assert scrape(exporter(stored.settings)).items() >= expected.items()
    assert stored.lake.compact(FETCHES.full_name, "2024-03")
    assert scrape(first).items() >= expected.items()
    assert scrape(first)['kshift_table_files{table="lichess.fetches"}'] == 1


def test_games_and_players_are_counted_as_the_source_has_them(stored: Lakehouse) -> None:
    sample = world(12, players=("alice_a", "carol_c"))
    say(stored.lake, ["alice_a", "carol_c", "dora_d", "nobody_n"], tracked=True)
    one = exporter(stored.settings)
    before = time.time()
    with ReplayServer(sample) as server:
        source = lichess(server.url, stored.settings.state)
        pull_players(stored.lake, source, ["alice_a", "carol_c", "nobody_n"])
        assert scrape(one)['kshift_games_updated_total{source="player"}'] == 0
        changed = next(iter(sample.games.values()))
        sample.add(analysed(changed))
        pull_players(stored.lake, source, ["alice_a", "carol_c"])
        n_asked = len(server.ledger.asked)
    text = text_of(one)
    numbers = numbers_in(text)
    assert numbers['kshift_games_ingested_total{source="player"}'] == 24
    assert numbers['kshift_games_updated_total{source="player"}'] == 1
    assert numbers['kshift_request_duration_seconds_count{source="lichess"}'] == n_asked
    states = {state: numbers[f'kshift_followed_players{{state="{state}"}}'] for state in ("done", "gone", "never")}
    assert states == {"done": 2, "gone": 1, "never": 1}
    assert before - 1 < numbers["kshift_cursor_oldest_timestamp_seconds"] < time.time()
    port = server.url.rpartition(":")[2]
    assert numbers[f'kshift_circuit_open{{host="127.0.0.1:{port}"}}'] == 0
    for name in ("alice_a", "carol_c", "dora_d", "nobody_n", "bob-b"):
        assert name not in text, "names are nobody else's business, and would be labels without end"


def test_a_dump_shows_in_tables_games_checks_and_freshness(stored: Lakehouse) -> None:
    damaged = pgn("aaaaaaa2").replace("aaaaaaa2", "a")
    stored.write_dump("2024-01", pgn("aaaaaaa1"), damaged, pgn("aaaaaaa3", white="<b>"))
    before = time.time()
    stored.make("lichess/dump_games", "2024-01")
    stored.make("chess/games", "2024-01")
    numbers = scrape(exporter(stored.settings))
    assert numbers['kshift_games_ingested_total{source="dump"}'] == 3
    assert numbers['kshift_games{source="dump"}'] == 1
    assert numbers['kshift_games_rejected{source="dump"}'] == 2
    assert numbers['kshift_table_rows{table="chess.games"}'] == 1
    [file] = (Path(stored.settings.lake_uri) / "chess" / "games").rglob("*.parquet")
    assert numbers['kshift_table_bytes{table="chess.games"}'] == file.stat().st_size
    assert before < numbers['kshift_asset_materialized_timestamp_seconds{asset="chess/games"}'] < time.time()
    hours = stored.settings.fresh_hours
    assert numbers['kshift_asset_freshness_limit_seconds{asset="marts/player_summary"}'] == hours * 3_600
    failed = {name for name, value in numbers.items() if name.startswith("kshift_failed_checks") and value}
    assert 'kshift_failed_checks{asset="lichess/dump_games",blocking="false",check="damaged_games"}' in failed


def test_runs_and_steps_are_counted_once_whether_the_instance_still_has_them_or_not(stored: Lakehouse) -> None:
    one = exporter(stored.settings)
    stored.make("lichess/dump_games", "2024-01")  # there is no such file
    stored.write_dump("2024-02", pgn("aaaaaaa1", day="2024.02.05"))
    stored.make("lichess/dump_games", "2024-02")
    expected = {
        'kshift_runs_finished_total{status="failure"}': 1,
        'kshift_runs_finished_total{status="success"}': 1,
        'kshift_steps_total{status="failure",step="lichess/dump_games"}': 1,
        'kshift_steps_total{status="success",step="lichess/dump_games"}': 1,
        'kshift_step_duration_seconds_count{step="lichess/dump_games"}': 2,
        'kshift_step_rows_total{step="lichess/dump_games"}': 1,
        'kshift_failing_steps{step="lichess/dump_games"}': 1,
    }
    assert scrape(one).items() >= expected.items()
    note_runs(stored.lake, stored.instance)
    assert scrape(one).items() >= expected.items()
    assert scrape(exporter(stored.settings)).items() >= expected.items()
    for run in stored.instance.get_runs():
        stored.instance.delete_run(run.run_id)
    assert scrape(one).items() >= expected.items()
    stored.write_dump("2024-01", pgn("aaaaaaa1"))
    stored.make("lichess/dump_games", "2024-01")
    for each in (one, exporter(stored.settings)):
        numbers = scrape(each)
        assert numbers['kshift_failing_steps{step="lichess/dump_games"}'] == 0, "the same month succeeded"
        assert numbers['kshift_runs_finished_total{status="success"}'] == 2


def test_a_run_counts_as_killed_once_its_process_is_dead(stored: Lakehouse) -> None:
    one, folder = exporter(stored.settings), stored.settings.dagster_home / "processes"
    folder.mkdir(exist_ok=True)

    def start(process: str) -> None:
        run = stored.instance.create_run_for_job(
            stored.runner._job, asset_selection=frozenset({DUMP_GAMES.key}), tags={TAG: process}
        )
        stored.instance.handle_new_event(_started(run.run_id, run.job_name))

    sign = FileLock(folder / "here")
    with sign:
        start("here")
        start("of-another-machine")
        numbers = scrape(one)
        assert numbers["kshift_killed_runs"] == 0
        assert numbers['kshift_unfinished_runs{status="started"}'] == 2
        assert numbers['kshift_oldest_run_age_seconds{state="working"}'] > 0
    assert scrape(one)["kshift_killed_runs"] == 1


def _started(run_id: str, job: str) -> dg.EventLogEntry:
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job)
    return dg.EventLogEntry(None, "debug", "", run_id, time.time(), job_name=job, dagster_event=event)


def test_a_source_that_is_left_alone_shows(stored: Lakehouse) -> None:
    gate, state, clock = Gate(stored.settings.state, "lichess.org_443", SystemClock(), 60), HostState(), SystemClock()
    for _ in range(Patience().failures_to_open):
        state = state.after_refusal(Patience(), clock, None)
    with gate.turn() as turn:
        turn.save(state)
    with Gate(stored.settings.state, "lichess.org_8080", clock, 60).turn():
        pass
    numbers = scrape(exporter(stored.settings))
    assert numbers['kshift_circuit_open{host="lichess.org:8080"}'] == 0
    assert numbers['kshift_circuit_open{host="lichess.org:443"}'] == 1
    assert numbers['kshift_circuit_failures{host="lichess.org:443"}'] == 5
    assert 0 < numbers['kshift_quiet_seconds{host="lichess.org:443"}'] <= 3_600


def test_what_cannot_be_read_is_told_once_and_the_rest_is_answered(stored: Lakehouse) -> None:
    store_fetches(stored.lake, [fetch(50)])
    told: list[str] = []
    one = exporter(stored.settings)
    one._tell = told.append
    runs = stored.settings.dagster_home / "history" / "runs.db"
    whole = runs.read_bytes()
    scrape(one)
    runs.write_bytes(b"no database at all" * 1_000)
    for _ in range(2):
        numbers = numbers_in(text_of(one))
        assert numbers['kshift_scrape_ok{part="runs"}'] == 0
        assert numbers['kshift_scrape_ok{part="requests"}'] == 1
        assert numbers['kshift_requests_total{source="lichess",status="200"}'] == 1
        assert not [name for name in numbers if name.startswith("kshift_runs")]
    assert len([text for text in told if text.startswith("runs cannot be read: ")]) == 1
    runs.write_bytes(whole)
    assert scrape(one)['kshift_runs_finished_total{status="success"}'] == 0
    assert told[-1].endswith("can be read again")


def test_what_hangs_holds_up_nothing_else() -> None:
    hangs = Event()

    def never() -> Iterator[GaugeMetricFamily]:
        hangs.wait()
        yield GaugeMetricFamily("kshift_late", "Late", value=1)

    def at_once() -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("kshift_prompt", "Prompt", value=1)

    told: list[str] = []
    one = Exporter([Part("late", never), Part("prompt", at_once)], told.append, patience=0.2)
    numbers = numbers_in(text_of(one))
    assert (numbers['kshift_scrape_ok{part="late"}'], numbers["kshift_prompt"]) == (0, 1)
    assert "kshift_late" not in numbers
    assert told == ["late cannot be read: it takes too long"]
    hangs.set()
    one._looks["late"].thread.join()
    one._patience = 60
    assert numbers_in(text_of(one))["kshift_late"] == 1


def test_secrets_are_nowhere(stored: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KSHIFT_LICHESS_TOKEN": SECRET,
        "KSHIFT_ALERT_WEBHOOK": "https://hooks.example.org/hushhush",
        "KSHIFT_CELERY_BROKER": "redis://:hushhush@127.0.0.1:6379/0",
    }.items():
        monkeypatch.setenv(name, value)
    one = exporter(stored.settings)
    one._parts = [*one._parts, Part("broken", _refuse)]
    told: list[str] = []
    one._tell = told.append
    assert "hushhush" not in text_of(one)
    assert told == ["broken cannot be read: RuntimeError: *** is wrong"]


def _refuse() -> Iterator[GaugeMetricFamily]:
    raise RuntimeError(f"{SECRET} is wrong")


def test_the_daemons_signs_of_life_are_told_where_one_is_meant_to_run(
    stored: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSHIFT_DAEMON_SILENT_MINUTES", "5")
    numbers = scrape(exporter(stored.settings))
    assert numbers["kshift_daemon_silence_limit_seconds"] == timedelta(minutes=5).total_seconds()
    assert numbers['kshift_daemon_heartbeat_timestamp_seconds{daemon="sensor"}'] == 0


def test_the_command_answers_on_loopback_until_it_is_told_to_end(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    processes = Processes()
    environment = {"PATH": os.environ["PATH"], "KSHIFT_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    process = processes.begin([*KSHIFT, "metrics", "--port", str(port)], environment)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert f"http://127.0.0.1:{port}/metrics" in said
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=60)
        assert answer.status_code == 200
        assert "kshift_build_info" in answer.text
        listening = subprocess.run(
            [sys.executable, "-c", "print(open('/proc/net/tcp').read(), open('/proc/net/tcp6').read())"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        bound = {line.split()[1].split(":")[0] for line in listening.splitlines() if f":{port:04X} " in line[:40]}
        assert "0100007F" in bound
        assert not any(set(address) == {"0"} for address in bound)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        processes.end()


def test_a_taken_port_is_refused_in_a_sentence(kshift_here: Kshift) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = kshift_here("metrics", "--port", str(port))
    assert found.returncode == 2
    assert f"127.0.0.1:{port} cannot be used" in found.stderr
