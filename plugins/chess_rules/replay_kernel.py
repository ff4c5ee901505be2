"""The replay of a batch of games: one compiled pass over their SAN. What it fills is described in replay.py."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from plugins.chess_rules import compiled as compiling
from plugins.chess_rules import replay_board, replay_moves, replay_san
from plugins.chess_rules.compiled import compiled, compiled_once
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
    RIGHTS,
    TURN,
    State,
    find_move,
    move_castling,
    move_end,
    move_promotion,
    move_start,
    move_victim,
)
from plugins.chess_rules.replay_san import UNREADABLE, Text, read_san

UNPLAYABLE_START = -1
"""Status of a game whose starting position cannot be read, or is none of standard chess."""

CHECK, EN_PASSANT_CAPTURE, CASTLED_KING_SIDE, CASTLED_QUEEN_SIDE = 1, 2, 4, 8
"""Flags of a ply: it gives check (mate too), …"""

START, MIDDLEGAME, ENDGAME, END = range(4)
"""The four moments at which pieces are counted."""

_BLANK = 32
_FEW, _VERY_FEW, _SPARSE, _MIXED = 10, 6, 4, 150  # scalachess Divider.scala

# More of a position's state, behind what finding moves needs.
_KEY, _BODIES, _MIXEDNESS, _SEEKING, _HOME = range(KING_AT + 2, KING_AT + 7)
"""Key without en passant; majors and minors; mixedness, and whether it is still needed; the numbers of men on their
own back rank: _HOME White's, the next one Black's."""
_STATE_SIZE = _HOME + 2


class Batch(NamedTuple):
    """What is played: texts one behind the other, and the position from which each starts."""

    text: Text
    borders: npt.NDArray[np.int64]
    """Where each game's text begins; one more than there are games."""
    start: npt.NDArray[np.int32]
    """Row of its position in the next three, or -1."""
    boards: npt.NDArray[np.int8]
    """Codes of the pieces, 64 a row, a1 first."""
    turns: npt.NDArray[np.int8]
    """WHITE or BLACK."""
    rights: npt.NDArray[np.int8]
    en_passant: npt.NDArray[np.int8]
    """Square onto which a pawn can capture in passing, or -1."""
    keys: npt.NDArray[np.int64]
    """Zobrist's, from zobrist.py."""
    scores: npt.NDArray[np.int64]
    """Of mixedness, from phases.py: by row, black and white men of a square of 2 × 2."""
    key_places: npt.NDArray[np.int64]
    """Where in `keys` those of castling, en passant and White's turn begin."""


class Plies(NamedTuple):
    """What is known of each ply, all games one behind the other."""

    start: npt.NDArray[np.int8]
    end: npt.NDArray[np.int8]
    piece: npt.NDArray[np.int8]
    captured: npt.NDArray[np.int8]
    promotion: npt.NDArray[np.int8]
    flags: npt.NDArray[np.uint8]
    key: npt.NDArray[np.int64]


class Facts(NamedTuple):
    """What is known of each game."""

    border: npt.NDArray[np.int64]
    status: npt.NDArray[np.int32]
    middlegame: npt.NDArray[np.int32]
    endgame: npt.NDArray[np.int32]
    queenless: npt.NDArray[np.int32]
    castling: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int8]


class _Position(NamedTuple):
    board: Board
    state: State
    counts: npt.NDArray[np.int64]
    """Pieces by code."""
    groups: npt.NDArray[np.int64]
    """Men in each square of 2 × 2, as the place in a row of the scores; by its lower left square."""


@compiled
def _count(position: _Position, batch: Batch, square: int, piece: int, change: int) -> None:
    """Book a man that comes to a square (change 1) or leaves it (-1): key, numbers, mixedness."""
    state = position.state
    state[_KEY] ^= batch.keys[SQUARES * piece + square]
    position.counts[piece] += change
    kind, side, rank, file = piece & 7, piece >> 3, square >> 3, square & 7
    if KNIGHT <= kind <= QUEEN:
        state[_BODIES] += change
    if rank == 7 * side:
        state[_HOME + side] += change
    if state[_SEEKING]:
        more = 5 * change if side else change
        for row in range(max(rank - 1, 0), min(rank, 6) + 1):
            for column in range(max(file - 1, 0), min(file, 6) + 1):
                group = position.groups[8 * row + column]
                state[_MIXEDNESS] += batch.scores[25 * row + group + more] - batch.scores[25 * row + group]
                position.groups[8 * row + column] = group + more


@compiled
def _put(position: _Position, batch: Batch, place: int, piece: int) -> None:
    position.board[place] = piece
    _count(position, batch, square_of(place), piece, 1)


@compiled
def _lift(position: _Position, batch: Batch, place: int) -> None:
    piece = position.board[place]
    position.board[place] = EMPTY
    _count(position, batch, square_of(place), piece, -1)


@compiled
def _set_up(position: _Position, batch: Batch, row: int) -> None:
    state = position.state
    state[:] = 0
    position.counts[:] = 0
    position.groups[:] = 0
    state[_SEEKING] = 1
    for square in range(SQUARES):
        piece = batch.boards[row, square]
        if piece == EMPTY:
            position.board[place_of(square)] = EMPTY
        else:
            _put(position, batch, place_of(square), piece)
            if piece & 7 == KING:
                state[KING_AT + (piece >> 3)] = place_of(square)
    turn = batch.turns[row]
    state[TURN] = turn
    state[RIGHTS] = batch.rights[row]
    state[_KEY] ^= batch.keys[batch.key_places[0] + state[RIGHTS]]
    if turn == WHITE:
        state[_KEY] ^= batch.keys[batch.key_places[2]]
    if batch.en_passant[row] >= 0:
        state[EN_PASSANT] = place_of(batch.en_passant[row])
    state[CHECKED] = is_attacked(position.board, state[KING_AT + (turn >> 3)], turn ^ BLACK)


@compiled
def _rights_lost(place: int) -> int:
    """The rights that end when something leaves the place or arrives there."""
    square = square_of(place)
    file, rank = square & 7, square >> 3
    if rank not in (0, 7):
        return 0
    lost = 0
    if file in (4, 7):
        lost |= KING_SIDE
    if file in (4, 0):
        lost |= QUEEN_SIDE
    return lost << BLACK_RIGHTS if rank else lost


@compiled
def _make(position: _Position, batch: Batch, move: int) -> None:
    """Make a legal move; whether it gives check is in the state afterwards."""
    board, state = position.board, position.state
    turn = state[TURN]
    start, end, victim = move_start(move), move_end(move), move_victim(move)
    piece = board[start]
    if board[victim] != EMPTY:
        _lift(position, batch, victim)
    _lift(position, batch, start)
    promotion = move_promotion(move)
    _put(position, batch, end, turn | promotion if promotion else piece)
    castling = move_castling(move)
    if castling:
        corner = start + 3 if castling == KING_SIDE else start - 4
        _lift(position, batch, corner)
        _put(position, batch, (start + end) >> 1, turn | ROOK)
    if piece & 7 == KING:
        state[KING_AT + (turn >> 3)] = end
    if state[RIGHTS]:
        rights = state[RIGHTS] & ~(_rights_lost(start) | _rights_lost(end))
        castling_keys = batch.key_places[0]
        state[_KEY] ^= batch.keys[castling_keys + state[RIGHTS]] ^ batch.keys[castling_keys + rights]
        state[RIGHTS] = rights
    state[EN_PASSANT] = (start + end) >> 1 if piece & 7 == PAWN and abs(end - start) == 32 else 0  # noqa: PLR2004
    state[TURN] = turn ^ BLACK
    state[_KEY] ^= batch.keys[batch.key_places[2]]
    state[CHECKED] = is_attacked(board, state[KING_AT + (state[TURN] >> 3)], turn)


@compiled
def _key(position: _Position, batch: Batch) -> int:
    """The position's key; the file of an en passant capture is in it only if a pawn stands ready for it."""
    state = position.state
    place = state[EN_PASSANT]
    if place:
        turn = state[TURN]
        pawn, passed = turn | PAWN, place - 16 if turn == WHITE else place + 16
        if position.board[passed - 1] == pawn or position.board[passed + 1] == pawn:
            return int(state[_KEY] ^ batch.keys[batch.key_places[1] + (place & 7)])
    return int(state[_KEY])


@compiled
def _keep_counts(position: _Position, facts: Facts, game: int, moment: int) -> None:
    for side in range(2):
        for kind in range(PAWN, QUEEN + 1):
            facts.counts[game, moment, side, kind - PAWN] = position.counts[8 * side + kind]


@compiled
def _look(position: _Position, facts: Facts, game: int, ply: int) -> None:
    """See whether the position after a ply begins a phase of the game, or is the first one without queens."""
    state = position.state
    if facts.queenless[game] < 0 and position.counts[QUEEN] + position.counts[BLACK | QUEEN] == 0:
        facts.queenless[game] = ply
    if facts.endgame[game] >= 0:
        return
    if state[_SEEKING] and (
        state[_BODIES] <= _FEW or state[_HOME] < _SPARSE or state[_HOME + 1] < _SPARSE or state[_MIXEDNESS] > _MIXED
    ):
        facts.middlegame[game] = ply
        state[_SEEKING] = 0
        _keep_counts(position, facts, game, MIDDLEGAME)
    if state[_BODIES] <= _VERY_FEW:
        facts.endgame[game] = ply
        if facts.middlegame[game] == ply:  # it is no phase of its own if it does not begin before
            facts.middlegame[game] = -1
        _keep_counts(position, facts, game, ENDGAME)


@compiled
def _record(position: _Position, plies: Plies, row: int, move: int) -> None:
    """Note a ply before it is made."""
    board = position.board
    start, end, victim = move_start(move), move_end(move), move_victim(move)
    plies.start[row] = square_of(start)
    plies.end[row] = square_of(end)
    plies.piece[row] = board[start] & 7
    plies.captured[row] = board[victim] & 7
    plies.promotion[row] = move_promotion(move)
    flags = EN_PASSANT_CAPTURE if victim != end else 0
    if move_castling(move) == KING_SIDE:
        flags |= CASTLED_KING_SIDE
    elif move_castling(move) == QUEEN_SIDE:
        flags |= CASTLED_QUEEN_SIDE
    plies.flags[row] = flags


@compiled
def _play(position: _Position, batch: Batch, game: int, plies: Plies, facts: Facts) -> int:
    """Play one game, its plies from row `facts.border[game]` on; the row behind its last one."""
    row = int(facts.border[game])
    cursor, behind = batch.borders[game], batch.borders[game + 1]
    ply = 0
    _look(position, facts, game, 0)
    _keep_counts(position, facts, game, START)
    while True:
        while cursor < behind and batch.text[cursor] <= _BLANK:
            cursor += 1
        if cursor >= behind:
            break
        first = cursor
        while cursor < behind and batch.text[cursor] > _BLANK:
            cursor += 1
        ply += 1
        word = read_san(batch.text, first, cursor)
        move = ILLEGAL if word == UNREADABLE else find_move(position.board, position.state, word)
        if move == ILLEGAL:
            facts.status[game] = ply
            break
        _record(position, plies, row, move)
        if move_castling(move):
            facts.castling[game, position.state[TURN] >> 3] = ply
        _make(position, batch, move)
        if position.state[CHECKED]:
            plies.flags[row] |= CHECK
        plies.key[row] = _key(position, batch)
        row += 1
        _look(position, facts, game, ply)
    _keep_counts(position, facts, game, END)
    return row


@compiled
def _play_all(batch: Batch, plies: Plies, facts: Facts) -> int:
    position = _Position(
        np.full(PLACES, MARGIN, dtype=np.int8),
        np.zeros(_STATE_SIZE, dtype=np.int64),
        np.zeros(16, dtype=np.int64),
        np.zeros(SQUARES, dtype=np.int64),
    )
    row = 0
    facts.border[0] = 0
    for game in range(batch.start.size):
        if batch.start[game] < 0:
            facts.status[game] = UNPLAYABLE_START
        else:
            _set_up(position, batch, batch.start[game])
            row = _play(position, batch, game, plies, facts)
        facts.border[game + 1] = row
    return row


_STAMP = compiling.stamp(
    file for module in (compiling, replay_board, replay_san, replay_moves) if (file := module.__file__)
)


def _kernel(stamp: int) -> Callable[[Batch, Plies, Facts], tuple[int, int]]:
    """The function that is kept on disk; `stamp` is its free variable, and so a part of the key to it there."""

    def play(batch: Batch, plies: Plies, facts: Facts) -> tuple[int, int]:
        return _play_all(batch, plies, facts), stamp

    return play


_play_batch = compiled_once(_kernel(_STAMP))


def play(batch: Batch, plies: Plies, facts: Facts) -> int:
    """Play all games of a batch; the number of plies. `plies` has room for as many words as the texts can hold."""
    return _play_batch(batch, plies, facts)[0]
