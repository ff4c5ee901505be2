"""Games of a dump, compiled: one pass over a block of bytes finds where they are and reads those in the dumps' form.

A block begins where a game may begin, and its games are cut before every `[Event ` at the start of a line. A game that
is not to its last character as Lichess's exporter writes it is refused as a whole: only its place is known then.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kshift_assets.chess import pgn_bytes, pgn_moves, pgn_tags
from kshift_assets.chess.pgn_bytes import PADDING, Bytes, below, byte_at, word_at, word_of
from kshift_assets.chess.pgn_moves import ENDS, MOVES_END, N_LISTS, PLIES, STATE_SIZE, Values, keep_moves, read_moves
from kshift_assets.chess.pgn_pieces import MAX_GAME_BYTES
from kshift_assets.chess.pgn_tags import (
    EVENT,
    EVENT_BYTES,
    GAME_ID,
    LINE_FEED,
    NAMES,
    OTHERS_END,
    REFUSED,
    RESULT,
    RETURN,
    SITE,
    Spans,
    State,
    is_letter_or_digit,
    line_end,
    read_tags,
)
from plugins.chess_rules import compiled as compiling
from plugins.chess_rules.compiled import compiled, compiled_once, integer, stamp

MOST_GAMES = 1 << 14
"""The kernel reads so many at a time: its tables are made for them."""

# Columns of `games`: where a game begins and ends, whether it was read, what the lists and texts reach up to behind it.
BEGIN, END, IS_READ, ID_AT, N_PLIES, MOVES_TO, OTHERS_TO, LISTS_TO = range(8)
N_FACTS = LISTS_TO + N_LISTS

Games = npt.NDArray[np.int32]

_BORDER = word_of("\n[Event ")
_N_NAMES = len(NAMES)
ID_LENGTH = 8
_RESULTS = tuple(word_of(text) for text in ("1-0", "0-1", "1/2-1/2", "*"))
_DRAW_LENGTH = 7
_SLASH, _HTTP, _REST_OF_HTTP, _WWW = ord("/"), word_of("http"), word_of("://"), word_of("www.")
_LICHESS, _ORG, _WHITE, _BLACK = (word_of(text) for text in ("lichess.", "org/", "/white", "/black"))


@compiled
def _is_id(text: Bytes, at: int) -> bool:
    for place in range(at, at + ID_LENGTH):  # noqa: SIM110  # a generator cannot be compiled
        if not is_letter_or_digit(byte_at(text, place)):
            return False
    return True


@compiled
def _id_of_site(text: Bytes, begin: int, end: int) -> int:
    """Where the id stands in `https://lichess.org/AbCd1234`."""
    at = begin
    if word_at(text, at) & below(4) != _HTTP:
        return REFUSED
    at += 5 if byte_at(text, at + 4) == ord("s") else 4
    if word_at(text, at) & below(3) != _REST_OF_HTTP:
        return REFUSED
    at += 3
    at += 4 if word_at(text, at) & below(4) == _WWW else 0
    if word_at(text, at) != _LICHESS or word_at(text, at + 8) & below(4) != _ORG or not _is_id(text, at + 12):
        return REFUSED
    at += 12
    last = word_at(text, at + ID_LENGTH) & below(6)
    is_side = end - at == ID_LENGTH + 6 and (last in (_WHITE, _BLACK))
    return at if end - at == ID_LENGTH or is_side else REFUSED


@compiled
def _find_id(text: Bytes, spans: Spans, row: int) -> int:
    """Where the id stands that Lichess gave the game: its GameId, or what its Site ends with."""
    at = integer(spans[row, 2 * GAME_ID])
    if spans[row, 2 * GAME_ID + 1] == ID_LENGTH and _is_id(text, at):
        return at
    at, length = integer(spans[row, 2 * SITE]), integer(spans[row, 2 * SITE + 1])
    return _id_of_site(text, at, at + length) if length >= 0 else REFUSED


@compiled
def _end_of_result(text: Bytes, at: int, spans: Spans, row: int) -> int:
    """Where the result ends, if it is one and tag Result says the same."""
    begin, length = integer(spans[row, 2 * RESULT]), integer(spans[row, 2 * RESULT + 1])
    if length < 0 or length > _DRAW_LENGTH:
        return REFUSED
    result = word_at(text, begin) & below(length)
    if result not in _RESULTS or word_at(text, at) & below(length) != result:
        return REFUSED
    return at + length


@compiled
def _end_of_game(text: Bytes, at: int, size: int) -> int:
    """The end of the game whose result ends here: of the text, or before the end of line that another game follows."""
    end = REFUSED
    while at < size:
        if byte_at(text, at) == RETURN and at + 1 == size:
            return size
        line = line_end(text, at)
        if line < 0:
            break
        at, end = line, line - 1
    if at == size:
        return size
    return end if word_at(text, at) & below(EVENT_BYTES) == EVENT else REFUSED


@compiled
def _find_end(text: Bytes, begin: int, size: int) -> int:
    """The end of the game that begins here, whatever is in it."""
    for at in range(begin, size):
        if byte_at(text, at) == LINE_FEED and word_at(text, at) == _BORDER:
            return at
    return size


@compiled
def _read_game(  # noqa: PLR0913, PLR0917  # plain arrays: see replay_kernel
    text: Bytes,
    size: int,
    begin: int,
    row: int,
    games: Games,
    spans: Spans,
    moves: Bytes,
    values: Values,
    others: Bytes,
    state: State,
) -> int:
    """Read a game into a row of `games`; returns where it ends."""
    for tag in range(_N_NAMES):
        spans[row, 2 * tag + 1] = -1
    at = read_tags(text, begin, spans, row, others, state)
    if at < 0:
        return REFUSED
    at = line_end(text, at)
    if at < 0:
        return REFUSED
    at = read_moves(text, at, moves, values, state)
    if at < 0:
        return REFUSED
    at = _end_of_result(text, at, spans, row)
    if at < 0:
        return REFUSED
    end = _end_of_game(text, at, size)
    id_at = _find_id(text, spans, row)
    if end < 0 or id_at < 0 or end - begin > MAX_GAME_BYTES:
        return REFUSED
    keep_moves(values, state)
    games[row, ID_AT], games[row, N_PLIES], games[row, MOVES_TO] = id_at, state[PLIES], state[MOVES_END]
    games[row, OTHERS_TO] = state[OTHERS_END]
    for column in range(N_LISTS):
        games[row, LISTS_TO + column] = state[ENDS + column]
    return end


_STAMP = stamp(str(module.__file__) for module in (compiling, pgn_bytes, pgn_tags, pgn_moves))


def _kernel(stamp: int) -> Callable[..., int]:
    """The compiled loop; `stamp` makes the cache forget it when a file changes from which it calls something."""

    def read(  # noqa: PLR0913, PLR0917  # plain arrays: see replay_kernel
        text: Bytes,
        size: int,
        begin: int,
        games: Games,
        spans: Spans,
        moves: Bytes,
        values: Values,
        others: Bytes,
        state: State,
    ) -> int:
        row, at = integer(0), integer(begin)
        while at < size and row < games.shape[0]:
            kept = state[OTHERS_END]
            end = _read_game(text, size, at, row, games, spans, moves, values, others, state)
            games[row, IS_READ] = end >= 0
            if end < 0:
                state[OTHERS_END] = kept
                end = _find_end(text, at, size)
            games[row, BEGIN], games[row, END] = at, end
            row += 1
            at = end + 1
        return row if stamp >= 0 else -1

    return read


_read = compiled_once(_kernel(_STAMP), makes_arrays=False)


class Room:
    """Arrays that the kernel writes to, as large as any text up to `n_bytes` may need; what it leaves takes no memory.

    Made once a thread: new ones each time would come from ever other places, and take their whole size in the end.
    """

    def __init__(self, n_bytes: int) -> None:
        """`n_bytes`: the largest text."""
        n_games = min(MOST_GAMES, n_bytes + 1)
        self.n_bytes = n_bytes
        self.games = np.empty((n_games, N_FACTS), dtype=np.int32)
        self.spans = np.empty((n_games, 2 * _N_NAMES), dtype=np.int32)
        self.moves = np.empty(n_bytes + PADDING, dtype=np.uint8)
        self.others = np.empty(n_bytes + PADDING, dtype=np.uint8)
        self.values = np.empty((N_LISTS, (n_bytes + PADDING) // 3), dtype=np.int32)  # three bytes a move at least


@dataclass(frozen=True)
class Found:
    """What the kernel found in a part of a text: how many games, and in `room` all else, until it is used again."""

    text: Bytes
    n_games: int
    room: Room

    @property
    def games(self) -> Games:
        """Where and how the games stand."""
        return self.room.games[: self.n_games]


def find_games(text: Bytes, size: int, begin: int, room: Room) -> Found:
    """The games of a text from a place on, at most MOST_GAMES; PADDING zero bytes stand behind its `size` bytes."""
    state = np.zeros(STATE_SIZE, dtype=np.int64)
    n_games = _read(text, size, begin, room.games, room.spans, room.moves, room.values, room.others, state)
    return Found(text, n_games, room)
