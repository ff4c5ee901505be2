"""The chess engine: found or told missing in a sentence, asked for positions, started anew when it breaks."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import chess
import pytest

from resources.engine import MOST_FAILURES, Answer, Engine, EngineBroken, NoAnswer
from resources.errors import UserError
from tests.engines import STOCKFISH, Scripted, needs_stockfish, scripted

START = chess.STARTING_FEN
KING_AND_ROOK = "4k3/8/8/8/8/8/8/R3K3 w - - 0 1"
BLACK_TO_MOVE = "4k3/8/8/8/8/8/8/R3K3 b - - 0 1"
RUY_LOPEZ = "e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O Be7 Re1 b5 Bb3 d6 c3 O-O h3 Nb8 d4 Nbd7"
FENS = [START, KING_AND_ROOK, BLACK_TO_MOVE]


@pytest.fixture
def engine(tmp_path: Path) -> Scripted:
    return scripted(tmp_path / "engine")


def ask(engine: Scripted, *fens: str, workers: int = 1, timeout_s: float = 20) -> dict[str, Answer | NoAnswer]:
    with Engine(command=str(engine.path), workers=workers, timeout_s=timeout_s).crew() as crew:
        return crew.ask(fens)


def alive(command: Path) -> list[int]:
    """Processes that run this program."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(command) in (folder / "cmdline").read_bytes().decode().split("\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_an_answer_is_seen_by_white_and_names_the_best_move(engine: Scripted) -> None:
    answers = ask(engine, *FENS)
    assert answers == {
        START: Answer(0, None, "a2a3"),
        KING_AND_ROOK: Answer(500, None, "a1a2"),
        BLACK_TO_MOVE: Answer(500, None, "e8d7"),
    }


def test_a_mate_is_seen_by_white_too(engine: Scripted) -> None:
    engine.order("mate R3K3")
    answers = ask(engine, KING_AND_ROOK, BLACK_TO_MOVE)
    assert [(answer.cp, answer.mate) for answer in answers.values()] == [(None, 2), (None, -2)]


def test_a_position_is_asked_once_however_often_it_is_wanted(engine: Scripted) -> None:
    assert len(ask(engine, START, START, KING_AND_ROOK, START, workers=2)) == 2
    assert sorted(engine.searched) == sorted([START, KING_AND_ROOK])


def test_as_many_processes_as_workers_and_no_more_than_positions(engine: Scripted) -> None:
    engine.order("slow R3K3", "slow RNBQKBNR")
    ask(engine, *FENS, workers=2)
    assert engine.n_starts == 2
    ask(engine, START, workers=4)
    assert engine.n_starts == 3


def test_each_process_has_one_thread_and_little_memory(engine: Scripted) -> None:
    ask(engine, START)
    assert {line for line in engine.log if line.startswith("option")} >= {"option Hash value 8"}


def test_nothing_to_ask_starts_nothing(engine: Scripted) -> None:
    assert ask(engine) == {}
    assert engine.n_starts == 0


def test_no_process_is_left_behind(engine: Scripted) -> None:
    engine.order("hang R3K3")
    ask(engine, *FENS, workers=2, timeout_s=0.5)
    assert alive(engine.path) == []


def test_a_crash_is_healed_by_a_second_try_in_a_new_process(engine: Scripted) -> None:
    engine.order("once-crash R3K3 w")
    assert ask(engine, *FENS)[KING_AND_ROOK] == Answer(500, None, "a1a2")
    assert engine.n_starts == 2
    assert engine.searched.count(KING_AND_ROOK) == 2


@pytest.mark.parametrize("fault", ["crash", "hang", "illegal", "mute"])
def test_what_breaks_twice_is_told_of_that_position_alone(engine: Scripted, fault: str) -> None:
    engine.order(f"{fault} R3K3 w")
    answers = ask(engine, *FENS, timeout_s=1.5)
    assert isinstance(answers[KING_AND_ROOK], NoAnswer)
    assert KING_AND_ROOK in answers[KING_AND_ROOK].reason
    assert (answers[START], answers[BLACK_TO_MOVE]) == (Answer(0, None, "a2a3"), Answer(500, None, "e8d7"))
    assert engine.searched.count(KING_AND_ROOK) == 2


def test_a_hang_costs_its_timeout_and_no_more(engine: Scripted) -> None:
    engine.order("hang R3K3 w")
    started = time.monotonic()
    ask(engine, *FENS, timeout_s=1.5)
    assert 3 < time.monotonic() - started < 30


class Interrupted(BaseException):
    """As Dagster raises when a run is to end."""


@pytest.mark.parametrize("engine_dies_too", [False, True])
def test_an_interrupt_ends_the_work_and_its_processes_at_once(engine: Scripted, *, engine_dies_too: bool) -> None:
    engine.order("hang")

    def interrupt() -> None:
        if engine_dies_too:
            for process in alive(engine.path):
                os.kill(process, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGUSR1)

    def end(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, end)
    timer = threading.Timer(2, interrupt)
    timer.start()
    started = time.monotonic()
    try:
        with pytest.raises(Interrupted):
            ask(engine, *FENS, workers=2, timeout_s=600)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - started < 60
    assert alive(engine.path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help that this needs is Linux's")
def test_a_hung_engine_does_not_outlive_who_was_killed(engine: Scripted) -> None:
    engine.order("hang")
    code = (
        "from resources.engine import Engine\n"
        f"with Engine(command={str(engine.path)!r}, workers=2, timeout_s=600).crew() as crew: crew.ask({FENS!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as master:
        wait_until(lambda: len(engine.searched) == 2)
        assert len(alive(engine.path)) == 2
        master.kill()
    wait_until(lambda: alive(engine.path) == [])


def wait_until(done: Callable[[], bool]) -> None:
    """Half a minute at most."""
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_a_mere_bound_does_not_count(engine: Scripted) -> None:
    engine.order("bound RNBQKBNR")
    assert ask(engine, START)[START] == Answer(0, None, "a2a3")


def test_an_engine_that_fails_everywhere_stops_the_work(engine: Scripted) -> None:
    engine.order("crash k")
    fens = [f"4k3/8/8/8/8/8/8/R3K3 w - - {clock} 1" for clock in range(3 * MOST_FAILURES)]
    with pytest.raises(EngineBroken, match="KSHIFT_ENGINE") as caught:
        ask(engine, *fens)
    assert "\n" not in str(caught.value)
    assert len(set(engine.searched)) == MOST_FAILURES


def test_its_name_is_what_it_says(engine: Scripted) -> None:
    assert Engine(command=str(engine.path)).identity() == "Scripted 1.0"


def test_a_name_is_looked_for_on_the_path(engine: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(engine.path.parent), prepend=":")
    assert Engine(command="engine").find() == engine.path


def test_a_missing_engine_is_told_in_a_sentence_with_the_remedy(
    engine: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("resources.engine.FOLDERS", (str(tmp_path),))
    with pytest.raises(UserError, match=r"install Stockfish .* or name a UCI engine with KSHIFT_ENGINE"):
        Engine().find()
    with pytest.raises(UserError, match="KSHIFT_ENGINE: there is no program 'stackfish' on the path"):
        Engine(command="stackfish").find()
    with pytest.raises(UserError, match=r"KSHIFT_ENGINE: there is no file .*/nothing: give"):
        Engine(command=str(tmp_path / "nothing")).find()
    engine.path.chmod(stat.S_IRUSR)
    with pytest.raises(UserError, match=r"KSHIFT_ENGINE: .*/engine is not executable: run chmod \+x"):
        Engine(command=str(engine.path)).find()


@pytest.mark.parametrize("text", ["#!/bin/cat\n", "not a program", "#!/bin/true\n"])
def test_a_program_that_is_no_engine_is_told_too(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.engine.START_S", 1)
    program = tmp_path / "program"
    program.write_text(text)
    program.chmod(0o755)
    with pytest.raises(UserError, match=r"does not answer as a UCI engine .*: name another"):
        Engine(command=str(program)).identity()
    assert alive(program) == []


@needs_stockfish
def test_stockfish_is_found_and_says_the_same_in_any_order_and_number_of_processes() -> None:
    fens = list(_positions(RUY_LOPEZ))
    engine = Engine(nodes=5_000)
    assert engine.identity().startswith("Stockfish")
    assert os.fspath(engine.find()) == STOCKFISH
    answers = []
    for workers, order in [(1, fens), (2, fens[::-1]), (2, fens[5:] + fens[:5])]:
        with Engine(nodes=5_000, workers=workers).crew() as crew:
            answers.append(crew.ask(order))
    assert answers[0] == answers[1] == answers[2]
    assert all(abs(answer.cp) < 150 for answer in answers[0].values()), "an even opening"


@needs_stockfish
def test_stockfish_sees_a_mate_and_whose_it_is() -> None:
    white_mates = "7k/8/5KQ1/8/8/8/8/8 w - - 0 1"
    black_mates = "7K/8/5kq1/8/8/8/8/8 b - - 0 1"
    with Engine(nodes=5_000).crew() as crew:
        answers = crew.ask([white_mates, black_mates])
    assert answers[white_mates].mate == 1
    assert answers[black_mates].mate == -1
    board = chess.Board(white_mates)
    board.push_uci(answers[white_mates].best)
    assert board.is_checkmate()


def _positions(moves: str) -> Iterator[str]:
    board = chess.Board()
    yield board.fen()
    for san in moves.split():
        board.push_san(san)
        yield board.fen()
