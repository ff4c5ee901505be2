"""A disk that takes nothing more is told in a sentence, whatever library noticed it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Kshift
from resources.disk_errors import disk_trouble
from serving import cli


def write_to_a_full_device() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")


def fill_a_database() -> None:
    with sqlite3.connect(":memory:") as database:
        database.execute("PRAGMA max_page_count = 2")
        database.execute("CREATE TABLE t (text TEXT)")
        database.execute("INSERT INTO t VALUES (zeroblob(100000))")


def as_delta_says_it() -> None:
    raise RuntimeError("Generic LocalFileSystem error\n ↳ No space left on device (os error 28)")


def behind_another() -> None:
    try:
        fill_a_database()
    except sqlite3.Error as error:
        raise LookupError("it went wrong") from error


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (write_to_a_full_device, "No space left on device"),
        (fill_a_database, "database or disk is full"),
        (as_delta_says_it, "No space left on device"),
        (behind_another, "database or disk is full"),
    ],
)
def test_the_disk_s_own_words_are_found(
    work: Callable[[], None], told: str, kshift_here: Kshift, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # each library has its own
        work()
    assert disk_trouble(raised.value) == told
    monkeypatch.setattr(cli, "app", work)
    found = kshift_here("ingest")
    assert found.returncode == 1
    assert found.stderr.startswith(f"kshift: the disk takes nothing more ({told})")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file"), sqlite3.OperationalError("no such table: t")])
def test_other_errors_are_none_of_the_disk(error: Exception) -> None:
    assert disk_trouble(error) is None
