"""The gate and the breaker: what several processes, several hosts and unreliable clocks do to them."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from asking import EXPORT
from clocks import HandClock
from hypothesis import given
from hypothesis import strategies as st

from resources.breaker import HostState, Patience
from resources.clock import Span, SystemClock
from resources.gate import Gate
from resources.http import Access, PoliteClient
from serving.replay import ReplayServer
from serving.replay_stage import Manners
from worlds import hasty, world

PATIENCE = Patience()


def asking(url: str, state: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("asking.py")), url, str(state), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_of_four_processes_that_ask_and_three_that_are_killed_never_two_are_in_flight(tmp_path: Path) -> None:
    chance = random.Random(11)  # the same kills each time
    manners = Manners(is_one_at_a_time=True, games_per_second=400)
    with ReplayServer(world(50), manners=manners) as server:
        processes = [asking(server.url, tmp_path, 40) for _ in range(4)]
        for doomed in processes[:3]:
            assert doomed.stdout
            for _ in range(chance.randint(1, 12)):
                doomed.stdout.readline()
            time.sleep(chance.uniform(0, 0.01))
            os.kill(doomed.pid, signal.SIGKILL)
        said, _ = processes[3].communicate(timeout=60)
        for process in processes[:3]:
            process.communicate()
        asked = server.ledger.asked
    assert said.split() == ["5"] * 40
    assert server.ledger.together == []
    assert {one.status for one in asked} == {200}
    assert len(asked) > 43


def test_threads_with_clients_of_their_own_take_turns(tmp_path: Path) -> None:
    with ReplayServer(world(50), manners=Manners(games_per_second=500)) as server:

        def ask() -> None:
            with PoliteClient(server.url, source="x", state=tmp_path, access=Access(limits=hasty())) as client:
                for _ in range(5):
                    client.ask(EXPORT, lambda response: list(response.lines()))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.ledger.asked) == 20
        assert server.ledger.together == []


def test_without_the_gate_the_ledger_sees_requests_together(tmp_path: Path) -> None:
    """The guard removed: each thread has a gate of its own, and the oracle notices."""
    with ReplayServer(world(50), manners=Manners(games_per_second=100)) as server:

        def ask(folder: Path) -> None:
            with PoliteClient(server.url, source="x", state=folder, access=Access(limits=hasty())) as client:
                client.ask(EXPORT, lambda response: list(response.lines()))

        threads = [threading.Thread(target=ask, args=(tmp_path / str(number),)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.ledger.together


def test_a_host_never_waits_for_another(tmp_path: Path) -> None:
    clock = SystemClock()
    first, second = Gate(tmp_path, "one.example_443", clock, 60), Gate(tmp_path, "two.example_443", clock, 60)
    with first.turn(), second.turn() as turn:
        assert turn.state == HostState()


def test_the_turn_is_free_again_when_the_block_fails(tmp_path: Path) -> None:
    gate = Gate(tmp_path, "one.example_443", SystemClock(), 60)
    with pytest.raises(KeyError), gate.turn():
        raise KeyError
    with gate.turn():
        pass


def test_a_host_name_cannot_leave_the_state_folder(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "state", "../../etc/passwd", SystemClock(), 60)
    with gate.turn():
        pass
    assert {path.parent.name for path in tmp_path.rglob("*.lock")} == {"state"}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"quiet": 5}', '{"colour": "red"}', "\x00" * 100])
def test_an_unreadable_state_counts_as_a_fresh_429(tmp_path: Path, text: str) -> None:
    clock = HandClock()
    gate = Gate(tmp_path, "one.example_443", clock, 60)
    with gate.turn() as turn:
        turn.save(HostState(failures=1))
    (file,) = tmp_path.glob("*.json")
    file.write_text(text)
    with gate.turn() as turn:
        assert turn.state.quiet_left(clock) == 60
    clock.pass_time(59)
    assert gate.state().quiet_left(clock) == 1
    clock.pass_time(1)
    assert gate.state().quiet_left(clock) == 0


@pytest.mark.parametrize("hour", [-3600.0, 3600.0, -10 * 365 * 86400.0])
def test_a_wall_clock_that_is_set_changes_no_silence(tmp_path: Path, hour: float) -> None:
    clock = HandClock()
    gate = Gate(tmp_path, "one.example_443", clock, 60)
    with gate.turn() as turn:
        turn.save(HostState().after_refusal(PATIENCE, clock, None))
    clock.pass_time(20)
    clock.set_wall(hour)
    assert gate.state().quiet_left(clock) == 40


def test_after_a_restart_of_the_machine_a_silence_begins_again_once(tmp_path: Path) -> None:
    """What passed before is not known then: never less than promised, and not for ever."""
    clock = HandClock()
    gate = Gate(tmp_path, "one.example_443", clock, 60)
    with gate.turn() as turn:
        turn.save(HostState().after_refusal(PATIENCE, clock, None))
    clock.restart(after=30)
    with gate.turn() as turn:
        assert turn.state.quiet_left(clock) == 60
    clock.pass_time(45)
    with gate.turn() as turn:
        assert turn.state.quiet_left(clock) == 15


def test_where_no_boot_id_tells_a_restart_never_shortens_a_silence() -> None:
    clock = HandClock(boot_id="")
    span = Span.starting(clock, 60)
    clock.restart(after=0)
    clock.boot_id = ""
    assert span.left(clock) == 60 - clock.steady_now


def test_silences_double_up_to_an_hour_and_start_anew_after_a_calm_time() -> None:
    clock, state, lengths = HandClock(), HostState(), []
    for _ in range(9):
        state = state.after_refusal(PATIENCE, clock, None)
        lengths.append(state.quiet_left(clock))
        clock.pass_time(state.quiet_left(clock) + 1)
        state = state.after_success()
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    clock.pass_time(601)
    assert state.after_refusal(PATIENCE, clock, None).quiet_left(clock) == 60


@pytest.mark.parametrize(("named", "kept"), [(None, 60), (5.0, 60), (90.0, 90), (40_000.0, 40_000)])
def test_a_named_silence_counts_where_it_is_longer(named: float | None, kept: float) -> None:
    clock = HandClock()
    assert HostState().after_refusal(PATIENCE, clock, named).quiet_left(clock) == kept


def test_the_breaker_opens_at_the_fifth_failure_and_its_pause_doubles_with_each_failed_probe() -> None:
    clock, state = HandClock(), HostState()
    for _ in range(4):
        state = state.after_failure(PATIENCE, clock)
        assert state.pause_left(clock) == 0
    pauses = []
    for _ in range(6):
        state = state.after_failure(PATIENCE, clock)
        pauses.append(state.pause_left(clock))
        clock.pass_time(state.pause_left(clock))
    assert pauses == [300, 600, 1200, 2400, 3600, 3600]
    assert state.after_success().failures == 0
    assert state.after_success().after_failure(PATIENCE, clock).pause_left(clock) == 0


@given(st.lists(st.tuples(st.sampled_from(["good", "failed", "refused", "named"]), st.floats(0, 5000)), max_size=60))
def test_whatever_happens_no_wait_is_shorter_than_promised_or_longer_than_an_hour(
    events: list[tuple[str, float]],
) -> None:
    clock, state = HandClock(), HostState()
    promised_until = 0.0
    for event, pause in events:
        before = state.quiet_left(clock)
        match event:
            case "good":
                state = state.after_success()
            case "failed":
                state = state.after_failure(PATIENCE, clock)
            case _:
                named = 600.0 if event == "named" else None
                state = state.after_refusal(PATIENCE, clock, named)
                promised_until = max(promised_until, clock.steady() + max(60.0, named or 0.0))
        assert state.quiet_left(clock) >= promised_until - clock.steady() - 1e-6
        assert state.quiet_left(clock) >= before - 1e-6
        assert state.quiet_left(clock) <= 3600 + 1e-6
        assert state.pause_left(clock) <= 3600 + 1e-6
        clock.pass_time(pause)
