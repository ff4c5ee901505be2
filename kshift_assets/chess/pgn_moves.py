"""The line of moves of a dump's game, compiled: SAN, glyphs, draw offers, evaluations and clocks.

A move is `12. ` or `12... ` (or nothing), SAN, a glyph, a blank, `{ White offers draw } `, `{ [%eval …] [%clk …] } `;
all but SAN and the blank may be missing. Anything else is refused.
"""

import numpy as np
import numpy.typing as npt

from kshift_assets.chess.pgn_bytes import Bytes, below, byte_at, store_word, word_at, word_of
from kshift_assets.chess.pgn_tags import BLANK, BRACE_OPEN, REFUSED, State
from kshift_assets.chess.pgn_tags import STATE_SIZE as _STATE_OF_TAGS
from plugins.chess_rules.compiled import compiled

Values = npt.NDArray[np.int32]

CLOCK, EVAL, MATE, GLYPH, OFFER, N_LISTS = range(6)
"""Rows of `values`: centiseconds, centipawns, moves to mate, numbers of a glyph and of who offers a draw."""
NONE = -(2**31)
"""A ply without a value."""
GLYPHS = ["", "!", "?", "!!", "!?", "?!", "??"]
OFFERS = ["", "white", "black"]

PLIES, _OUT, MOVES_END, ENDS, _FILLED = (_STATE_OF_TAGS + at for at in (0, 1, 2, 3, 3 + N_LISTS))
"""Places in `state`: the last game's plies, and where its moves end; where the moves that are kept end, and the lists;
for how many plies of the last game each list has a value."""
STATE_SIZE = _FILLED + N_LISTS

_DOT, _ZERO, _STAR, _SHARP, _MINUS, _EQUALS, _PLUS, _AT, _TAKES, _O = (ord(char) for char in ".0*#-=+@xO")
_COLON, _CLOSE, _EXCLAMATION, _QUESTION = (ord(char) for char in ":]!?")
_TEN = 10

_CLK, _EVL, _EMPTY = word_of("{ [%clk "), word_of("{ [%eval"), word_of("{ } ")
_NEXT_CLK = word_of("[%clk ")
_WHITE, _BLACK, _OFFERS_D, _RAW = (word_of(text) for text in ("{ White ", "{ Black ", "offers d", "raw } "))
_CASTLED, _LONG = word_of("O-O"), word_of("-O")
_ENDING = word_of("} ")
_TIME, _SIXES = word_of("0:00:00]"), word_of("\6\0\6\6\0\6\6\0")
_TIME_BITS = ~word_of("\x0f\0\x0f\x0f\0\x0f\x0f\0")
_OVER_NINE = word_of("\x10\0\x10\x10\0\x10\x10\0")


def _classes() -> npt.NDArray[np.int64]:
    """What a character may be in SAN, as bits, by its number."""
    classes = np.zeros(256, dtype=np.int64)
    for bit, chars in enumerate(("KQRBN", "abcdefgh", "12345678", "P")):
        classes[[ord(char) for char in chars]] = 1 << bit
    return classes


_CLASSES = _classes()
_PIECE, _FILE, _RANK, _PAWN = (1 << bit for bit in range(4))


@compiled
def _end_of_square(text: Bytes, at: int) -> int:
    is_square = _CLASSES[byte_at(text, at)] & _FILE and _CLASSES[byte_at(text, at + 1)] & _RANK
    return at + 2 if is_square else REFUSED


@compiled
def _end_of_rank(text: Bytes, at: int) -> int:
    return at + 1 if _CLASSES[byte_at(text, at)] & _RANK else REFUSED


@compiled
def _end_of_way(text: Bytes, at: int) -> int:
    """Where the squares of a move end: `e4`, `exd5`, `bd2`, `1a3`, `1xa3`, `xe4`, `e4d5`, `e4xd5`."""
    char = byte_at(text, at)
    kind = _CLASSES[char]
    if kind & _FILE:
        second = byte_at(text, at + 1)
        if _CLASSES[second] & _RANK:
            third = byte_at(text, at + 2)
            if third == _TAKES:
                return _end_of_square(text, at + 3)
            return _end_of_rank(text, at + 3) if _CLASSES[third] & _FILE else at + 2
        if second == _TAKES:
            return _end_of_square(text, at + 2)
        return _end_of_rank(text, at + 2) if _CLASSES[second] & _FILE else REFUSED
    if kind & _RANK:
        return _end_of_square(text, at + 2 if byte_at(text, at + 1) == _TAKES else at + 1)
    return _end_of_square(text, at + 1) if char == _TAKES else REFUSED


@compiled
def _end_of_san(text: Bytes, begin: int) -> int:
    at = begin
    char = byte_at(text, at)
    if _CLASSES[char] & (_PIECE | _PAWN):
        at += 1
    if byte_at(text, at) == _AT:
        at = _end_of_square(text, at + 1)
    elif char == _O:
        if word_at(text, at) & below(3) != _CASTLED:
            return REFUSED
        at += 3
        at += 2 if word_at(text, at) & below(2) == _LONG else 0
    elif _CLASSES[char] & _PAWN:
        return REFUSED
    else:
        at = _end_of_way(text, at)
        if at >= 0 and byte_at(text, at) == _EQUALS:
            at = at + 2 if _CLASSES[byte_at(text, at + 1)] & _PIECE else REFUSED
    if at < 0:
        return REFUSED
    last = byte_at(text, at)
    return at + 1 if last in (_PLUS, _SHARP) else at


@compiled
def _sign(char: int) -> int:
    """1 for `!`, 2 for `?`, 0 for anything else."""
    return 1 if char == _EXCLAMATION else (2 if char == _QUESTION else 0)


@compiled
def _is_digit(char: int) -> bool:
    return 0 <= char - _ZERO < _TEN


@compiled
def _digits(text: Bytes, at: int, most: int) -> int:
    """How many digits stand here, up to `most`."""
    number = 0
    while number < most and _is_digit(byte_at(text, at + number)):
        number += 1
    return number


@compiled
def _number(text: Bytes, begin: int, end: int) -> int:
    number = 0
    for at in range(begin, end):
        number = _TEN * number + byte_at(text, at) - _ZERO
    return number


@compiled
def _put(values: Values, state: State, row: int, ply: int, value: int) -> None:
    """Note a value of a ply; the plies before it that have none get NONE."""
    base = state[ENDS + row]
    for before in range(state[_FILLED + row], ply):
        values[row, base + before] = NONE
    values[row, base + ply] = value
    state[_FILLED + row] = ply + 1


@compiled
def _read_clock(text: Bytes, at: int, ply: int, values: Values, state: State) -> int:
    """From the first digit of `1:02:03] ` to behind the blank; hours have up to three digits."""
    hours = 0
    if byte_at(text, at + 1) != _COLON:
        more = _digits(text, at, 3) - 1
        if more < 1:
            return REFUSED
        hours = _number(text, at, at + more)
        at += more
    bits = word_at(text, at) ^ _TIME  # digits become their values, the characters between them 0
    if bits & _TIME_BITS or (bits + _SIXES) & _OVER_NINE or byte_at(text, at + 8) != BLANK:
        return REFUSED
    hours = _TEN * hours + (bits & 15)
    minutes = _TEN * (bits >> 16 & 15) + (bits >> 24 & 15)
    seconds = _TEN * (bits >> 40 & 15) + (bits >> 48 & 15)
    _put(values, state, CLOCK, ply, 100 * (3600 * hours + 60 * minutes + seconds))
    return at + 9


@compiled
def _read_eval(text: Bytes, at: int, ply: int, values: Values, state: State) -> int:
    """From the first character of `-1.23] ` or `#-4] ` to behind the blank."""
    is_mate = byte_at(text, at) == _SHARP
    at += 1 if is_mate else 0
    is_negative = byte_at(text, at) == _MINUS
    at += 1 if is_negative else 0
    length = _digits(text, at, 4 if is_mate else 5)
    if not length:
        return REFUSED
    value, begin = _number(text, at, at + length), at
    at += length
    if is_mate:
        if byte_at(text, begin) == _ZERO and (length > 1 or is_negative):
            return REFUSED
    else:
        value *= 100
        if byte_at(text, at) == _DOT:
            length = _digits(text, at + 1, 2)
            if not length:
                return REFUSED
            value += _number(text, at + 1, at + 1 + length) * (1 if length > 1 else _TEN)
            at += 1 + length
    if byte_at(text, at) != _CLOSE or byte_at(text, at + 1) != BLANK:
        return REFUSED
    _put(values, state, MATE if is_mate else EVAL, ply, -value if is_negative else value)
    return at + 2


@compiled
def _read_comments(text: Bytes, at: int, ply: int, values: Values, state: State) -> int:
    """From a `{` to behind the blank that follows the last `}` of a move."""
    word = word_at(text, at)
    if word in (_WHITE, _BLACK):
        if word_at(text, at + 8) != _OFFERS_D or word_at(text, at + 16) & below(6) != _RAW:
            return REFUSED
        _put(values, state, OFFER, ply, 1 if word == _WHITE else 2)
        at += 22
        if byte_at(text, at) != BRACE_OPEN:
            return at
        word = word_at(text, at)
    if word == _CLK:
        at = _read_clock(text, at + 8, ply, values, state)
    elif word == _EVL and byte_at(text, at + 8) == BLANK:
        at = _read_eval(text, at + 9, ply, values, state)
        if at >= 0 and word_at(text, at) & below(6) == _NEXT_CLK:
            at = _read_clock(text, at + 6, ply, values, state)
    elif word & below(4) == _EMPTY:
        at += 2
    else:
        return REFUSED
    if at < 0 or word_at(text, at) & below(2) != _ENDING:
        return REFUSED
    return at + 2


@compiled
def _read_glyph(text: Bytes, at: int, ply: int, values: Values, state: State) -> int:
    """From behind a move to behind its glyph, if it has one."""
    glyph = _sign(byte_at(text, at))
    if not glyph:
        return at
    second = _sign(byte_at(text, at + 1))
    _put(values, state, GLYPH, ply, 2 * glyph + second if second else glyph)
    return at + 2 if second else at + 1


@compiled
def _end_of_number(text: Bytes, at: int) -> int:
    """Behind `12. ` or `12... `; the same place if there is none."""
    dot = at + _digits(text, at, 4)
    if dot == at or byte_at(text, dot) != _DOT:
        return at
    end = dot + 3 if byte_at(text, dot + 1) == _DOT and byte_at(text, dot + 2) == _DOT else dot + 1
    return end + 1 if byte_at(text, end) == BLANK else at


@compiled
def read_moves(text: Bytes, at: int, moves: Bytes, values: Values, state: State) -> int:
    """Append the moves to `moves`, what is known of plies to the rows of `values`; returns where the result begins.

    Unless `keep_moves` follows, the next game overwrites what is written.
    """
    out, ply = state[MOVES_END], 0
    for row in range(N_LISTS):
        state[_FILLED + row] = 0
    if byte_at(text, at) == BLANK:
        at += 1
    while byte_at(text, at) != _STAR:
        begin = _end_of_number(text, at)
        if begin == at and _is_digit(byte_at(text, at)):
            break
        at = _end_of_san(text, begin)
        if at < 0:
            return REFUSED
        store_word(moves, out, word_at(text, begin))
        if at - begin > 8:  # noqa: PLR2004  # a word's bytes
            store_word(moves, out + 8, word_at(text, begin + 8))
        out += at - begin
        moves[out] = BLANK
        out += 1
        at = _read_glyph(text, at, ply, values, state)
        if byte_at(text, at) != BLANK:
            return REFUSED
        at += 1
        if byte_at(text, at) == BRACE_OPEN:
            at = _read_comments(text, at, ply, values, state)
            if at < 0:
                return REFUSED
        ply += 1
    state[PLIES], state[_OUT] = ply, out
    return at


@compiled
def keep_moves(values: Values, state: State) -> None:
    """The game that was read last is sound: what was written of it stays."""
    state[MOVES_END] = state[_OUT]
    for row in range(N_LISTS):
        if state[_FILLED + row]:
            base = state[ENDS + row]
            for ply in range(state[_FILLED + row], state[PLIES]):
                values[row, base + ply] = NONE
            state[ENDS + row] = base + state[PLIES]
