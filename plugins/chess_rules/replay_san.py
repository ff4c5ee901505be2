"""One word of SAN taken apart, in one pass over its bytes. Compiled code; it knows no position.

What is a word follows python-chess's SAN_REGEX, with any number of the signs +, #, ! and ? behind it.
"""

import numpy as np
import numpy.typing as npt

from plugins.chess_rules.compiled import inlined, integer
from plugins.chess_rules.replay_board import BISHOP, KING, KING_SIDE, KNIGHT, PAWN, QUEEN, QUEEN_SIDE, ROOK

Text = npt.NDArray[np.uint8]

UNREADABLE = -1
ANY = 8
"""Instead of a file or rank that the word does not name."""
ANY_PIECE = 0
"""A move that names both of its squares and no piece (e2e4, g1f3) can be anyone's."""

# Letters as the bytes that they are.
_N, _B, _R, _Q, _K, _O, _ZERO, _ONE, _EIGHT, _A, _H = b"NBRQKO018ah"
_TIMES, _DASH, _EQUALS, _PLUS, _HASH, _BANG, _ASKS = b"x-=+#!?"
_RANK_DIGIT, _FILE_LETTER, _STROKE = 1, 2, 3

# The parts of a word that was read lie in one integer: shift it by one of these, and take so many bits.
SAN_PIECE, SAN_FILE, SAN_RANK, SAN_TO, SAN_PROMOTION, SAN_CASTLING = 0, 3, 7, 11, 17, 20
"""Kind of piece (3 bits) or ANY_PIECE, file and rank from which it comes (4) or ANY, square to which it goes (6), kind
of piece that a pawn becomes (3) or 0, KING_SIDE or QUEEN_SIDE or 0 (2); in castling nothing else is said."""


@inlined
def _kind(letter: int) -> int:
    """Kind of piece by its upper-case letter, or 0."""
    if letter == _N:
        return KNIGHT
    if letter == _B:
        return BISHOP
    if letter == _R:
        return ROOK
    if letter == _Q:
        return QUEEN
    if letter == _K:
        return KING
    return 0


@inlined
def _castling(text: Text, start: int, end: int) -> int:
    """The word O-O or O-O-O, or the same with noughts, without signs; otherwise UNREADABLE."""
    length = end - start
    if length != 3 and length != 5:  # noqa: PLR1714, PLR2004  # a set or tuple takes long to compile
        return UNREADABLE
    letter = text[start]
    for place in range(length):
        if text[start + place] != (_DASH if place & 1 else letter):
            return UNREADABLE
    return (KING_SIDE if length == 3 else QUEEN_SIDE) << SAN_CASTLING  # noqa: PLR2004


@inlined
def _is_sign(byte: int) -> bool:
    return byte == _PLUS or byte == _HASH or byte == _BANG or byte == _ASKS  # noqa: PLR1714  # as above


@inlined
def _last(text: Text, start: int, end: int) -> int:
    """What the last byte of text[start:end] is: _RANK_DIGIT, _FILE_LETTER, _STROKE, or 0 for others and for none."""
    if end <= start:
        return 0
    byte = text[end - 1]
    if _ONE <= byte <= _EIGHT:
        return _RANK_DIGIT
    if _A <= byte <= _H:
        return _FILE_LETTER
    return _STROKE if byte == _TIMES or byte == _DASH else 0  # noqa: PLR1714, SIM109  # as above


@inlined
def _squares(text: Text, start: int, end: int, promotion: int) -> int:
    """What names piece and squares, read from its end: the target comes last."""
    if _last(text, start, end) != _RANK_DIGIT or _last(text, start, end - 1) != _FILE_LETTER:
        return UNREADABLE
    to = 8 * (integer(text[end - 1]) - _ONE) + integer(text[end - 2]) - _A
    end -= 2
    if _last(text, start, end) == _STROKE:
        end -= 1
    file = rank = ANY
    if _last(text, start, end) == _RANK_DIGIT:
        rank = integer(text[end - 1]) - _ONE
        end -= 1
    if _last(text, start, end) == _FILE_LETTER:
        file = integer(text[end - 1]) - _A
        end -= 1
    if end == start:
        piece = PAWN if file == ANY or rank == ANY else ANY_PIECE  # noqa: PLR1714  # as above
    else:
        piece = _kind(integer(text[start]))
        if end > start + 1 or piece == 0:
            return UNREADABLE
    return piece << SAN_PIECE | file << SAN_FILE | rank << SAN_RANK | to << SAN_TO | promotion << SAN_PROMOTION


@inlined
def read_san(text: Text, start: int, end: int) -> int:
    """The word in text[start:end], which is not empty, as one number of 0 or more; UNREADABLE if it is none of SAN."""
    while end > start and _is_sign(text[end - 1]):
        end -= 1
    if end == start:
        return UNREADABLE
    if text[start] == _O or text[start] == _ZERO:  # as above
        return _castling(text, start, end)
    promotion = 0
    if text[end - 1] > _EIGHT:
        promotion = _kind(integer(text[end - 1]) & ~32)  # python-chess reads small letters as well
        if promotion == 0:
            return UNREADABLE
        end -= 1
        if end > start and text[end - 1] == _EQUALS:
            end -= 1
    return _squares(text, start, end, promotion)
