"""From a word of SAN to the one legal move that it means on a board. Compiled code.

What is legal follows the rules of standard chess; what is meant follows python-chess's `Board.parse_san`.
"""

from plugins.chess_rules.compiled import compiled, inlined, integer, lowest_bit
from plugins.chess_rules.replay_board import (
    BETWEEN,
    BLACK,
    BLACK_RIGHTS,
    BOARD,
    CHECKED,
    EMPTY,
    EN_PASSANT,
    FILES,
    KINDS,
    KING,
    KING_AT,
    KING_SIDE,
    OWN,
    PAWN,
    QUEEN_SIDE,
    RANKS,
    REACH,
    RIGHTS,
    SQUARES,
    TURN,
    WHITE,
    State,
    Tables,
    is_attacked,
    is_safe,
    men,
)
from plugins.chess_rules.replay_san import (
    ANY,
    ANY_PIECE,
    SAN_CASTLING,
    SAN_FILE,
    SAN_PIECE,
    SAN_PROMOTION,
    SAN_RANK,
    SAN_TO,
)

ILLEGAL = -1

# The parts of a move that was found lie in one integer: shift it by one of these, and take so many bits.
MOVE_START, MOVE_END, MOVE_VICTIM, MOVE_PROMOTION, MOVE_CASTLING = 0, 6, 12, 18, 21
"""Squares from which and to which the piece goes, and of what it captures, if anything stands there: where it goes, but
for en passant (6 bits each); kind of piece that the pawn becomes (3) or 0; KING_SIDE or QUEEN_SIDE or 0 (2)."""


@inlined
def find_move(state: State, tables: Tables, word: int) -> int:
    """The legal move that the word (of `read_san`) means; ILLEGAL if there is none, or more than one."""
    if word >> SAN_CASTLING & 3:
        return _castling(state, tables, word >> SAN_CASTLING & 3)
    end = word >> SAN_TO & 63
    piece = word >> SAN_PIECE & 7
    if piece == ANY_PIECE:
        return _any_move(state, tables, word, end)
    return _piece_move(state, tables, word, end, piece)


@compiled
def _any_move(state: State, tables: Tables, word: int, end: int) -> int:
    """The move of whoever stands on the square from which the word says that he comes."""
    start = 8 * (word >> SAN_RANK & 7) + (word >> SAN_FILE & 7)
    if not state[OWN + (state[TURN] >> 3)] >> start & 1:
        return ILLEGAL
    piece = state[BOARD + start] & 7
    if piece == KING and abs(end - start) > 1 and end >> 3 == start >> 3 and not word >> SAN_PROMOTION & 7:
        return _castling_by_squares(state, tables, start, end)
    return _piece_move(state, tables, word, end, piece)


@compiled
def _piece_move(state: State, tables: Tables, word: int, end: int, piece: int) -> int:
    """The move of a piece of this kind."""
    if (state[OWN + (state[TURN] >> 3)] | state[KINDS + KING]) >> end & 1:
        return ILLEGAL
    if piece == PAWN:
        return _pawn_move(state, tables, word, end)
    if word >> SAN_PROMOTION & 7:
        return ILLEGAL
    return _only_move(state, tables, word, end, piece)


@inlined
def _only_move(state: State, tables: Tables, word: int, end: int, piece: int) -> int:
    """The move of the only piece of this kind that can go there, past nobody, and leaves its king safe."""
    found = ILLEGAL
    occupied = men(state)
    movers = tables[REACH + SQUARES * piece + end] & state[KINDS + piece] & state[OWN + (state[TURN] >> 3)]
    movers &= tables[FILES + (word >> SAN_FILE & 15)] & tables[RANKS + (word >> SAN_RANK & 15)]
    while movers:
        start = lowest_bit(movers)
        movers &= movers - 1
        if tables[BETWEEN + SQUARES * start + end] & occupied or not is_safe(state, tables, start, end, end):
            continue
        if found != ILLEGAL:
            return ILLEGAL
        found = _packed(start, end, end)
    return found


@inlined
def _pawn_move(state: State, tables: Tables, word: int, end: int) -> int:
    """A pawn's move; from another file than the target's only as a capture."""
    turn = state[TURN]
    forward = 8 if turn == WHITE else -8
    rank = end >> 3 if turn == WHITE else 7 - (end >> 3)  # as the mover counts, from 0
    promotion = word >> SAN_PROMOTION & 7
    file = word >> SAN_FILE & 15
    aside = 0 if file == ANY else file - (end & 7)
    if abs(aside) > 1 or rank < 2 or promotion == KING or (promotion != 0) != (rank == 7):  # noqa: PLR2004
        return ILLEGAL
    start = end - forward + aside
    victim = end
    if aside:
        if state[BOARD + end] == EMPTY:
            if end != state[EN_PASSANT]:
                return ILLEGAL
            victim = end - forward
    elif state[BOARD + end] != EMPTY:
        return ILLEGAL
    elif rank == 3 and state[BOARD + start] == EMPTY:  # noqa: PLR2004
        start -= forward
    if state[BOARD + start] != turn | PAWN or not tables[RANKS + (word >> SAN_RANK & 15)] >> start & 1:
        return ILLEGAL
    if not is_safe(state, tables, start, end, victim):
        return ILLEGAL
    return _packed(start, end, victim) | promotion << MOVE_PROMOTION


@compiled
def _castling_by_squares(state: State, tables: Tables, start: int, end: int) -> int:
    """Castling as e1g1, or as the king taking his own rook, e1h1."""
    file = end & 7
    if start & 7 != 4:  # noqa: PLR2004
        return ILLEGAL
    if file == 1 or 2 < file < 6:  # noqa: PLR2004
        return ILLEGAL
    side = integer(KING_SIDE) if file >= 6 else integer(QUEEN_SIDE)  # noqa: PLR2004
    return _castling(state, tables, side)


@compiled
def _castling(state: State, tables: Tables, side: int) -> int:
    """Castling, if there is the right, and nothing stands or attacks between. Who has the right has king and rook."""
    turn = state[TURN]
    right = side << BLACK_RIGHTS if turn else side
    if state[CHECKED] or not state[RIGHTS] & right:
        return ILLEGAL
    king = state[KING_AT + (turn >> 3)]
    step, rook = (1, king + 3) if side == KING_SIDE else (-1, king - 4)
    occupied, enemy = men(state), (turn ^ BLACK) >> 3
    if tables[BETWEEN + SQUARES * king + rook] & occupied:
        return ILLEGAL
    for square in (king + step, king + 2 * step):
        if is_attacked(state, tables, square, enemy, state[OWN + enemy], occupied):
            return ILLEGAL
    return _packed(king, king + 2 * step, king + 2 * step) | side << MOVE_CASTLING


@inlined
def _packed(start: int, end: int, victim: int) -> int:
    return start << MOVE_START | end << MOVE_END | victim << MOVE_VICTIM
