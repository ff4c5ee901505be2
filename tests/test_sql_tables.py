"""Answers as people read them: aligned in a pipe, and one line a value where a terminal is too narrow for a row."""

import io
from datetime import UTC, datetime

import pytest

from serving.sql import Answer, write

WIDE = [f"n_column_{number}" for number in range(12)]


class Terminal(io.StringIO):
    """Text that somebody looks at."""

    def isatty(self) -> bool:
        return True


def written(columns: list[str], *rows: tuple[object, ...], out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    write(Answer(columns, iter(rows)), "table", out)
    return out.getvalue()


def test_a_pipe_gets_every_name_and_value_whole() -> None:
    found = written(WIDE, tuple(range(100_000, 100_012)))
    assert found.split()[:12] == WIDE
    assert found.split()[-12:] == [str(number) for number in range(100_000, 100_012)]


def test_a_row_that_does_not_fit_a_terminal_is_shown_a_value_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")  # no codes between the words
    lines = written(WIDE, tuple(range(100_000, 100_012)), out=Terminal()).splitlines()
    assert any(line.split() == ["n_column_11", "100011"] for line in lines)
    assert max(map(len, lines)) <= 80


def test_numbers_stand_to_the_right_and_times_have_no_microseconds() -> None:
    moment = datetime(2024, 1, 5, 12, 0, 0, 250_000, tzinfo=UTC)
    lines = written(["name", "share", "made"], ("anna", 2 / 3, moment), ("b", 12.5, None)).splitlines()
    first, second = (next(line for line in lines if name in line) for name in ("anna", " b "))
    assert "0.6667" in first
    assert "2024-01-05 12:00:00 " in first
    assert first.index("0.6667") + len("0.6667") == second.index("12.5") + len("12.5")


def test_what_looks_like_markup_is_shown_as_it_is() -> None:
    assert "[red]x[/]" in written(["[b]"], ("[red]x[/]",))


def test_only_the_first_thousand_rows_are_shown_and_it_says_so() -> None:
    found = written(["n"], *((number,) for number in range(1_001)))
    assert "Only the first 1,000 rows are shown" in found
    assert "Only the first" not in written(["n"], *((number,) for number in range(1_000)))
