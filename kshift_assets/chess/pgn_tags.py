"""The tag lines of a dump's game, compiled: where the values of the known tags stand, and all others as JSON.

What is not `[Name "value"]`, one a line, each once, without a backslash or a control character, is refused.
"""

import itertools

import numpy as np
import numpy.typing as npt

from kshift_assets.chess.pgn_bytes import (
    HIGHS,
    Bytes,
    below,
    byte_at,
    copy,
    first_mark,
    is_utf_8,
    marks_of,
    word_at,
    word_of,
)
from kshift_assets.chess.pgn_frames import TAGS
from plugins.chess_rules.compiled import compiled, integer

State = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int32]

REFUSED = -1
"""Instead of a place in the text: this is not the form of dumps."""

NAMES = (*TAGS, "GameId")
SITE, RESULT, GAME_ID = (NAMES.index(name) for name in ("Site", "Result", "GameId"))
"""Of every known tag a game has two numbers in `spans`: where its value begins, and its length, below 0 for none.
GameId has no column of its own: it is one of the other tags too."""

OTHERS_END, _N_OTHERS, _OTHERS = range(3)
"""Places in `state`: where the JSON of other tags ends; how many a game has; where their names begin and end."""
_MOST_OTHERS = 32
STATE_SIZE = _OTHERS + 2 * _MOST_OTHERS

LINE_FEED, RETURN, BLANK, QUOTE, BRACE_OPEN, BRACE_CLOSE = (ord(char) for char in '\n\r "{}')
_COMMA, _COLON, _OPEN, _CLOSE, _UNDERSCORE, _ZERO = (ord(char) for char in ",:[]_0")
_BLANKS, _QUOTES, _BACKSLASHES = (word_of(8 * char) for char in ' "\\')
_LONGEST_NAME = 255

EVENT, EVENT_BYTES = word_of("[Event "), 7
"""What a game begins with."""

_FACTORS = itertools.count(0x3C6EF372FE94F82B, 2)


def _known() -> tuple[int, npt.NDArray[np.int64]]:
    """A factor that sends every known name to a slot of its own, and by slot the name's two words and the tag."""
    words = [(word_of(name[:8]), word_of(name[8:])) for name in NAMES]
    for factor in _FACTORS:
        slots = [((low ^ high) * factor) >> 58 & 63 for low, high in words]
        if len(set(slots)) == len(words):
            table = np.full((64, 3), -1, dtype=np.int64)
            table[slots] = [(low, high, tag) for tag, (low, high) in enumerate(words)]
            return factor, table
    raise AssertionError


_FACTOR, _TABLE = _known()
_LENGTHS = np.array([len(name) for name in NAMES])


@compiled
def line_end(text: Bytes, at: int) -> int:
    """Where the line behind an end of line begins, of Unix or Windows."""
    if byte_at(text, at) == LINE_FEED:
        return at + 1
    if byte_at(text, at) == RETURN and byte_at(text, at + 1) == LINE_FEED:
        return at + 2
    return REFUSED


@compiled
def is_letter_or_digit(char: int) -> bool:
    """Of ASCII."""
    return 0 <= (char | 32) - 97 < 26 or 0 <= char - _ZERO < 10  # noqa: PLR2004  # a to z, 0 to 9


@compiled
def _end_of_name(text: Bytes, begin: int) -> int:
    """Where the blank behind a tag's name stands."""
    at = begin
    for _ in range(_LONGEST_NAME):
        char = byte_at(text, at)
        if not (is_letter_or_digit(char) or (char == _UNDERSCORE and at > begin)):
            break
        at += 1
    return at if at > begin and byte_at(text, at) == BLANK else REFUSED


@compiled
def _known_tag(text: Bytes, begin: int) -> int:
    """The number of the tag whose name, and a blank behind it, begins here; REFUSED if it is not a known one."""
    low, high = word_at(text, begin), 0
    marks = marks_of(low, _BLANKS)
    if marks:
        low &= below(first_mark(marks))
    else:
        high = word_at(text, begin + 8)
        marks = marks_of(high, _BLANKS)
        if not marks:
            return REFUSED
        high &= below(first_mark(marks))
    slot = ((low ^ high) * _FACTOR) >> 58 & 63
    return integer(_TABLE[slot, 2]) if low == _TABLE[slot, 0] and high == _TABLE[slot, 1] else REFUSED


@compiled
def _end_of_value(text: Bytes, begin: int) -> int:
    """Where the quote behind a tag's value stands; a bracket must follow."""
    at, high = begin, 0
    while True:
        word = word_at(text, at)
        control = (word - _BLANKS) & ~word & HIGHS
        marks = marks_of(word, _QUOTES) | marks_of(word, _BACKSLASHES) | control
        if marks:
            break
        high |= word
        at += 8
    length = first_mark(marks)
    high |= word & below(length)
    at += length
    if (
        byte_at(text, at) != QUOTE
        or byte_at(text, at + 1) != _CLOSE
        or ((high & HIGHS) and not is_utf_8(text, begin, at))
    ):
        return REFUSED
    return at


@compiled
def _is_new(text: Bytes, begin: int, end: int, state: State) -> bool:
    """Note the name of another tag; whether there is room for it and the game has none of that name yet."""
    number = state[_N_OTHERS]
    if number == _MOST_OTHERS:
        return False
    for other in range(number):
        first = state[_OTHERS + 2 * other]
        if state[_OTHERS + 2 * other + 1] - first == end - begin:
            at = begin
            while at < end and byte_at(text, at) == byte_at(text, first + at - begin):
                at += 1
            if at == end:
                return False
    state[_OTHERS + 2 * number], state[_OTHERS + 2 * number + 1] = begin, end
    state[_N_OTHERS] = number + 1
    return True


@compiled
def _write_other(text: Bytes, name: int, name_end: int, value: int, end: int, others: Bytes, state: State) -> None:  # noqa: PLR0913, PLR0917  # plain arrays: see replay_kernel
    """Append a tag to the JSON of this game's other tags: neither name nor value has what JSON would escape."""
    at = state[OTHERS_END]
    others[at] = BRACE_OPEN if state[_N_OTHERS] == 1 else _COMMA
    others[at + 1] = QUOTE
    at = copy(text, name, name_end, others, at + 2)
    others[at], others[at + 1], others[at + 2] = QUOTE, _COLON, QUOTE
    at = copy(text, value, end, others, at + 3)
    others[at] = QUOTE
    state[OTHERS_END] = at + 1


@compiled
def _keep(  # noqa: PLR0913, PLR0917  # plain arrays: see replay_kernel
    text: Bytes, tag: int, name: int, name_end: int, end: int, spans: Spans, row: int, others: Bytes, state: State
) -> bool:
    """Note a tag, whose value ends there; False if the game has it already."""
    value = name_end + 2
    if tag >= 0:
        if spans[row, 2 * tag + 1] >= 0:
            return False
        spans[row, 2 * tag], spans[row, 2 * tag + 1] = value, end - value
    if tag < 0 or tag == GAME_ID:
        if not _is_new(text, name, name_end, state):
            return False
        _write_other(text, name, name_end, value, end, others, state)
    return True


@compiled
def read_tags(text: Bytes, begin: int, spans: Spans, row: int, others: Bytes, state: State) -> int:
    """Read tags into a row of `spans`, whose lengths are below 0; returns where the empty line behind them begins.

    A line that begins another game ends this one: then what stands here is no game.
    """
    at = begin
    state[_N_OTHERS] = 0
    while byte_at(text, at) == _OPEN:
        if at > begin and word_at(text, at) & below(EVENT_BYTES) == EVENT:
            return REFUSED
        name = at + 1
        tag = _known_tag(text, name)
        name_end = name + _LENGTHS[tag] if tag >= 0 else _end_of_name(text, name)
        if name_end < 0 or byte_at(text, name_end + 1) != QUOTE:
            return REFUSED
        end = _end_of_value(text, name_end + 2)
        at = line_end(text, end + 2) if end >= 0 else REFUSED
        if at < 0 or not _keep(text, tag, name, name_end, end, spans, row, others, state):
            return REFUSED
    if state[_N_OTHERS]:
        others[state[OTHERS_END]] = BRACE_CLOSE
        state[OTHERS_END] += 1
    return at if at > begin else REFUSED
