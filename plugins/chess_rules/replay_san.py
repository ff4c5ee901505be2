"""One word of SAN taken apart, in one pass over its bytes. Compiled code; it knows no position.

What is a word follows python-chess's SAN_REGEX, with any number of the signs +, #, ! and ? behind it.
"""

import numpy as np
import numpy.typing as npt

from plugins.chess_rules.compiled import compiled
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

# The parts of a word that was read lie in one integer.
_PIECE, _FILE, _RANK, _TO, _PROMOTION, _CASTLING = 0, 3, 7, 11, 17, 20


@compiled
def san_piece(word: int) -> int:
    """Which kind of piece moves, or ANY_PIECE."""
    return word >> _PIECE & 7


@compiled
def san_file(word: int) -> int:
    """File from which it comes, or ANY."""
    return word >> _FILE & 15


@compiled
def san_rank(word: int) -> int:
    """Rank from which it comes, or ANY."""
    return word >> _RANK & 15


@compiled
def san_to(word: int) -> int:
    """Square to which it goes."""
    return word >> _TO & 63


@compiled
def san_promotion(word: int) -> int:
    """Kind of piece that a pawn becomes, or 0."""
    return word >> _PROMOTION & 7


@compiled
def san_castling(word: int) -> int:
    """KING_SIDE, QUEEN_SIDE or 0; then nothing else is said."""
    return word >> _CASTLING & 3


@compiled
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


@compiled
def _castling(text: Text, start: int, end: int) -> int:
    """The word O-O or O-O-O, or the same with noughts, without signs; otherwise UNREADABLE."""
    length = end - start
    if length not in (3, 5):
        return UNREADABLE
    letter = text[start]
    for place in range(length):
        if text[start + place] != (_DASH if place & 1 else letter):
            return UNREADABLE
    return (KING_SIDE if length == 3 else QUEEN_SIDE) << _CASTLING  # noqa: PLR2004


@compiled
def _is_sign(byte: int) -> bool:
    return byte == _PLUS or byte == _HASH or byte == _BANG or byte == _ASKS  # noqa: PLR1714  # a set is slow when compiled


@compiled
def _has(text: Text, start: int, end: int, low: int, high: int) -> bool:
    """Whether the last byte of text[start:end] is there, and from `low` to `high`."""
    return end > start and low <= text[end - 1] <= high


@compiled
def _squares(text: Text, start: int, end: int, promotion: int) -> int:
    """What names piece and squares, read from its end: the target comes last."""
    if not (_has(text, start, end, _ONE, _EIGHT) and _has(text, start, end - 1, _A, _H)):
        return UNREADABLE
    to = 8 * (int(text[end - 1]) - _ONE) + int(text[end - 2]) - _A
    end -= 2
    if _has(text, start, end, _TIMES, _TIMES) or _has(text, start, end, _DASH, _DASH):
        end -= 1
    file = rank = ANY
    if _has(text, start, end, _ONE, _EIGHT):
        rank = int(text[end - 1]) - _ONE
        end -= 1
    if _has(text, start, end, _A, _H):
        file = int(text[end - 1]) - _A
        end -= 1
    if end == start:
        piece = PAWN if ANY in (file, rank) else ANY_PIECE
    else:
        piece = _kind(text[start])
        if end > start + 1 or piece == 0:
            return UNREADABLE
    return piece << _PIECE | file << _FILE | rank << _RANK | to << _TO | promotion << _PROMOTION


@compiled
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
        promotion = _kind(text[end - 1] & ~32)  # python-chess reads small letters as well
        if promotion == 0:
            return UNREADABLE
        end -= 1
        if _has(text, start, end, _EQUALS, _EQUALS):
            end -= 1
    return _squares(text, start, end, promotion)
