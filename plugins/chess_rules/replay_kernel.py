"""The replay of a batch of games: one compiled pass over their SAN. What it fills is described in replay.py.

Compiled functions hand on plain arrays (state, tables): tuples of arrays take long to compile, and each look into one
costs a count of references. A constant as an argument makes a function of its own, to be compiled apart: `integer(0)`
is none.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from plugins.chess_rules import compiled as compiling
from plugins.chess_rules import replay_board, replay_moves, replay_san
from plugins.chess_rules.compiled import compiled, compiled_once, inlined, integer, n_bits
from plugins.chess_rules.mixedness import SCORES
from plugins.chess_rules.replay_board import (
    BISHOP,
    BLACK,
    BLACK_RIGHTS,
    BOARD,
    BOARD_SIZE,
    CHECKED,
    EMPTY,
    EN_PASSANT,
    KINDS,
    KING,
    KING_AT,
    KING_SIDE,
    KNIGHT,
    OWN,
    PAWN,
    PAWNS,
    QUEEN,
    QUEEN_SIDE,
    RIGHTS,
    ROOK,
    SQUARES,
    TABLES_SIZE,
    TURN,
    WHITE,
    State,
    Tables,
    is_attacked,
    men,
    tables,
)
from plugins.chess_rules.replay_moves import (
    ILLEGAL,
    MOVE_CASTLING,
    MOVE_END,
    MOVE_PROMOTION,
    MOVE_START,
    MOVE_VICTIM,
    find_move,
)
from plugins.chess_rules.replay_san import UNREADABLE, Text, read_san
from plugins.chess_rules.zobrist import KEYS

UNPLAYABLE_START = -1
"""Status of a game whose starting position cannot be read, or is none of standard chess."""

CHECK, EN_PASSANT_CAPTURE, CASTLED_KING_SIDE, CASTLED_QUEEN_SIDE = 1, 2, 4, 8
"""Flags of a ply: it gives check (mate too), …"""

START, MIDDLEGAME, ENDGAME, END = range(4)
"""The four moments at which pieces are counted."""

WHOLE, UNTIL_PHASES, UNTIL_CASTLING, UNTIL_QUEENS = 0, 1, 2, 4
"""How far games are played: to their end, and every ply is told; or, of the others added up, until all of them are
known: both phases; the castling of both sides (neither has the right any more); when the queens had left."""

# Rows of what is known of plies; what they mean is said in replay.py.
FROM, TO, PIECE, CAPTURED, PROMOTION, FLAGS, N_PLY_ROWS = range(7)

# Columns of what is known of games, by game.
STATUS, N_PLIES, MIDDLEGAME_PLY, ENDGAME_PLY, QUEENLESS_PLY, CASTLING_PLY, CASTLED, N_FACTS = 0, 1, 2, 3, 4, 5, 7, 9
"""CASTLING_PLY and CASTLED (a flag of a ply) White's, the next ones Black's."""

# Columns of a starting position, behind the codes of its 64 squares.
START_TURN, START_RIGHTS, START_EN_PASSANT, START_SIZE = range(SQUARES, SQUARES + 4)
"""WHITE or BLACK; the rights; square onto which a pawn can capture in passing, or -1."""

_BLANK = 32
_FEW, _VERY_FEW, _SPARSE, _MIXED = 10, 6, 4, 150  # scalachess Divider.scala
_HOME_OF_WHITE, _HOME_OF_BLACK = 0xFF, -1 << 56

# The tables that the replay reads, one behind the other: those of the board, Zobrist's keys, the scores of mixedness,
# and the scores of the squares of 2 × 2 that reach beyond the board: none.
_ZOBRIST = TABLES_SIZE
_CASTLING_KEYS = _ZOBRIST + 16 * SQUARES
_FILE_KEYS = _CASTLING_KEYS + 16
_WHITE_KEY = _FILE_KEYS + 8
_SCORES = _WHITE_KEY + 1
_GROUP_SCORES = 25
_NO_SCORES = _SCORES + 7 * _GROUP_SCORES
TABLES: Tables = np.concatenate((tables(), KEYS, SCORES, np.zeros(_GROUP_SCORES, dtype=np.int64)))

# More of a position's state, behind what finding moves needs.
_WHOLE, _KEY, _SEEKING, _MIXEDNESS, _GROUPS = range(BOARD_SIZE, BOARD_SIZE + 5)
"""Whether each ply is told; key without en passant; whether the middlegame is still to come, and mixedness as long as
it is. _GROUPS: of each square of 2 × 2, by its upper right square, the place of its score: 9 × 9 with those that reach
beyond the board."""
_GROUPS_WIDTH = 9
_STATE_SIZE = _GROUPS + _GROUPS_WIDTH**2

Starts = npt.NDArray[np.int8]
PlyRows = npt.NDArray[np.int8]
Keys = npt.NDArray[np.int64]
Facts = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int8]


@inlined
def _toggle(state: State, tables: Tables, square: int, piece: int, more: int) -> None:
    """Let a piece come to an empty square (more is 1) or leave its square (-1); its code on the board stays."""
    side, bit = piece >> 3, 1 << square
    state[OWN + side] ^= bit
    state[KINDS + (piece & 7)] ^= bit
    if state[_WHOLE]:
        state[_KEY] ^= tables[_ZOBRIST + SQUARES * piece + square]
    if state[_SEEKING]:
        _mix(state, tables, _GROUPS + _GROUPS_WIDTH * (square >> 3) + (square & 7), 5 * more if side else more)


@inlined
def _mix(state: State, tables: Tables, lower_left: int, more: int) -> None:
    """Change the four squares of 2 × 2 that have a square, and the sum of their scores."""
    mixedness = state[_MIXEDNESS]
    for corner in range(4):
        group = lower_left + (corner & 1) + _GROUPS_WIDTH * (corner >> 1)
        score = state[group]
        mixedness += tables[score + more] - tables[score]
        state[group] = score + more
    state[_MIXEDNESS] = mixedness


@compiled
def _set_up(state: State, tables: Tables, starts: Starts, row: int, until: int) -> None:
    """Take up a starting position."""
    for number in range(_STATE_SIZE):
        state[number] = 0
    state[_WHOLE], state[_SEEKING] = until == WHOLE, 1
    for number in range(_GROUPS_WIDTH**2):
        rank, file = number // _GROUPS_WIDTH, number % _GROUPS_WIDTH
        inside = 0 < rank < 8 and 0 < file < 8  # noqa: PLR2004
        state[_GROUPS + number] = _SCORES + _GROUP_SCORES * (rank - 1) if inside else _NO_SCORES
    for square in range(SQUARES):
        piece = integer(starts[row, square])
        if piece != EMPTY:
            state[BOARD + square] = piece
            _toggle(state, tables, square, piece, integer(1))
            if piece & 7 == KING:
                state[KING_AT + (piece >> 3)] = square
    turn, rights, passed = integer(starts[row, START_TURN]), starts[row, START_RIGHTS], starts[row, START_EN_PASSANT]
    state[TURN], state[RIGHTS], state[EN_PASSANT] = turn, rights, max(passed, 0)
    state[_KEY] ^= tables[_CASTLING_KEYS + rights] ^ (tables[_WHITE_KEY] if turn == WHITE else 0)
    state[CHECKED] = _is_checked(state, tables)


@compiled
def _begin(  # plain arrays, see the top
    state: State, usual: State, tables: Tables, starts: Starts, row: int, until: int
) -> None:
    """Take up a starting position; the usual one, number 0, has been taken up already."""
    if row:
        _set_up(state, tables, starts, row, until)
    else:
        for number in range(_STATE_SIZE):
            state[number] = usual[number]


@inlined
def _is_checked(state: State, tables: Tables) -> bool:
    """Whether who is to move is in check."""
    side = state[TURN] >> 3
    return is_attacked(state, tables, state[KING_AT + side], 1 - side, state[OWN + 1 - side], men(state))


@inlined
def _rights_lost(square: int) -> int:
    """The rights that end when something leaves the square or arrives there."""
    file, rank = square & 7, square >> 3
    lost = 0
    if file == 4 or file == 7:  # noqa: PLR1714, PLR2004  # a set or tuple takes long to compile
        lost |= KING_SIDE
    if file == 4 or file == 0:  # noqa: PLR1714, PLR2004  # as above
        lost |= QUEEN_SIDE
    if rank == 0:
        return lost
    return lost << BLACK_RIGHTS if rank == 7 else 0  # noqa: PLR2004


@inlined
def _move(state: State, tables: Tables, start: int, end: int, becomes: int) -> None:
    """Let a piece go to an empty square, and become this one."""
    _toggle(state, tables, start, state[BOARD + start], integer(-1))
    _toggle(state, tables, end, becomes, integer(1))
    state[BOARD + start], state[BOARD + end] = EMPTY, becomes


@inlined
def _make(state: State, tables: Tables, move: int) -> None:
    """Make a legal move; whether it gives check is in the state afterwards."""
    turn = state[TURN]
    start, end, victim = move >> MOVE_START & 63, move >> MOVE_END & 63, move >> MOVE_VICTIM & 63
    promotion, castling = move >> MOVE_PROMOTION & 7, move >> MOVE_CASTLING
    piece = state[BOARD + start]
    captured = state[BOARD + victim]
    if captured != EMPTY:
        _toggle(state, tables, victim, captured, integer(-1))
        state[BOARD + victim] = EMPTY
    _move(state, tables, start, end, turn | promotion if promotion else piece)
    if castling:
        _move(state, tables, start + 3 if castling == KING_SIDE else start - 4, (start + end) >> 1, turn | ROOK)
    if piece & 7 == KING:
        state[KING_AT + (turn >> 3)] = end
    rights = state[RIGHTS]
    if rights:
        kept = rights & ~(_rights_lost(start) | _rights_lost(end))
        state[_KEY] ^= tables[_CASTLING_KEYS + rights] ^ tables[_CASTLING_KEYS + kept]
        state[RIGHTS] = kept
    state[EN_PASSANT] = (start + end) >> 1 if piece & 7 == PAWN and abs(end - start) == 16 else 0  # noqa: PLR2004
    state[TURN] = turn ^ BLACK
    state[_KEY] ^= tables[_WHITE_KEY]
    state[CHECKED] = _is_checked(state, tables)


@inlined
def _key(state: State, tables: Tables) -> int:
    """The position's key; the file of an en passant capture is in it only if a pawn stands ready for it."""
    square, side = state[EN_PASSANT], state[TURN] >> 3
    key: int = state[_KEY]
    if square and tables[PAWNS + SQUARES * side + square] & state[KINDS + PAWN] & state[OWN + side]:
        key ^= tables[_FILE_KEYS + (square & 7)]
    return key


@compiled
def _keep(state: State, counts: Counts, game: int, moments: int) -> None:
    """Keep how many pieces there are, at those of the four moments that are set as bits, if all is told."""
    for moment in range(4 if state[_WHOLE] else 0):
        if moments >> moment & 1:
            for number in range(10):
                side, kind = number // 5, 1 + number % 5
                counts[game, moment, number] = n_bits(state[OWN + side] & state[KINDS + kind])


@inlined
def _look(state: State, facts: Facts, game: int, ply: int) -> int:
    """See what the position after a ply begins: a phase of the game, or life without queens. Moments as bits."""
    moments = 0 if ply else 1 << START
    if state[KINDS + QUEEN] == 0 and facts[game, QUEENLESS_PLY] < 0:
        facts[game, QUEENLESS_PLY] = ply
    bodies = n_bits(state[KINDS + KNIGHT] | state[KINDS + BISHOP] | state[KINDS + ROOK] | state[KINDS + QUEEN])
    if state[_SEEKING]:
        white, black = n_bits(state[OWN] & _HOME_OF_WHITE), n_bits(state[OWN + 1] & _HOME_OF_BLACK)
        if bodies > _FEW and white >= _SPARSE and black >= _SPARSE and state[_MIXEDNESS] <= _MIXED:
            return moments
        state[_SEEKING] = 0
        facts[game, MIDDLEGAME_PLY] = ply
        moments |= 1 << MIDDLEGAME
    if bodies <= _VERY_FEW and facts[game, ENDGAME_PLY] < 0:
        facts[game, ENDGAME_PLY] = ply
        moments |= 1 << ENDGAME
        if facts[game, MIDDLEGAME_PLY] == ply:  # it is no phase of its own if it does not begin before
            facts[game, MIDDLEGAME_PLY] = -1
            moments &= ~(1 << MIDDLEGAME)
    return moments


@inlined
def _is_enough(state: State, facts: Facts, game: int, until: int) -> bool:
    """Whether all is known for whose sake the game is played."""
    if until & UNTIL_PHASES and facts[game, ENDGAME_PLY] < 0:
        return False
    if until & UNTIL_QUEENS and facts[game, QUEENLESS_PLY] < 0:
        return False
    return until != WHOLE and not (until & UNTIL_CASTLING and state[RIGHTS])


@inlined
def _flags(move: int) -> int:
    """What is known of a ply before it is made."""
    castling = move >> MOVE_CASTLING
    if castling:
        return CASTLED_KING_SIDE if castling == KING_SIDE else CASTLED_QUEEN_SIDE
    return EN_PASSANT_CAPTURE if move >> MOVE_VICTIM & 63 != move >> MOVE_END & 63 else 0


@inlined
def _record(  # plain arrays, see the top
    state: State, tables: Tables, move: int, plies: PlyRows, keys: Keys, row: int
) -> None:
    """Make a move, and note all that is told of a ply."""
    start, end, victim = move >> MOVE_START & 63, move >> MOVE_END & 63, move >> MOVE_VICTIM & 63
    plies[FROM, row] = start
    plies[TO, row] = end
    plies[PIECE, row] = state[BOARD + start] & 7
    plies[CAPTURED, row] = state[BOARD + victim] & 7
    plies[PROMOTION, row] = move >> MOVE_PROMOTION & 7
    _make(state, tables, move)
    plies[FLAGS, row] = _flags(move) | CHECK * state[CHECKED]
    keys[row] = _key(state, tables)


_SOURCES = (compiling, replay_board, replay_san, replay_moves)
_STAMP = compiling.stamp(file for module in _SOURCES if (file := module.__file__))


@inlined
def _next_word(text: Text, cursor: int, behind: int) -> int:
    """Where the next word begins, if it is before `behind`."""
    while cursor < behind and text[cursor] <= _BLANK:
        cursor += 1
    return cursor


@inlined
def _end_of_word(text: Text, cursor: int, behind: int) -> int:
    while cursor < behind and text[cursor] > _BLANK:
        cursor += 1
    return cursor


def _kernel(stamp: int) -> Callable[..., int]:
    """The function that is kept on disk; `stamp` is its free variable, and so a part of the key to it there."""

    def play(  # noqa: PLR0913, PLR0917  # plain arrays, see the top
        text: Text,
        borders: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int32],
        starts: Starts,
        until: int,
        state: State,
        usual: State,
        tables: Tables,
        plies: PlyRows,
        keys: Keys,
        facts: Facts,
        counts: Counts,
    ) -> int:
        row = integer(0)
        _set_up(usual, tables, starts, integer(0), until)
        for game in range(rows.size):
            if rows[game] < 0:
                facts[game, STATUS] = UNPLAYABLE_START
                continue
            _begin(state, usual, tables, starts, integer(rows[game]), until)
            behind, ply = borders[game + 1], integer(0)
            first = _next_word(text, borders[game], behind)
            moments = _look(state, facts, game, ply)
            while True:
                _keep(state, counts, game, moments)
                if first >= behind or _is_enough(state, facts, game, until):
                    break
                end = _end_of_word(text, first, behind)
                word = read_san(text, first, end)
                move = ILLEGAL if word == UNREADABLE else find_move(state, tables, word)
                if move == ILLEGAL:
                    facts[game, STATUS] = ply + 1
                    break
                ply += 1
                if move >> MOVE_CASTLING:
                    side = state[TURN] >> 3
                    facts[game, CASTLING_PLY + side], facts[game, CASTLED + side] = ply, _flags(move)
                if until == WHOLE:
                    _record(state, tables, move, plies, keys, row)
                    row += 1
                else:
                    _make(state, tables, move)
                moments = _look(state, facts, game, ply)
                first = _next_word(text, end, behind)
            facts[game, N_PLIES] = ply
            _keep(state, counts, game, integer(1 << END))
        return row if stamp >= 0 else -1

    return play


_play = compiled_once(_kernel(_STAMP), makes_arrays=False)


def play(
    text: Text, borders: npt.NDArray[np.int64], rows: npt.NDArray[np.int32], starts: Starts, room: int, until: int
) -> tuple[PlyRows, Keys, Facts, Counts]:
    """Play games: text[borders[g]:borders[g + 1]] from starts[rows[g]], or from nowhere if that is -1.

    `room` is the greatest number of plies that the texts can hold. What comes back are the rows of plies, their keys,
    the columns of the games, and the pieces by game, moment, side and kind; unless games are played WHOLE, the columns
    alone are filled. The usual position is the first one of `starts`.
    """
    n_games, told = rows.size, until == WHOLE
    plies = np.empty((N_PLY_ROWS, room if told else 0), dtype=np.int8)
    keys = np.empty(room if told else 0, dtype=np.int64)
    facts = np.zeros((n_games, N_FACTS), dtype=np.int32)
    facts[:, MIDDLEGAME_PLY : QUEENLESS_PLY + 1] = -1
    counts = np.full((n_games if told else 0, 4, 10), -1, dtype=np.int8)
    state, usual = np.zeros(_STATE_SIZE, dtype=np.int64), np.zeros(_STATE_SIZE, dtype=np.int64)
    n_plies = _play(text, borders, rows, starts, until, state, usual, TABLES, plies, keys, facts, counts)
    return plies[:, :n_plies], keys[:n_plies], facts, counts.reshape(-1, 4, 2, 5)


def _search(stamp: int) -> Callable[..., int]:
    """The other function that is kept on disk; `stamp` as above."""

    def search(starts: Starts, state: State, tables: Tables, facts: Facts) -> int:
        for row in range(len(starts)):
            _set_up(state, tables, starts, row, integer(UNTIL_PHASES))
            if _look(state, facts, integer(0), row) >> MIDDLEGAME:
                return row if facts[0, MIDDLEGAME_PLY] == row and stamp >= 0 else -1
        return -1

    return search


_middlegame = compiled_once(_search(_STAMP), makes_arrays=False)


def middlegame_of(positions: npt.NDArray[np.int8]) -> int:
    """The first of a game's positions that belongs to the middlegame, -1 if there is none: an endgame may come first.

    A position is the codes of its 64 squares, a1 first: it may be one of Chess960, which `play` does not play.
    """
    starts = np.zeros((len(positions), START_SIZE), dtype=np.int8)
    starts[:, :SQUARES] = positions
    facts = np.full((1, N_FACTS), -1, dtype=np.int32)
    return _middlegame(starts, np.zeros(_STATE_SIZE, dtype=np.int64), TABLES, facts)
