"""Columns as NumPy arrays, without a copy a game, and compiled loops over them on all cores. Nothing of chess.

A list column is its elements, flat, and `offsets`: those of row `i` stand from `offsets[i]` to `offsets[i + 1]`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import loky
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from plugins.chess_rules.compiled import compiled_once

Array = npt.NDArray[Any]

_BLANK = ord(" ")
_FEW = 2_000
"""Rows that are not worth starting threads for."""
_SHARES = 4
"""Parts for each core, since games are not equally long."""


def offsets_of(lists: pl.Series) -> Array:
    """Where the elements of each row begin, and where the last ones end; a null list has no elements."""
    return _offsets(lists.list.len().fill_null(0).to_numpy())


def elements_of(lists: pl.Series, nothing: int) -> Array:
    """All elements of a column of lists of numbers, one after another; a null element is `nothing`."""
    return values_of(flat(lists).fill_null(nothing))


def values_of(column: pl.Series) -> Array:
    """The values of a column without nulls; read-only, always, since compiled code is made for one kind of array."""
    values = column.to_numpy()
    values.flags.writeable = False
    return values


def flat(lists: pl.Series) -> pl.Series:
    """All elements of a column of lists, one after another, nulls included; null and empty lists have none."""
    return lists.explode(empty_as_null=False, keep_nulls=False)


def texts_of(texts: pl.Series) -> tuple[Array, Array]:
    """The UTF-8 bytes of all texts, one after another, and their offsets; a null text is empty."""
    column = texts.fill_null("").rechunk().to_arrow()
    _, offsets, characters = column.buffers()
    starts = np.frombuffer(offsets, np.int64, len(column) + 1, column.offset * 8)
    letters = np.frombuffer(characters or b"", np.uint8)
    return letters, starts


def words_at(texts: pl.Series, numbers: Array) -> pl.Series:
    """Of each ASCII text, single blanks between its words, the word of that number, from 1; null if it has fewer."""
    letters, offsets = texts_of(texts)
    spans = np.zeros((len(texts), 2), np.int64)
    in_threads(_find_words, len(texts), letters, offsets, numbers, spans)
    spanned = pl.DataFrame({"text": texts, "begin": spans[:, 0], "length": spans[:, 1] - spans[:, 0]})
    word = pl.when(pl.col("length") > 0).then(pl.col("text").str.slice("begin", "length"))
    return spanned.select(word).to_series()


@compiled_once
def _find_words(start: int, stop: int, letters: Array, offsets: Array, numbers: Array, spans: Array) -> None:
    for row in range(start, stop):
        first, end, wanted = offsets[row], offsets[row + 1], numbers[row] - 1
        begin = first
        while wanted > 0 and begin < end:
            wanted -= letters[begin] == _BLANK
            begin += 1
        last = begin
        while last < end and letters[last] != _BLANK:
            last += 1
        spans[row, 0], spans[row, 1] = begin - first, last - first


def lists_of(elements: Array, offsets: Array) -> pl.Series:
    """The elements as a column of lists: the way back from `offsets_of` and `elements_of`."""
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(elements))))


def positions_of(kind: int, kinds: Array, offsets: Array) -> pl.Series:
    """Where in its row `kinds` has `kind`: for every row a list of positions, from 1."""
    places = np.flatnonzero(kinds == kind)
    borders = np.searchsorted(places, offsets).astype(np.int64)
    row_starts = np.repeat(offsets[:-1], np.diff(borders))
    return lists_of((places - row_starts + 1).astype(np.int16), borders)


def columns_of(table: Array, *names: str) -> dict[str, pl.Series]:
    """The columns of a two-dimensional array of floats, by name; NaN is null."""
    return {name: pl.Series(name, table[:, place], nan_to_null=True) for place, name in enumerate(names)}


def in_threads(kernel: Callable[..., None], n_rows: int, *arrays: object) -> None:
    """Call `kernel(start, stop, *arrays)` for parts that cover all rows, side by side; it must release the GIL."""
    cores = loky.cpu_count()
    if n_rows < _FEW or cores == 1:
        kernel(0, n_rows, *arrays)
        return
    borders = [n_rows * part // (cores * _SHARES) for part in range(cores * _SHARES + 1)]
    with ThreadPoolExecutor(cores) as threads:
        for done in [threads.submit(kernel, *part, *arrays) for part in pairwise(borders)]:
            done.result()


def _offsets(lengths: Array) -> Array:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    offsets.flags.writeable = False
    return offsets
