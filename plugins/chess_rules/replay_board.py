"""The board of the replay: sets of squares as bits, and who attacks what. Compiled code.

A set of squares is a 64-bit integer whose bit 0 is a1 and bit 63 is h8. Which squares a piece reaches over an empty
board, and which lie between two squares, is looked up in tables that python-chess fills.
"""

import chess
import numpy as np
import numpy.typing as npt

from plugins.chess_rules.compiled import compiled, inlined, lowest_bit

State = npt.NDArray[np.int64]
Tables = npt.NDArray[np.int64]

WHITE, BLACK = 0, 8
"""Colours as a bit of a piece's code; shifted by 3 they are the number of the side."""
PAWN, KNIGHT, BISHOP, ROOK, QUEEN, KING = range(1, 7)
EMPTY = 0
SQUARES = 64

# White's two rights, then Black's, in Polyglot's order.
KING_SIDE, QUEEN_SIDE = 1, 2
BLACK_RIGHTS = 2
"""So many bits lie Black's rights above White's."""

# A position, by the place of its parts in the array that holds it.
TURN, CHECKED, RIGHTS, EN_PASSANT, KING_AT, OWN, KINDS, BOARD, BOARD_SIZE = 0, 1, 2, 3, 4, 6, 8, 15, 15 + SQUARES
"""Colour to move; whether it is in check; rights; square behind a pawn that made two steps, or 0; the kings' squares,
White's and Black's; the sets of each side's men; of the men of each kind, number 0 unused; codes on the 64 squares."""

# Places in the tables.
REACH, PAWNS, BETWEEN, FILES, RANKS = 0, 7 * SQUARES, 9 * SQUARES, 73 * SQUARES, 73 * SQUARES + 9
"""By kind of piece and square, the squares that it reaches; by side and square, those from which its pawns capture
there; by two squares, those between them; the squares of each file and each rank, and, as the ninth of them, all."""
TABLES_SIZE = RANKS + 9


def tables() -> Tables:
    """What the functions of this module look up: at REACH, PAWNS, BETWEEN, FILES and RANKS."""
    filled = np.zeros(TABLES_SIZE, dtype=np.uint64)
    empty = chess.Board(None)
    for kind in (chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING):
        for square in chess.SQUARES:
            empty.set_piece_at(square, chess.Piece(kind, chess.WHITE))
            filled[REACH + SQUARES * kind + square] = int(empty.attacks(square))
            empty.remove_piece_at(square)
    for side, colour in enumerate((chess.WHITE, chess.BLACK)):
        filled[PAWNS + SQUARES * side : PAWNS + SQUARES * (side + 1)] = chess.BB_PAWN_ATTACKS[not colour]
    for square in chess.SQUARES:
        row = BETWEEN + SQUARES * square
        filled[row : row + SQUARES] = [chess.between(square, other) for other in chess.SQUARES]
    filled[FILES : FILES + 9] = [*chess.BB_FILES, chess.BB_ALL]
    filled[RANKS : RANKS + 9] = [*chess.BB_RANKS, chess.BB_ALL]
    return filled.view(np.int64)


@inlined
def men(state: State) -> int:
    """The squares that are occupied."""
    occupied: int = state[OWN] | state[OWN + 1]
    return occupied


@compiled
def is_attacked(state: State, tables: Tables, square: int, side: int, attackers: int, occupied: int) -> bool:
    """Whether one of the attackers, men of this side, attacks the square if these are the squares that are occupied."""
    kinds, reach = KINDS, REACH + square
    near = (
        (tables[reach + SQUARES * KNIGHT] & state[kinds + KNIGHT])
        | (tables[reach + SQUARES * KING] & state[kinds + KING])
        | (tables[PAWNS + SQUARES * side + square] & state[kinds + PAWN])
    )
    if near & attackers:
        return True
    queens = state[kinds + QUEEN]
    far = attackers & (
        (tables[reach + SQUARES * BISHOP] & (state[kinds + BISHOP] | queens))
        | (tables[reach + SQUARES * ROOK] & (state[kinds + ROOK] | queens))
    )
    while far:
        if not tables[BETWEEN + SQUARES * square + lowest_bit(far)] & occupied:
            return True
        far &= far - 1
    return False


@inlined
def is_safe(state: State, tables: Tables, start: int, end: int, victim: int) -> bool:
    """Whether the mover's king is not attacked after the move.

    `victim` is the square of what is captured, `end` but for en passant; what stands there may be nothing.
    """
    side = state[TURN] >> 3
    king = state[KING_AT + side]
    moved, taken = 1 << start, 1 << victim
    if start == king:
        king = end
    elif victim == end and not state[CHECKED] and not tables[REACH + SQUARES * QUEEN + king] & moved:
        return True  # it stood on no line to the king
    occupied = (men(state) & ~(moved | taken)) | 1 << end
    return not is_attacked(state, tables, king, 1 - side, state[OWN + 1 - side] & ~taken, occupied)
