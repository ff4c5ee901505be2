"""Names, months, dates and numbers from outside: what is let in, and that nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import names
from resources.errors import UserError

HOSTILE = [
    *("", "a", "x" * 31, "../../etc/passwd", "..%2f", "a/b", "C:", "a'--", "*", "a b", "a\n", "\na", "a\x00b"),
    *(
        "\u00dcnal",
        "\u0430lice",
        "\u0130stanbul",
        "\u212aing",
        "\ufb01sher",
        "a\u2028b",
        "-ab",
        "ab_",
        "a%b",
        "a?b",
        "a#b",
        "é" * 5,
    ),
    "__HIVE_DEFAULT_PARTITION__",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_user_name_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="is not a Lichess user name: it has 2 to 30"):
        names.user_id(text)


@pytest.mark.parametrize(
    ("typed", "known"), [("AliceTheThird", "alicethethird"), ("a_-b", "a_-b"), ("42", "42"), ("x" * 30, "x" * 30)]
)
def test_a_user_name_becomes_its_id(typed: str, known: str) -> None:
    assert names.user_id(typed) == known


@given(st.text(max_size=40))
def test_a_user_name_that_is_let_in_holds_nothing_a_path_or_query_could_misread(text: str) -> None:
    try:
        known = names.user_id(text)
    except UserError:
        return
    assert set(known) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert 2 <= len(known) <= 30
    assert known == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "2024-13",
        "2024-00",
        "2024-1",
        "24-01",
        "2024-05\n",
        "../..",
        "1999-05",
        "\u0662\u0660\u0662\u0664-\u0660\u0665",
    ],
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a month: write it as 2024-05"):
        names.month(text)


@pytest.mark.parametrize(
    ("month", "first", "following"),
    [
        ("2024-02", 1706745600000, 1709251200000),  # date -u -d 2024-02-01 +%s, and of 2024-03-01
        ("2023-12", 1701388800000, 1704067200000),
    ],
)
def test_a_month_spans_to_the_first_millisecond_of_the_next(month: str, first: int, following: int) -> None:
    assert names.month_span(month) == (first, following)
    assert names.month_of(first) == month
    assert names.month_of(following - 1) == month
    assert names.month_of(following) != month


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2024-2-3", "20240203", "2024-02-03T00:00", "0001-01-01", "9999-01-01", "today"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        names.day(text)


@pytest.mark.parametrize(
    "value",
    [
        1709251200,
        0,
        -1,
        2**63,
        float("nan"),
        float("inf"),
        "NaN",
        "1e12",
        1709251200000000,
        True,
        None,
        "",
        "\uff11709251200000",
    ],
)
def test_a_time_that_is_not_in_milliseconds_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="must be a time in milliseconds since 1970"):
        names.moment_ms(value, "since")


def test_a_time_is_taken_as_a_number_or_as_text() -> None:
    assert names.moment_ms(1709251200000, "since") == names.moment_ms("1709251200000", "since") == 1709251200000


@pytest.mark.parametrize("until", [1709251199999, 1709251200000])
def test_a_window_that_ends_before_it_begins_is_refused(until: int) -> None:
    with pytest.raises(UserError, match="must be later than since"):
        names.window(1709251200000, until)


@pytest.mark.parametrize("value", [0, 301, -5, 2.0, "7.5", "\u0661\u0662", "0x10", False, "9" * 5000])
def test_a_number_outside_its_bounds_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="the number of games must be a whole number from 1 to 300"):
        names.whole_number(value, "the number of games", 1, 300)


@pytest.mark.parametrize("text", ["abcdefg", "abcdefghi", "abc/efgh", "abcdefg\n", "абвгдежз", ""])
def test_what_is_no_game_id_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a Lichess game id"):
        names.game_id(text)
