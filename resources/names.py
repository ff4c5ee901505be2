"""Names, months, dates and numbers from outside: the only door through which they become URLs, paths or SQL."""

import re
from datetime import UTC, date, datetime

from resources.errors import UserError

OLDEST_MS = 1356998400070
"""The smallest `since` and `until` that Lichess takes; a smaller one is most likely in seconds."""
NEWEST_MS = 4102444800000
"""2100: a later time is most likely in microseconds."""
FIRST_YEAR = 2010
LAST_YEAR = 2099

_USER_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,28}[a-z0-9]")
_GAME_ID = re.compile(r"[A-Za-z0-9]{8}")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"-?[0-9]{1,30}")


def user_id(name: str) -> str:
    """A Lichess user name as id: lower case. Raises UserError for anything that cannot be one."""
    # ASCII first: some foreign letters, the Kelvin sign for one, turn into ASCII when lowered.
    if not name.isascii() or not _USER_ID.fullmatch(lowered := name.lower()):
        raise UserError(
            f"{name[:40]!r} is not a Lichess user name: it has 2 to 30 letters, digits, `_` or `-`, "
            "and begins and ends with a letter or digit"
        )
    return lowered


def game_id(text: str) -> str:
    """A Lichess game id, 8 letters and digits; case matters."""
    if not _GAME_ID.fullmatch(text):
        raise UserError(f"{text[:40]!r} is not a Lichess game id: it has 8 letters or digits")
    return text


def month(text: str) -> str:
    """A month, `2024-05`."""
    found = _MONTH.fullmatch(text)
    if not found or not FIRST_YEAR <= int(found[1]) <= LAST_YEAR:
        raise UserError(f"{text[:40]!r} is not a month: write it as 2024-05")
    return text


def month_span(text: str) -> tuple[int, int]:
    """The first millisecond of a month and of the next, UTC."""
    year, number = (int(part) for part in month(text).split("-"))
    first = datetime(year, number, 1, tzinfo=UTC)
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(first.timestamp()) * 1000, int(following.timestamp()) * 1000


def month_of(milliseconds: int) -> str:
    """The UTC month of a time in milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m")


def day(text: str) -> date:
    """A date, `2024-05-31`."""
    wrong = f"{text[:40]!r} is not a date: write it as 2024-05-31"
    if not _DATE.fullmatch(text):
        raise UserError(wrong)
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise UserError(wrong) from error
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise UserError(f"{text} lies outside the years {FIRST_YEAR} to {LAST_YEAR}: no game was played then")
    return found


def whole_number(value: object, what: str, least: int, most: int) -> int:
    """A whole number between two bounds, given as a number or as text; `what` names it in the error."""
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.isascii() and _NUMBER.fullmatch(value):
        number = int(value)
    if number is None or not least <= number <= most:
        raise UserError(f"{what} must be a whole number from {least} to {most}, not {str(value)[:40]!r}")
    return number


def moment_ms(value: object, what: str) -> int:
    """A time in milliseconds since 1970, as Lichess takes it; refused where it looks like seconds or microseconds."""
    try:
        return whole_number(value, what, OLDEST_MS, NEWEST_MS)
    except UserError as error:
        raise UserError(
            f"{what} must be a time in milliseconds since 1970, at least {OLDEST_MS} (the start of 2013), "
            f"not {str(value)[:40]!r}"
        ) from error


def window(since: object, until: object) -> tuple[int | None, int | None]:
    """A span of time in milliseconds, each end optional; refused where it ends before it begins."""
    start = None if since is None else moment_ms(since, "since")
    end = None if until is None else moment_ms(until, "until")
    if start is not None and end is not None and end <= start:
        raise UserError(f"until ({end}) must be later than since ({start})")
    return start, end
