"""Columns of texts and lists from what compiled code found, as Arrow's own buffers. No value is an object of Python."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kshift_assets.chess.pgn_bytes import PADDING, Bytes, below, copy, word_at
from plugins.chess_rules.compiled import compiled_once, integer

_INLINE = 12  # so long may a text be that stands in its view (Arrow columnar format, variable-size binary view)

Views = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


def word_views(words: list[str]) -> Views:
    """Arrow's views of short ASCII texts, to choose from."""
    raw = b"".join(len(word).to_bytes(4, "little") + word.encode().ljust(_INLINE, b"\0") for word in words)
    return np.frombuffer(raw, dtype=np.int64).reshape(-1, 2)


def texts_at(source: Bytes, begins: Places, lengths: Places) -> pa.Array:
    """The texts that stand in `source`, PADDING bytes behind them all; one of a length below 0 is null."""
    views, are_there = np.empty((len(begins), 2), dtype=np.int64), np.zeros(len(begins) // 8 + 1, dtype=np.uint8)
    n_bytes = int(lengths[lengths > _INLINE].sum())
    longs = np.empty(n_bytes + PADDING, dtype=np.uint8)
    _fill(source, begins, lengths, views, are_there, longs)
    return _texts(views, are_there, longs[:n_bytes])


def chosen_words(words: Views, numbers: npt.NDArray[Any], is_there: npt.NDArray[np.bool_]) -> pa.Array:
    """Of some views those of these numbers, null where there is none."""
    return _texts(words[np.where(is_there, numbers, 0)], np.packbits(is_there, bitorder="little"))


def lists_to(ends: npt.NDArray[np.integer[Any]], values: pa.Array) -> pa.Array:
    """Lists that end there; the empty ones are null."""
    offsets = np.zeros(len(ends) + 1, dtype=np.int64)
    offsets[1:] = ends
    are_there = np.packbits(offsets[1:] > offsets[:-1], bitorder="little")
    buffers = [pa.py_buffer(are_there), pa.py_buffer(offsets)]
    return pa.Array.from_buffers(pa.large_list(values.type), len(ends), buffers, children=[values])


def _texts(views: Views, are_there: Bytes, *longs: Bytes) -> pa.Array:
    """Texts from Arrow's views of them, bits that say which are not null, and the long ones one behind the other."""
    return pa.Array.from_buffers(pa.string_view(), len(views), list(map(pa.py_buffer, (are_there, views, *longs))))


@compiled_once
def _fill(source: Bytes, begins: Places, lengths: Places, views: Views, are_there: Bytes, longs: Bytes) -> None:
    """Write Arrow's views of texts, below 0 long where there is none; those too long for a view go to `longs` too."""
    offset = integer(0)
    for row in range(begins.size):
        begin, length = integer(begins[row]), integer(lengths[row])
        if length < 0:
            views[row, 0] = views[row, 1] = 0
            continue
        are_there[row >> 3] |= 1 << (row & 7)
        views[row, 0] = length | (word_at(source, begin) & below(min(length, 4))) << 32
        if length > _INLINE:
            views[row, 1] = offset << 32
            offset = copy(source, begin, begin + length, longs, offset)
        else:
            views[row, 1] = word_at(source, begin + 4) & below(length - 4) if length > 4 else 0  # noqa: PLR2004  # bytes
