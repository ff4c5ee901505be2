"""The replay of a batch of games: one compiled pass over their SAN. What it fills is described in replay.py.

Compiled functions hand on three plain arrays (board, state, tables): tuples of arrays take long to compile, and each
look into one costs a count of references. A constant as an argument makes a function of its own, to be compiled apart:
`integer(0)` is none.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from plugins.chess_rules import compiled as compiling
from plugins.chess_rules import replay_board, replay_moves, replay_san
from plugins.chess_rules.compiled import compiled, compiled_once, integer
from plugins.chess_rules.mixedness import SCORES
from plugins.chess_rules.replay_board import (
    BLACK,
    BLACK_RIGHTS,
    EMPTY,
    KING,
    KING_SIDE,
    KNIGHT,
    MARGIN,
    PAWN,
    PLACES,
    QUEEN,
    QUEEN_SIDE,
    ROOK,
    SQUARES,
    WHITE,
    Board,
    is_attacked,
    place_of,
    square_of,
)
from plugins.chess_rules.replay_moves import (
    CHECKED,
    EN_PASSANT,
    ILLEGAL,
    KING_AT,
    MOVE_CASTLING,
    MOVE_END,
    MOVE_PROMOTION,
    MOVE_START,
    MOVE_VICTIM,
    RIGHTS,
    TURN,
    State,
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

# Rows of what is known of plies; what they mean is said in replay.py.
FROM, TO, PIECE, CAPTURED, PROMOTION, FLAGS, N_PLY_ROWS = range(7)

# Columns of what is known of games, by game.
STATUS, N_PLIES, MIDDLEGAME_PLY, ENDGAME_PLY, QUEENLESS_PLY, CASTLING_PLY, N_FACTS = 0, 1, 2, 3, 4, 5, 7
"""CASTLING_PLY White's, the next one Black's."""

# Columns of a starting position, behind the codes of its 64 squares.
START_TURN, START_RIGHTS, START_EN_PASSANT, START_SIZE = range(SQUARES, SQUARES + 4)
"""WHITE or BLACK; the rights; square onto which a pawn can capture in passing, or -1."""

_BLANK = 32
_FEW, _VERY_FEW, _SPARSE, _MIXED = 10, 6, 4, 150  # scalachess Divider.scala

# The tables that the replay reads, one behind the other: Zobrist's keys, then the scores of mixedness.
TABLES: npt.NDArray[np.int64] = np.concatenate((KEYS, SCORES))
_CASTLING_KEYS = 16 * SQUARES
_FILE_KEYS = _CASTLING_KEYS + 16
_WHITE_KEY = _FILE_KEYS + 8
_SCORES = _WHITE_KEY + 1

# More of a position's state, behind what finding moves needs.
_KEY, _BODIES, _MIXEDNESS, _SEEKING, _HOME = range(KING_AT + 2, KING_AT + 7)
"""Key without en passant; majors and minors; mixedness, and whether it is still needed; the numbers of men on their
own back rank: _HOME White's, the next one Black's."""
_COUNTS = _HOME + 2
"""Pieces by code, 16 numbers."""
_GROUPS = _COUNTS + 16
"""Men in each square of 2 × 2 by its lower left square, White's + 5 times Black's: 64 numbers."""
_STATE_SIZE = _GROUPS + SQUARES

Tables = npt.NDArray[np.int64]
Starts = npt.NDArray[np.int8]
PlyRows = npt.NDArray[np.int8]
Keys = npt.NDArray[np.int64]
Facts = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int8]


@compiled
def _book(state: State, tables: Tables, square: int, piece: int, change: int) -> None:
    """Book a piece that comes to a square (change 1) or leaves it (-1): key, numbers, mixedness."""
    state[_KEY] ^= tables[SQUARES * piece + square]
    state[_COUNTS + piece] += change
    kind, side, rank, file = piece & 7, piece >> 3, square >> 3, square & 7
    if KNIGHT <= kind <= QUEEN:
        state[_BODIES] += change
    if rank == 7 * side:
        state[_HOME + side] += change
    if state[_SEEKING]:
        _mix(state, tables, rank, file, 5 * change if side else change)


@compiled
def _mix(state: State, tables: Tables, rank: int, file: int, more: int) -> None:
    """Change the squares of 2 × 2 (up to four) that have this square, and the sum of their scores."""
    for row in range(rank - 1 if rank else 0, rank + 1 if rank < 7 else 7):  # noqa: PLR2004
        for column in range(file - 1 if file else 0, file + 1 if file < 7 else 7):  # noqa: PLR2004
            group = state[_GROUPS + 8 * row + column]
            scores = _SCORES + 25 * row
            state[_MIXEDNESS] += tables[scores + group + more] - tables[scores + group]
            state[_GROUPS + 8 * row + column] = group + more


@compiled
def _set(board: Board, state: State, tables: Tables, place: int, piece: int) -> None:
    """Let a piece, or nothing, stand at a place instead of what stands there."""
    for comes in range(2):
        changed = piece if comes else integer(board[place])
        if changed != EMPTY:
            _book(state, tables, square_of(place), changed, 2 * comes - 1)
    board[place] = piece


@compiled
def _set_up(board: Board, state: State, tables: Tables, starts: Starts, row: int) -> None:
    """Take up a starting position."""
    for number in range(_STATE_SIZE):
        state[number] = 0
    state[_SEEKING] = 1
    for square in range(SQUARES):
        piece, place = integer(starts[row, square]), place_of(square)
        board[place] = EMPTY
        _set(board, state, tables, place, piece)
        if piece & 7 == KING:
            state[KING_AT + (piece >> 3)] = place
    turn, rights, passed = (
        integer(starts[row, START_TURN]),
        starts[row, START_RIGHTS],
        integer(starts[row, START_EN_PASSANT]),
    )
    state[TURN], state[RIGHTS] = turn, rights
    state[EN_PASSANT] = place_of(passed) if passed >= 0 else 0
    state[_KEY] ^= tables[_CASTLING_KEYS + rights] ^ (tables[_WHITE_KEY] if turn == WHITE else 0)
    state[CHECKED] = is_attacked(board, state[KING_AT + (turn >> 3)], turn ^ BLACK)


@compiled
def _rights_lost(place: int) -> int:
    """The rights that end when something leaves the place or arrives there."""
    square = square_of(place)
    file, rank = square & 7, square >> 3
    lost = 0
    if file == 4 or file == 7:  # noqa: PLR1714, PLR2004  # a set or tuple takes long to compile
        lost |= KING_SIDE
    if file == 4 or file == 0:  # noqa: PLR1714, PLR2004  # as above
        lost |= QUEEN_SIDE
    if rank == 0:
        return lost
    return lost << BLACK_RIGHTS if rank == 7 else 0  # noqa: PLR2004


@compiled
def _make(board: Board, state: State, tables: Tables, move: int) -> None:
    """Make a legal move; whether it gives check is in the state afterwards."""
    turn = state[TURN]
    start, end, victim = move >> MOVE_START & 255, move >> MOVE_END & 255, move >> MOVE_VICTIM & 255
    promotion, castling = move >> MOVE_PROMOTION & 7, move >> MOVE_CASTLING & 3
    piece = integer(board[start])
    nothing = integer(EMPTY)
    _set(board, state, tables, start, nothing)
    _set(board, state, tables, end, turn | promotion if promotion else piece)
    if victim != end:
        _set(board, state, tables, victim, nothing)
    if castling:
        _set(board, state, tables, start + 3 if castling == KING_SIDE else start - 4, nothing)
        _set(board, state, tables, (start + end) >> 1, turn | ROOK)
    if piece & 7 == KING:
        state[KING_AT + (turn >> 3)] = end
    rights = state[RIGHTS]
    if rights:
        kept = rights & ~(_rights_lost(start) | _rights_lost(end))
        state[_KEY] ^= tables[_CASTLING_KEYS + rights] ^ tables[_CASTLING_KEYS + kept]
        state[RIGHTS] = kept
    state[EN_PASSANT] = (start + end) >> 1 if piece & 7 == PAWN and abs(end - start) == 32 else 0  # noqa: PLR2004
    state[TURN] = turn ^ BLACK
    state[_KEY] ^= tables[_WHITE_KEY]
    state[CHECKED] = is_attacked(board, state[KING_AT + ((turn ^ BLACK) >> 3)], turn)


@compiled
def _key(board: Board, state: State, tables: Tables) -> int:
    """The position's key; the file of an en passant capture is in it only if a pawn stands ready for it."""
    place = state[EN_PASSANT]
    key: int = state[_KEY]
    if place:
        pawn, passed = state[TURN] | PAWN, place - 16 if state[TURN] == WHITE else place + 16
        if board[passed - 1] == pawn or board[passed + 1] == pawn:
            key ^= tables[_FILE_KEYS + (place & 7)]
    return key


@compiled
def _keep(state: State, counts: Counts, game: int, moments: int) -> None:
    """Keep how many pieces there are, at those of the four moments that are set as bits."""
    for moment in range(4):
        if moments >> moment & 1:
            for number in range(10):
                counts[game, moment, number] = state[_COUNTS + 1 + number + (3 if number > 4 else 0)]  # noqa: PLR2004


@compiled
def _look(state: State, facts: Facts, game: int, ply: int) -> int:
    """See what the position after a ply begins: a phase of the game, or life without queens. Moments as bits."""
    moments = 0 if ply else 1 << START
    if facts[game, QUEENLESS_PLY] < 0 and state[_COUNTS + QUEEN] + state[_COUNTS + (BLACK | QUEEN)] == 0:
        facts[game, QUEENLESS_PLY] = ply
    if state[_SEEKING]:
        sparse = state[_HOME] < _SPARSE or state[_HOME + 1] < _SPARSE
        if state[_BODIES] > _FEW and not sparse and state[_MIXEDNESS] <= _MIXED:
            return moments
        state[_SEEKING] = 0
        facts[game, MIDDLEGAME_PLY] = ply
        moments |= 1 << MIDDLEGAME
    if state[_BODIES] <= _VERY_FEW and facts[game, ENDGAME_PLY] < 0:
        facts[game, ENDGAME_PLY] = ply
        moments |= 1 << ENDGAME
        if facts[game, MIDDLEGAME_PLY] == ply:  # it is no phase of its own if it does not begin before
            facts[game, MIDDLEGAME_PLY] = -1
            moments &= ~(1 << MIDDLEGAME)
    return moments


@compiled
def _record(board: Board, move: int, plies: PlyRows, row: int) -> None:
    """Note a ply before it is made."""
    start, end, victim = move >> MOVE_START & 255, move >> MOVE_END & 255, move >> MOVE_VICTIM & 255
    castling = move >> MOVE_CASTLING & 3
    plies[FROM, row] = square_of(start)
    plies[TO, row] = square_of(end)
    plies[PIECE, row] = board[start] & 7
    plies[CAPTURED, row] = board[victim] & 7
    plies[PROMOTION, row] = move >> MOVE_PROMOTION & 7
    flags = EN_PASSANT_CAPTURE if victim != end else 0
    if castling:
        flags = CASTLED_KING_SIDE if castling == KING_SIDE else CASTLED_QUEEN_SIDE
    plies[FLAGS, row] = flags


_SOURCES = (compiling, replay_board, replay_san, replay_moves)
_STAMP = compiling.stamp(file for module in _SOURCES if (file := module.__file__))


@compiled
def _next_word(text: Text, cursor: int, behind: int) -> int:
    """Where the next word begins, if it is before `behind`."""
    while cursor < behind and text[cursor] <= _BLANK:
        cursor += 1
    return cursor


@compiled
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
        board: Board,
        state: State,
        tables: Tables,
        plies: PlyRows,
        keys: Keys,
        facts: Facts,
        counts: Counts,
    ) -> int:
        row = integer(0)
        for game in range(rows.size):
            if rows[game] < 0:
                facts[game, STATUS] = UNPLAYABLE_START
                continue
            _set_up(board, state, tables, starts, integer(rows[game]))
            behind, ply = borders[game + 1], integer(0)
            first = _next_word(text, borders[game], behind)
            moments = _look(state, facts, game, ply)
            while True:
                _keep(state, counts, game, moments)
                if first >= behind:
                    break
                end = _end_of_word(text, first, behind)
                word = read_san(text, first, end)
                move = ILLEGAL if word == UNREADABLE else find_move(board, state, word)
                if move == ILLEGAL:
                    facts[game, STATUS] = ply + 1
                    break
                ply += 1
                _record(board, move, plies, row)
                if move >> MOVE_CASTLING:
                    facts[game, CASTLING_PLY + (state[TURN] >> 3)] = ply
                _make(board, state, tables, move)
                plies[FLAGS, row] |= CHECK * state[CHECKED]
                keys[row] = _key(board, state, tables)
                row += 1
                moments = _look(state, facts, game, ply)
                first = _next_word(text, end, behind)
            facts[game, N_PLIES] = ply
            _keep(state, counts, game, integer(1 << END))
        return row if stamp >= 0 else -1

    return play


_play = compiled_once(_kernel(_STAMP), makes_arrays=False)


def play(
    text: Text, borders: npt.NDArray[np.int64], rows: npt.NDArray[np.int32], starts: Starts, room: int
) -> tuple[PlyRows, Keys, Facts, Counts]:
    """Play games: text[borders[g]:borders[g + 1]] from starts[rows[g]], or from nowhere if that is -1.

    `room` is the greatest number of plies that the texts can hold. What comes back are the rows of plies, their keys,
    the columns of the games, and the pieces by game, moment, side and kind.
    """
    n_games = rows.size
    plies = np.empty((N_PLY_ROWS, room), dtype=np.int8)
    keys = np.empty(room, dtype=np.int64)
    facts = np.zeros((n_games, N_FACTS), dtype=np.int32)
    facts[:, MIDDLEGAME_PLY : QUEENLESS_PLY + 1] = -1
    counts = np.full((n_games, 4, 10), -1, dtype=np.int8)
    board = np.full(PLACES, MARGIN, dtype=np.int8)
    state = np.zeros(_STATE_SIZE, dtype=np.int64)
    n_plies = _play(text, borders, rows, starts, board, state, TABLES, plies, keys, facts, counts)
    return plies[:, :n_plies], keys[:n_plies], facts, counts.reshape(n_games, 4, 2, 5)
