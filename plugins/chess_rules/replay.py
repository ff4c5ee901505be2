"""Standard games played again: from SAN to squares, pieces, positions, phases. The one door to the compiled replay.

replayed = replay(games)                     # every game; `status` says where one could not be played
replayed = playable(games)                   # the same, or UnplayableGame
replayed.moves_uci()                         # what is known of them, as columns of one row a game
turns = turning_points(games, UNTIL_PHASES)  # only what a game has once: faster, and no further than it must
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import chess
import loky
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from plugins.chess_rules.replay_board import BLACK
from plugins.chess_rules.replay_kernel import (
    CAPTURED,
    CASTLED,
    CASTLED_KING_SIDE,
    CASTLED_QUEEN_SIDE,
    CASTLING_PLY,
    CHECK,
    EN_PASSANT_CAPTURE,
    ENDGAME_PLY,
    FLAGS,
    FROM,
    MIDDLEGAME_PLY,
    N_PLIES,
    PIECE,
    PROMOTION,
    QUEENLESS_PLY,
    START_TURN,
    STATUS,
    TO,
    UNTIL_CASTLING,
    UNTIL_PHASES,
    UNTIL_QUEENS,
    WHOLE,
    play,
)
from plugins.chess_rules.replay_starts import Positions, positions

__all__ = [
    "CASTLED_KING_SIDE",
    "CASTLED_QUEEN_SIDE",
    "CHECK",
    "EN_PASSANT_CAPTURE",
    "UNTIL_CASTLING",
    "UNTIL_PHASES",
    "UNTIL_QUEENS",
    "Replay",
    "TurningPoints",
    "UnplayableGame",
    "playable",
    "replay",
    "sound",
    "turning_points",
]

READS = ("val_moves", "val_initial_fen")
"""The columns of chess.games that the replay needs."""

_SHORTEST_WORD = 3
"""Two letters and a blank: so much of the text goes into a ply at least."""
_GAMES_WORTH_A_THREAD = 1_000
_MOST_THREADS = 4


class UnplayableGame(ValueError):
    """A game cannot be played to its end by the rules of standard chess; the text says which, and where."""


@dataclass(frozen=True, eq=False)
class TurningPoints:
    """What a game has once, by game. Plies count from 1."""

    status: npt.NDArray[np.int32]
    """0, or the first ply that is no SAN, illegal or ambiguous; -1 if the start is no position of chess."""
    middlegame_ply: npt.NDArray[np.int32]
    endgame_ply: npt.NDArray[np.int32]
    """The ply after which the phase begins (0: with the start), or -1. See phases.py."""
    queenless_ply: npt.NDArray[np.int32]
    """The first ply after which neither side has a queen (0: from the start), or -1."""
    castling_ply: npt.NDArray[np.int32]
    """By game and side (White, Black): the ply with which it castled, or 0."""
    castled: npt.NDArray[np.int32]
    """By game and side: CASTLED_KING_SIDE, CASTLED_QUEEN_SIDE or 0."""

    @property
    def n_games(self) -> int:
        """How many games were played."""
        return self.status.size

    def division(self) -> pl.DataFrame:
        """`n_middlegame_ply` and `n_endgame_ply`, one row a game; see phases.py."""
        return pl.DataFrame(
            {"n_middlegame_ply": known(self.middlegame_ply), "n_endgame_ply": known(self.endgame_ply)},
        )


@dataclass(frozen=True, eq=False)
class Replay(TurningPoints):
    """What a replay of whole games found. Arrays by ply hold the plies of all games one behind the other.

    The plies of game g are rows `borders[g]` to `borders[g + 1]`; of a game that could not be played to its end those
    before the trouble. Squares are 0 (a1) to 63 (h8), pieces python-chess's (pawn 1 … king 6), plies count from 1.
    """

    borders: npt.NDArray[np.int64]
    """One more than there are games."""
    from_square: npt.NDArray[np.int8]
    to_square: npt.NDArray[np.int8]
    """Castling is the king's move, by two files."""
    piece: npt.NDArray[np.int8]
    """What moved; a pawn that promotes is a pawn."""
    captured: npt.NDArray[np.int8]
    """What was captured, or 0."""
    promotion: npt.NDArray[np.int8]
    """What the pawn became, or 0."""
    flags: npt.NDArray[np.uint8]
    """Bits CHECK (or mate), EN_PASSANT_CAPTURE, CASTLED_KING_SIDE, CASTLED_QUEEN_SIDE."""
    key: npt.NDArray[np.int64]
    """Polyglot's Zobrist key of the position after the ply, as a signed number."""
    start_key: npt.NDArray[np.int64]
    """By game: the key of its starting position; 0 if that is none."""
    black_starts: npt.NDArray[np.bool_]
    """By game: whether Black moves first."""
    counts: npt.NDArray[np.int8]
    """Pawns, knights, bishops, rooks, queens, by game, moment (START, MIDDLEGAME, ENDGAME, END) and side; -1 for a
    phase that was not reached. See material.py."""

    @cached_property
    def ply(self) -> npt.NDArray[np.int64]:
        """By ply: its number in its game, from 1."""
        return np.arange(self.key.size) - np.repeat(self.borders[:-1], np.diff(self.borders)) + 1

    def lists(self, by_ply: npt.NDArray[np.generic]) -> pl.Series:
        """An array by ply as a column with one list a game."""
        return _lists(self.borders, pa.array(by_ply))

    def keys(self) -> pl.Series:
        """The Zobrist keys after each ply, one list a game (List[Int64]); that of the start is `start_key`."""
        return self.lists(self.key)

    def moves_uci(self) -> pl.Series:
        """The moves as UCI writes them (e2e4, e7e8q, e1g1), one list a game (List[String])."""
        width = 5
        letters = np.zeros((self.key.size, width), dtype=np.uint8)
        for column, squares in ((0, self.from_square), (2, self.to_square)):
            letters[:, column] = (squares & 7) + ord("a")
            letters[:, column + 1] = (squares >> 3) + ord("1")
        letters[:, 4] = np.frombuffer(b"\0\0nbrq\0", dtype=np.uint8)[self.promotion]
        lengths = np.where(self.promotion, width, width - 1)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        data = letters.ravel()[letters.ravel() != 0]
        texts = pa.LargeStringArray.from_buffers(self.key.size, pa.py_buffer(offsets), pa.py_buffer(data))
        return _lists(self.borders, texts)

    def moves(self, game: int) -> list[chess.Move]:
        """The moves of one game (number of its row) for python-chess."""
        plies = slice(self.borders[game], self.borders[game + 1])
        return [
            chess.Move(start, end, promotion or None)
            for start, end, promotion in zip(
                self.from_square[plies].tolist(),
                self.to_square[plies].tolist(),
                self.promotion[plies].tolist(),
                strict=True,
            )
        ]


def known(plies: npt.NDArray[np.int32], unknown: int = -1) -> pl.Series:
    """Plies by game as a column (Int16), null where they are `unknown`."""
    column = pl.Series(plies)
    return column.set(column == unknown, None).cast(pl.Int16)


_Found = TypeVar("_Found", bound=TurningPoints)


def replay(games: pl.DataFrame, threads: int | None = None) -> Replay:
    """Play games of standard chess, from the usual position or a FEN; needs `val_moves` and `val_initial_fen`.

    Moves are SAN between blanks; +, #, ! and ? behind them are not looked at. A move must be legal, and the only one
    that its text can mean. Whatever the text is, a game only ever spoils itself: `status` says where. Null is no
    moves. Variants are played as if they were standard chess, so leave them out before.

    `threads`: as many as the machine has cores, at most four, unless told; few games take one.
    """
    begun, parts = _played(games, WHOLE, threads)
    plies, keys, facts, counts = (
        part[0] if len(part) == 1 else np.concatenate(part, axis=-1 if number == 0 else 0)
        for number, part in enumerate(zip(*parts, strict=True))
    )
    readable = begun.row >= 0
    return Replay(
        **vars(_points(facts)),
        borders=np.concatenate(([0], np.cumsum(facts[:, N_PLIES], dtype=np.int64))),
        from_square=plies[FROM],
        to_square=plies[TO],
        piece=plies[PIECE],
        captured=plies[CAPTURED],
        promotion=plies[PROMOTION],
        flags=plies[FLAGS].view(np.uint8),
        key=keys,
        start_key=np.where(readable, begun.keys[begun.row], 0),
        black_starts=readable & (begun.starts[begun.row, START_TURN] == BLACK),
        counts=counts,
    )


def turning_points(games: pl.DataFrame, until: int, threads: int | None = None) -> TurningPoints:
    """The same of what a game has once, and a game is left as soon as all is known that is asked for.

    `until`: UNTIL_PHASES, UNTIL_CASTLING, UNTIL_QUEENS, or a sum of them. What is not asked for is as far as it was
    seen; so is `status`: a move that cannot be played is not found where a game had been left before.
    """
    _, parts = _played(games, until, threads)
    return _points(np.concatenate([facts for _, _, facts, _ in parts]))


def _played(games: pl.DataFrame, until: int, threads: int | None) -> tuple[Positions, list[tuple[Any, ...]]]:
    """Where the games begin, and what the kernel tells of them, in parts that were played side by side."""
    begun = positions(games.get_column("val_initial_fen"))
    text, borders = _text(games.get_column("val_moves"))
    n_threads = threads or min(_MOST_THREADS, loky.cpu_count(), games.height // _GAMES_WORTH_A_THREAD)
    cuts = np.linspace(0, games.height, max(n_threads, 1) + 1).astype(int).tolist()

    def played(first: int, last: int) -> tuple[npt.NDArray[Any], ...]:
        room = int(borders[last] - borders[first] + last - first) // _SHORTEST_WORD + 1
        return play(text, borders[first : last + 1], begun.row[first:last], begun.starts, room, until)

    if len(cuts) == 2:  # noqa: PLR2004  # one thread
        return begun, [played(*cuts)]
    with ThreadPoolExecutor(len(cuts) - 1) as pool:
        return begun, list(pool.map(played, cuts, cuts[1:]))


def _points(facts: npt.NDArray[np.int32]) -> TurningPoints:
    return TurningPoints(
        status=facts[:, STATUS],
        middlegame_ply=facts[:, MIDDLEGAME_PLY],
        endgame_ply=facts[:, ENDGAME_PLY],
        queenless_ply=facts[:, QUEENLESS_PLY],
        castling_ply=facts[:, CASTLING_PLY : CASTLING_PLY + 2],
        castled=facts[:, CASTLED : CASTLED + 2],
    )


def playable(games: pl.DataFrame) -> Replay:
    """The replay of games that can all be played to their end; UnplayableGame for the first that cannot."""
    return sound(games, replay(games))


def sound(games: pl.DataFrame, found: _Found) -> _Found:
    """What was found of games that could all be played; UnplayableGame for the first that could not."""
    for game in np.flatnonzero(found.status).tolist():
        raise UnplayableGame(_trouble(games.row(game, named=True), int(found.status[game])))
    return found


def _trouble(game: dict[str, object], status: int) -> str:
    name = f"game {game['id_game']}" if "id_game" in game else "a game"
    if status < 0:
        return f"{name}: its starting position {game['val_initial_fen']!r} is none of standard chess"
    word = str(game["val_moves"]).split()[status - 1]
    return f"{name}: ply {status}, {word!r}, is not one legal move"


def _text(moves: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The buffers of a column of text: all bytes, and where each row begins."""
    array = moves.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    borders = np.frombuffer(offsets, dtype=np.int64, count=len(array) + 1, offset=8 * array.offset)
    text = np.frombuffer(data, dtype=np.uint8) if data and data.size else np.zeros(1, dtype=np.uint8)
    text.flags.writeable = False  # always, since the compiled code is made for one kind of array
    return text, borders


def _lists(borders: npt.NDArray[np.int64], values: pa.Array) -> pl.Series:
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(borders), values)))
