"""JSON byte by byte, for compiled readers: what is here passes is valid, what is valid but unusual is refused.

Refused are escapes of Unicode, line breaks, exponents and very long numbers: such a text is for a whole parser to read.
Every function takes the place at which something begins and gives the one behind it, or REFUSED; PADDING zero bytes
stand behind the text, and a zero is refused everywhere.
"""

from kshift_assets.chess.pgn_bytes import HIGHS, ONES, Bytes, below, byte_at, first_mark, marks_of, word_at, word_of
from plugins.chess_rules.compiled import compiled, integer

REFUSED = -1
BLANK, QUOTE, COMMA, COLON, MINUS, ZERO, NINE = map(ord, ' ",:-09')
OPENED, CLOSED, LIST_OPENED, LIST_CLOSED = map(ord, "{}[]")
_BACKSLASH, _POINT = map(ord, "\\.")
_QUOTES, _BACKSLASHES = word_of('"' * 8), word_of("\\" * 8)
_CONTROLS = ONES * BLANK
_ESCAPED = tuple(map(ord, '"\\/bfnrt'))
_NULL, _TRUE, _FALSE = word_of("null"), word_of("true"), word_of("false")
_MOST_DIGITS = 18
_DEEPEST = 60


@compiled
def behind_blanks(text: Bytes, at: int) -> int:
    """The first place from here on that is no blank."""
    while byte_at(text, at) == BLANK:
        at += 1
    return at


@compiled
def _marks_at(text: Bytes, at: int) -> int:
    """High bits set where one of eight bytes is a quote, a backslash or a control character; the first is exact."""
    word = word_at(text, at)
    return marks_of(word, _QUOTES) | marks_of(word, _BACKSLASHES) | ((word - _CONTROLS) & ~word & HIGHS)


@compiled
def _next_mark(text: Bytes, at: int) -> int:
    """The first place from here on where one of these stands."""
    place = integer(at)
    marks = _marks_at(text, place)
    while marks == 0:
        place += 8
        marks = _marks_at(text, place)
    return place + first_mark(marks)


@compiled
def end_of_plain(text: Bytes, at: int) -> int:
    """Where the quote stands that ends the string whose characters begin here; an escape is refused."""
    end = _next_mark(text, at)
    return end if byte_at(text, end) == QUOTE else REFUSED


@compiled
def _behind_string(text: Bytes, at: int) -> int:
    """Behind the quote that ends the string whose characters begin here, whatever it says."""
    end = _next_mark(text, at)
    while byte_at(text, end) == _BACKSLASH and byte_at(text, end + 1) in _ESCAPED:
        end = _next_mark(text, end + 2)
    return end + 1 if byte_at(text, end) == QUOTE else REFUSED


@compiled
def behind_null(text: Bytes, at: int) -> int:
    """Behind `null`."""
    return at + 4 if word_at(text, at) & below(4) == _NULL else REFUSED


@compiled
def flag_at(text: Bytes, at: int) -> tuple[int, int]:
    """Behind `true` or `false`, and 1 or 0."""
    word = word_at(text, at)
    if word & below(4) == _TRUE:
        return at + 4, integer(1)
    return (at + 5 if word & below(5) == _FALSE else integer(REFUSED)), integer(0)


@compiled
def whole_at(text: Bytes, at: int) -> tuple[int, int]:
    """Behind a whole number without a fraction, and its value; a minus before zero is refused."""
    is_negative = byte_at(text, at) == MINUS
    first = at + 1 if is_negative else at
    value, place = integer(0), first
    while ZERO <= byte_at(text, place) <= NINE:
        value = value * 10 + (byte_at(text, place) - ZERO)
        place += 1
    n_digits = place - first
    leads_with_zero = byte_at(text, first) == ZERO and (n_digits > 1 or is_negative)
    if (
        n_digits == 0
        or n_digits > _MOST_DIGITS
        or leads_with_zero
        or byte_at(text, place) in (_POINT, ord("e"), ord("E"))
    ):
        return integer(REFUSED), value
    return place, -value if is_negative else value


@compiled
def _behind_number(text: Bytes, at: int) -> int:
    at = at + 1 if byte_at(text, at) == MINUS else at
    first = at
    while ZERO <= byte_at(text, at) <= NINE:
        at += 1
    if at == first or at - first > _MOST_DIGITS or (byte_at(text, first) == ZERO and at - first > 1):
        return REFUSED
    if byte_at(text, at) == _POINT:
        first = at + 1
        at = first
        while ZERO <= byte_at(text, at) <= NINE:
            at += 1
        if at == first or at - first > _MOST_DIGITS:
            return REFUSED
    return REFUSED if byte_at(text, at) in (ord("e"), ord("E")) else at


@compiled
def behind_colon(text: Bytes, at: int) -> int:
    """Where the value begins whose key ends here."""
    at = behind_blanks(text, at)
    return behind_blanks(text, at + 1) if byte_at(text, at) == COLON else REFUSED


@compiled
def _behind_key(text: Bytes, at: int) -> int:
    """Where the value begins whose key, with its quotes, begins here."""
    at = behind_blanks(text, at)
    if byte_at(text, at) != QUOTE:
        return REFUSED
    at = _behind_string(text, at + 1)
    return at if at < 0 else behind_colon(text, at)


@compiled
def _behind_scalar(text: Bytes, at: int) -> int:
    letter = byte_at(text, at)
    if letter == QUOTE:
        return _behind_string(text, at + 1)
    if letter == MINUS or ZERO <= letter <= NINE:
        return _behind_number(text, at)
    if letter == ord("n"):
        return behind_null(text, at)
    return flag_at(text, at)[0]


@compiled
def behind_value(text: Bytes, at: int) -> int:  # noqa: C901  # one loop, since compiled code cannot well call itself
    """Behind a value of any kind: objects and lists in each other are walked without a stack of calls."""
    depth, kinds = integer(0), integer(0)  # a bit for each level, the lowest is the innermost: whether it is an object
    while True:
        opening = byte_at(text, at)
        if opening in (OPENED, LIST_OPENED):
            if depth == _DEEPEST:
                return REFUSED
            is_object = opening == OPENED
            at = behind_blanks(text, at + 1)
            if byte_at(text, at) != (CLOSED if is_object else LIST_CLOSED):
                depth, kinds = depth + 1, kinds << 1 | is_object
                at = _behind_key(text, at) if is_object else at
                if at < 0:
                    return REFUSED
                continue
            at += 1
        else:
            at = _behind_scalar(text, at)
        while True:
            if at < 0 or depth == 0:
                return at
            at = behind_blanks(text, at)
            is_object = kinds & 1 == 1
            if byte_at(text, at) == COMMA:
                at = _behind_key(text, at + 1) if is_object else behind_blanks(text, at + 1)
                break
            if byte_at(text, at) != (CLOSED if is_object else LIST_CLOSED):
                return REFUSED
            depth, kinds = depth - 1, kinds >> 1
            at += 1
        if at < 0:
            return REFUSED
