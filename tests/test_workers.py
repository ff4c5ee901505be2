"""Worker processes: answers in order, errors that come back, a worker that dies."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.discovery import _executed
from resources.workers import WorkerDied, Workers


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def stumble(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def die(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


def test_answers_come_in_order_from_other_processes() -> None:
    answers = list(Workers(processes=2).map(double, range(100)))
    assert [answer for answer, _ in answers] == list(range(0, 200, 2))
    assert os.getpid() not in {process for _, process in answers}


def test_a_single_piece_is_done_here() -> None:
    assert list(Workers(processes=2).map(double, [4])) == [(8, os.getpid())]
    assert list(Workers(processes=1).map(double, [4, 5])) == [(8, os.getpid()), (10, os.getpid())]
    assert list(Workers(processes=2).map(double, [])) == []


def test_pieces_are_taken_as_they_are_needed() -> None:
    taken = []

    def pieces() -> Iterator[int]:
        for number in range(1_000):
            taken.append(number)
            yield number

    answers = Workers(processes=2).map(double, pieces())
    next(answers)
    assert len(taken) < 20
    answers.close()


def test_an_error_comes_back_as_it_was_raised() -> None:
    with pytest.raises(ValueError, match="three"):
        list(Workers(processes=2).map(stumble, range(10)))


def test_a_worker_that_dies_is_told_and_the_next_work_has_new_ones() -> None:
    workers = Workers(processes=2)
    with pytest.raises(WorkerDied, match="a worker process died"):
        list(workers.map(die, range(10)))
    assert [answer for answer, _ in workers.map(double, range(4))] == [0, 2, 4, 6]


def test_functions_of_files_that_workers_cannot_import_go_along(tmp_path: Path) -> None:
    folder = tmp_path / "strangers"
    folder.mkdir()
    (folder / "odd.py").write_text("import math\n\n\ndef root(number):\n    return math.isqrt(number)\n")
    module = _executed(folder / "odd.py")
    assert list(Workers(processes=2).map(module.root, [4, 9, 16])) == [2, 3, 4]
