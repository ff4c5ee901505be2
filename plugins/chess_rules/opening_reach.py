"""How far a game can still reach a position of a given name: told by its text alone, so that few plies are replayed.

A position has lost a number of men, and its pawns have gone so many steps. A game that has captured more, or has moved
pawns more often than that leaves room for, is past it for good: neither is ever undone.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl

from plugins.chess_rules.arrays import Array, in_threads, texts_of
from plugins.chess_rules.compiled import compiled_once
from plugins.chess_rules.openings import MAX_PLIES, NO_FEN, openings
from plugins.chess_rules.replay import replay

_PAWN = 1
_PAWNS = 16
_LONGEST_WALK = 6
"""Steps of a pawn from its square to the last rank; the most that one which is gone can have made."""
_AT_THE_END = 3
_BLANK, _CAPTURE, _FIRST_FILE, _LAST_FILE = ord(" "), ord("x"), ord("a"), ord("h")


class _Reach(NamedTuple):
    """Names by their number; and by that number and a number of captures, the most pawn moves that leave one open."""

    names: pl.DataFrame
    pawn_moves: Array


@cache
def _reach() -> _Reach:
    lines = openings()
    played = replay(lines.select("val_moves", NO_FEN))
    steps = np.abs((played.to_square >> 3) - (played.from_square >> 3)) * (played.piece == _PAWN)
    captures = np.add.reduceat((played.captured > 0).astype(np.int64), played.borders[:-1])
    gone = _PAWNS - played.counts[:, _AT_THE_END, :, 0].sum(axis=1).astype(np.int64)
    most = np.add.reduceat(steps.astype(np.int64), played.borders[:-1]) + _LONGEST_WALK * gone
    names = lines.select(pl.col("val_name").unique(maintain_order=True)).with_row_index("n_name")
    numbers = lines.join(names, on="val_name", how="left", maintain_order="left").get_column("n_name").to_numpy()
    pawn_moves = np.full((names.height, captures.max() + 2), -1, dtype=np.int64)
    for number, n_captures, n_moves in zip(numbers, captures, most, strict=True):
        row = pawn_moves[number, : n_captures + 1]
        np.maximum(row, n_moves, out=row)
    return _Reach(names, pawn_moves)


def cut(games: pl.DataFrame) -> pl.DataFrame:
    """Games that bear a name of the table, with `val_moves` only as far as a position of that name can be reached.

    Needs `val_opening` and `val_moves`; the other columns stay, and so does the order.
    """
    names, pawn_moves = _reach()
    known = games.lazy().join(names.lazy(), left_on="val_opening", right_on="val_name", maintain_order="left").collect()
    lengths = np.zeros(known.height, np.int64)
    numbers = known.get_column("n_name").to_numpy().astype(np.int64)
    texts = _Texts(*texts_of(known.get_column("val_moves")), numbers)
    in_threads(_measure, known.height, texts, pawn_moves, lengths)
    return known.with_columns(val_moves=pl.col("val_moves").str.slice(0, pl.Series(lengths))).drop("n_name")


class _Texts(NamedTuple):
    letters: Array
    offsets: Array
    numbers: Array
    """Of the name that each game bears."""


@compiled_once
def _measure(start: int, stop: int, texts: _Texts, pawn_moves: Array, lengths: Array) -> None:
    letters, offsets = texts.letters, texts.offsets
    last = pawn_moves.shape[1] - 1
    for row in range(start, stop):
        place, end = offsets[row], offsets[row + 1]
        n_captures = n_pawn_moves = 0
        for _ in range(MAX_PLIES):
            if place >= end:
                break
            if _FIRST_FILE <= letters[place] <= _LAST_FILE:
                n_pawn_moves += 1
            while place < end and letters[place] != _BLANK:
                if letters[place] == _CAPTURE:
                    n_captures += 1
                place += 1
            if n_pawn_moves > pawn_moves[texts.numbers[row], min(n_captures, last)]:
                break
            lengths[row] = place - offsets[row]
            place += 1
