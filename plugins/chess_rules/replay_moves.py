"""From a word of SAN to the one legal move that it means on a board. Compiled code.

What is legal follows the rules of standard chess; what is meant follows python-chess's `Board.parse_san`.
"""

import numpy as np
import numpy.typing as npt

from plugins.chess_rules.compiled import compiled
from plugins.chess_rules.replay_board import (
    BISHOP,
    BLACK,
    BLACK_RIGHTS,
    DIRECTIONS,
    EMPTY,
    JUMPS,
    KING,
    KING_SIDE,
    KNIGHT,
    PAWN,
    QUEEN_SIDE,
    ROOK,
    WHITE,
    Board,
    is_attacked,
    is_pinned,
    leaves_king_attacked,
    place_of,
)
from plugins.chess_rules.replay_san import (
    ANY,
    ANY_PIECE,
    san_castling,
    san_file,
    san_piece,
    san_promotion,
    san_rank,
    san_to,
)

State = npt.NDArray[np.int64]

# What a position has besides its board, by its place in the array that holds it.
TURN, CHECKED, RIGHTS, EN_PASSANT, KING_AT = range(5)
"""Colour to move; whether it is in check; rights; place behind a pawn that made two steps, or 0; the kings' places:
KING_AT White's, the next one Black's."""

ILLEGAL = -1

# The parts of a move that was found lie in one integer.
_START, _END, _VICTIM, _PROMOTED, _CASTLED = 0, 8, 16, 24, 27


@compiled
def move_start(move: int) -> int:
    """Place from which the piece goes."""
    return move >> _START & 255


@compiled
def move_end(move: int) -> int:
    """Place to which it goes."""
    return move >> _END & 255


@compiled
def move_victim(move: int) -> int:
    """Place of what it captures, if anything stands there: where it goes, but for en passant."""
    return move >> _VICTIM & 255


@compiled
def move_promotion(move: int) -> int:
    """Kind of piece that the pawn becomes, or 0."""
    return move >> _PROMOTED & 7


@compiled
def move_castling(move: int) -> int:
    """KING_SIDE, QUEEN_SIDE or 0."""
    return move >> _CASTLED & 3


@compiled
def find_move(board: Board, state: State, word: int) -> int:
    """The legal move that the word (of `read_san`) means; ILLEGAL if there is none, or more than one."""
    if san_castling(word):
        return _castling(board, state, san_castling(word))
    end = place_of(san_to(word))
    piece = san_piece(word)
    if piece == ANY_PIECE:
        start = place_of(8 * san_rank(word) + san_file(word))
        piece = board[start] & 7 if board[start] != EMPTY and board[start] & BLACK == state[TURN] else ANY_PIECE
        if piece == KING and abs(end - start) > 1 and end >> 4 == start >> 4 and not san_promotion(word):
            return _castling_by_squares(board, state, start, end)
    target = board[end]
    if piece == ANY_PIECE or (target != EMPTY and (target & BLACK == state[TURN] or target & 7 == KING)):
        return ILLEGAL
    return _piece_move(board, state, word, end, piece)


@compiled
def _piece_move(board: Board, state: State, word: int, end: int, piece: int) -> int:
    """The move of a piece of this kind to a place where none of its own stands."""
    if piece == PAWN:
        return _pawn_move(board, state, word, end)
    if san_promotion(word):
        return ILLEGAL
    if piece == KNIGHT:
        return _jump(board, state, word, end)
    return _walk(board, state, word, end, piece)


@compiled
def _jump(board: Board, state: State, word: int, end: int) -> int:
    """A knight's move."""
    found = ILLEGAL
    for jump in JUMPS:
        start = end - jump
        if board[start] == state[TURN] | KNIGHT and _may(board, state, word, start, end):
            if found != ILLEGAL:
                return ILLEGAL
            found = _packed(start, end, end)
    return found


@compiled
def _walk(board: Board, state: State, word: int, end: int, piece: int) -> int:
    """A move of king, queen, rook or bishop: whoever of that kind is the first one on a line from the target."""
    found = ILLEGAL
    mover = state[TURN] | piece
    first = 4 if piece == BISHOP else 0
    last = 4 if piece == ROOK else 8
    for number in range(first, last):
        step = DIRECTIONS[number]
        start = end + step
        if piece != KING:
            while board[start] == EMPTY:
                start += step
        if board[start] == mover and _may(board, state, word, start, end):
            if found != ILLEGAL:
                return ILLEGAL
            found = _packed(start, end, end)
    return found


@compiled
def _may(board: Board, state: State, word: int, start: int, end: int) -> bool:
    """Whether the word can mean the piece at `start`, and its king is safe if it goes."""
    return _named(word, start) and _is_safe(board, state, start, end, end)


@compiled
def _named(word: int, start: int) -> bool:
    """Whether file and rank of `start` are those that the word gives, if it gives any."""
    file, rank = san_file(word), san_rank(word)
    return (file == ANY or start & 7 == file) and (rank == ANY or (start >> 4) - 3 == rank)


@compiled
def _is_safe(board: Board, state: State, start: int, end: int, victim: int) -> bool:
    """Whether the mover's king is not attacked after the move."""
    turn = state[TURN]
    king = state[KING_AT + (turn >> 3)]
    if start == king:
        return not leaves_king_attacked(board, start, end, end, end)
    if state[CHECKED] or victim != end:
        return not leaves_king_attacked(board, start, end, victim, king)
    return not is_pinned(board, start, end, king, turn ^ BLACK)


@compiled
def _pawn_move(board: Board, state: State, word: int, end: int) -> int:
    """A pawn's move; from another file than the target's only as a capture."""
    turn = state[TURN]
    forward = 16 if turn == WHITE else -16
    rank = (end >> 4) - 3 if turn == WHITE else 10 - (end >> 4)  # as the mover counts, from 0
    promotion = san_promotion(word)
    if promotion == KING or (promotion != 0) != (rank == 7):  # noqa: PLR2004
        return ILLEGAL
    file = san_file(word)
    aside = 0 if file == ANY else file - (end & 7)
    if abs(aside) > 1:
        return ILLEGAL
    start = end - forward + aside
    victim = end
    if aside:
        if board[end] == EMPTY:
            if end != state[EN_PASSANT]:
                return ILLEGAL
            victim = end - forward
    elif board[end] != EMPTY:
        return ILLEGAL
    elif rank == 3 and board[start] == EMPTY:  # noqa: PLR2004
        start -= forward
    if board[start] != turn | PAWN or not _named(word, start) or not _is_safe(board, state, start, end, victim):
        return ILLEGAL
    return _packed(start, end, victim) | promotion << _PROMOTED


@compiled
def _castling_by_squares(board: Board, state: State, start: int, end: int) -> int:
    """Castling as e1g1, or as the king taking his own rook, e1h1."""
    file = end & 7
    if start & 7 != 4:  # noqa: PLR2004
        return ILLEGAL
    if file in (6, 7):
        return _castling(board, state, KING_SIDE)
    if file in (0, 2):
        return _castling(board, state, QUEEN_SIDE)
    return ILLEGAL


@compiled
def _castling(board: Board, state: State, side: int) -> int:
    """Castling, if there is the right, and nothing stands or attacks between. Who has the right has king and rook."""
    turn = state[TURN]
    right = side << BLACK_RIGHTS if turn else side
    if state[CHECKED] or not state[RIGHTS] & right:
        return ILLEGAL
    king = state[KING_AT + (turn >> 3)]
    step = 1 if side == KING_SIDE else -1
    for distance in range(1, 3 if side == KING_SIDE else 4):
        if board[king + distance * step] != EMPTY:
            return ILLEGAL
    end = king + 2 * step
    if is_attacked(board, king + step, turn ^ BLACK) or is_attacked(board, end, turn ^ BLACK):
        return ILLEGAL
    return _packed(king, end, end) | side << _CASTLED


@compiled
def _packed(start: int, end: int, victim: int) -> int:
    return start << _START | end << _END | victim << _VICTIM
