"""The board of the replay: codes of pieces, squares with a margin, and who attacks what. Compiled code.

A board is 14 rows of 16 places, of which 8 × 8 are squares; a step from a square can only reach a square or the margin,
so nothing that walks over the board needs a test for its border, and nothing can walk out of the array.
"""

import numpy as np
import numpy.typing as npt

from plugins.chess_rules.compiled import compiled

Board = npt.NDArray[np.int8]

WHITE, BLACK = 0, 8
PAWN, KNIGHT, BISHOP, ROOK, QUEEN, KING = range(1, 7)
EMPTY = 0
MARGIN = 7
"""Neither empty nor a piece: it ends every walk."""

SQUARES = 64
PLACES = 14 * 16
_FIRST = 3 * 16

# White's two rights, then Black's, in Polyglot's order.
KING_SIDE, QUEEN_SIDE = 1, 2
BLACK_RIGHTS = 2
"""So many bits lie Black's rights above White's."""

DIRECTIONS = np.array([1, -1, 16, -16, 17, 15, -15, -17], dtype=np.int64)
"""Steps of a king: first the four of a rook, then the four of a bishop."""
JUMPS = np.array([33, 31, 18, 14, -14, -18, -31, -33], dtype=np.int64)


def _lines() -> npt.NDArray[np.int8]:
    between = np.zeros(2 * PLACES, dtype=np.int8)
    for step in DIRECTIONS:
        for distance in range(1, 8):
            between[PLACES + distance * step] = step
    return between


LINES = _lines()
"""Step that leads from one place to another on a line, by their difference + PLACES; 0 if they share no line."""


@compiled
def place_of(square: int) -> int:
    """The place of a square (0 = a1, 63 = h8)."""
    return _FIRST + 16 * (square >> 3) + (square & 7)


@compiled
def square_of(place: int) -> int:
    """The square at a place that is one."""
    return ((place - _FIRST) >> 4) * 8 + (place & 7)


@compiled
def is_attacked(board: Board, place: int, by: int) -> bool:
    """Whether a piece of the colour `by` attacks the place."""
    pawn = -16 if by == WHITE else 16
    if board[place + pawn + 1] == by | PAWN or board[place + pawn - 1] == by | PAWN:
        return True
    for jump in JUMPS:
        if board[place + jump] == by | KNIGHT:
            return True
    for number in range(8):
        step = DIRECTIONS[number]
        reached = place + step
        if board[reached] == by | KING:
            return True
        while board[reached] == EMPTY:
            reached += step
        piece = board[reached]
        if piece == by | QUEEN or piece == by | (ROOK if number < 4 else BISHOP):  # noqa: PLR2004
            return True
    return False


@compiled
def is_pinned(board: Board, start: int, end: int, king: int, enemy: int) -> bool:
    """Whether a piece that goes from `start` to `end` opens a line on which an enemy's piece attacks the king.

    Says nothing of checks that stand already, of moves by the king, nor of en passant, which takes two from a line.
    """
    step = LINES[PLACES + start - king]
    if step == 0 or LINES[PLACES + end - king] == step:
        return False
    reached = king + step
    while board[reached] == EMPTY:
        reached += step
    if reached != start:
        return False
    reached += step
    while board[reached] == EMPTY:
        reached += step
    piece = board[reached]
    straight = step in (1, -1, 16, -16)
    return bool(piece == enemy | QUEEN or piece == enemy | (ROOK if straight else BISHOP))


@compiled
def leaves_king_attacked(board: Board, start: int, end: int, victim: int, king: int) -> bool:
    """Whether the mover's king, who stands at `king` afterwards, is attacked once the move has been made.

    `victim` is the place of what is captured, `end` but for en passant; what stands there may be nothing.
    """
    piece, captured = board[start], board[victim]
    board[start] = EMPTY
    board[victim] = EMPTY
    board[end] = piece
    attacked = is_attacked(board, king, WHITE if piece & BLACK else BLACK)
    board[end] = EMPTY
    board[victim] = captured
    board[start] = piece
    return attacked
