"""What takes a look at every byte of a column of text: compiled, on all cores."""

import numpy as np
import polars as pl

from plugins.chess_rules.arrays import Array, in_threads, texts_of
from plugins.chess_rules.compiled import compiled_once

_BLANK = ord(" ")


def blanks_in(texts: pl.Series) -> pl.Series:
    """How many blanks each text has; null for none."""
    numbers = np.zeros(len(texts), np.int32)
    in_threads(_count_blanks, len(texts), *texts_of(texts), numbers)
    return _of(texts, numbers)


def _of(texts: pl.Series, values: Array) -> pl.Series:
    found = pl.Series(texts.name, values)
    return found.set(texts.is_null(), None) if texts.null_count() else found


@compiled_once
def _count_blanks(start: int, stop: int, letters: Array, offsets: Array, numbers: Array) -> None:
    for row in range(start, stop):
        number = 0
        for place in range(offsets[row], offsets[row + 1]):
            number += letters[place] == _BLANK
        numbers[row] = number
