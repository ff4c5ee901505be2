"""Games that the kernel read as columns: Arrow's buffers, and a frame of them. No value is an object of Python."""

import threading
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from kshift_assets.chess.pgn_blocks import Block
from kshift_assets.chess.pgn_bytes import PADDING, Bytes, below, copy, word_at
from kshift_assets.chess.pgn_frames import COLUMNS, TAGS
from kshift_assets.chess.pgn_kernel import (
    END,
    ID_AT,
    ID_LENGTH,
    IS_READ,
    LISTS_TO,
    MOVES_TO,
    N_PLIES,
    OTHERS_TO,
    Found,
    Games,
    Room,
    find_games,
)
from kshift_assets.chess.pgn_moves import CLOCK, EVAL, GLYPH, GLYPHS, MATE, NONE, OFFER, OFFERS
from plugins.chess_rules.compiled import compiled_once, integer

_INLINE = 12  # so long may a text be that stands in its view (Arrow columnar format, variable-size binary view)

Views = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


def _word_views(words: list[str]) -> Views:
    raw = b"".join(len(word).to_bytes(4, "little") + word.encode().ljust(_INLINE, b"\0") for word in words)
    return np.frombuffer(raw, dtype=np.int64).reshape(-1, 2)


_NUMBERS = {"arr_clock_cs": (CLOCK, np.int32), "arr_eval_cp": (EVAL, np.int32), "arr_eval_mate": (MATE, np.int16)}
_WORDS = {"arr_glyph": (GLYPH, _word_views(GLYPHS)), "arr_draw_offer": (OFFER, _word_views(OFFERS))}


_OF_THREAD = threading.local()


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


@dataclass(frozen=True)
class Part:
    """Games of a block in their order: where each stands, and a frame of those that the kernel read.

    The frame has the columns of COLUMNS. `is_last` of the part with which the block ends.
    """

    games: Games
    frame: pl.DataFrame
    is_last: bool


def read_block(block: Block) -> list[Part]:
    """All pieces of a block; none if it is a part of one that is too long."""
    parts: list[Part] = []
    text = np.frombuffer(block.data, dtype=np.uint8)
    begin = block.size if block.is_long else 0
    while begin < block.size:
        found = find_games(text, block.size, begin, _room(block.size))
        begin = int(found.games[-1, END]) + 1
        parts.append(Part(found.games.copy(), _frame(found), begin >= block.size))
    return parts


def _room(n_bytes: int) -> Room:
    """The room of this thread."""
    room: Room | None = getattr(_OF_THREAD, "room", None)
    if room is None or room.n_bytes < n_bytes:
        room = _OF_THREAD.room = Room(n_bytes + n_bytes // 4)
    return room


def _frame(found: Found) -> pl.DataFrame:
    rows = found.games[found.games[:, IS_READ] > 0]
    columns = _text_columns(found, rows) | {"n_plies": pa.array(rows[:, N_PLIES])}
    for name, (row, dtype) in _NUMBERS.items():
        ends, values = _listed(found, rows, row)
        columns[name] = _lists(ends, pa.array(values.astype(dtype), mask=values == NONE))
    for name, (row, words) in _WORDS.items():
        ends, values = _listed(found, rows, row)
        is_there = values != NONE
        columns[name] = _lists(
            ends, _views(words[np.where(is_there, values, 0)], np.packbits(is_there, bitorder="little"))
        )
    texts = pa.string_view()
    columns |= {
        "arr_comment": pa.nulls(len(rows), pa.large_list(texts)),
        "val_error": pa.nulls(len(rows), texts),
        "val_text": pa.nulls(len(rows), texts),
    }
    return cast("pl.DataFrame", pl.from_arrow(pa.table({name: columns[name] for name in COLUMNS})))


def _text_columns(found: Found, rows: Games) -> dict[str, pa.Array]:
    spans = np.ascontiguousarray(found.room.spans[: found.n_games][found.games[:, IS_READ] > 0].T)
    columns = {name: _texts(found.text, spans[2 * tag], spans[2 * tag + 1]) for tag, name in enumerate(TAGS.values())}
    columns["id_game"] = _texts(found.text, rows[:, ID_AT].copy(), np.full(len(rows), ID_LENGTH, dtype=np.int32))
    begins, lengths = _between(rows[:, OTHERS_TO])
    columns["val_tags_other"] = _texts(found.room.others, begins, np.where(lengths > 0, lengths, -1))
    begins, lengths = _between(rows[:, MOVES_TO])
    columns["val_moves"] = _texts(
        found.room.moves, begins, np.maximum(lengths - 1, 0)
    )  # a blank stands behind every move
    return columns


def _between(ends: Places) -> tuple[Places, Places]:
    """Begins and lengths of what stands one behind the other."""
    begins = np.concatenate([ends[:0], [0], ends[:-1]], dtype=np.int32)[: len(ends)]
    return begins, ends - begins


def _texts(source: Bytes, begins: Places, lengths: Places) -> pa.Array:
    views, are_there = np.empty((len(begins), 2), dtype=np.int64), np.zeros(len(begins) // 8 + 1, dtype=np.uint8)
    n_bytes = int(lengths[lengths > _INLINE].sum())
    longs = np.empty(n_bytes + PADDING, dtype=np.uint8)
    _fill(source, begins, lengths, views, are_there, longs)
    return _views(views, are_there, longs[:n_bytes])


def _views(views: Views, are_there: Bytes, *longs: Bytes) -> pa.Array:
    """Texts from Arrow's views of them, bits that say which are not null, and the long ones one behind the other."""
    return pa.Array.from_buffers(pa.string_view(), len(views), list(map(pa.py_buffer, (are_there, views, *longs))))


def _listed(found: Found, rows: Games, row: int) -> tuple[Places, Places]:
    """Where the lists of each game end, and all their values."""
    ends = rows[:, LISTS_TO + row]
    return ends, found.room.values[row, : ends[-1] if len(rows) else 0]


def _lists(ends: Places, values: pa.Array) -> pa.Array:
    """Lists that end there; the empty ones are null."""
    offsets = np.zeros(len(ends) + 1, dtype=np.int64)
    offsets[1:] = ends
    are_there = np.packbits(offsets[1:] > offsets[:-1], bitorder="little")
    buffers = [pa.py_buffer(are_there), pa.py_buffer(offsets)]
    return pa.Array.from_buffers(pa.large_list(values.type), len(ends), buffers, children=[values])
