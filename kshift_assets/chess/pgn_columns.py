"""Games of a dump that the kernel read, as frames."""

import threading
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa

from kshift_assets.chess.arrow_columns import Places, chosen_words, lists_to, texts_at, word_views
from kshift_assets.chess.pgn_blocks import Block
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

_NUMBERS = {"arr_clock_cs": (CLOCK, np.int32), "arr_eval_cp": (EVAL, np.int32), "arr_eval_mate": (MATE, np.int16)}
_WORDS = {"arr_glyph": (GLYPH, word_views(GLYPHS)), "arr_draw_offer": (OFFER, word_views(OFFERS))}

_OF_THREAD = threading.local()


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
        columns[name] = lists_to(ends, pa.array(values.astype(dtype), mask=values == NONE))
    for name, (row, words) in _WORDS.items():
        ends, values = _listed(found, rows, row)
        columns[name] = lists_to(ends, chosen_words(words, values, values != NONE))
    texts = pa.string_view()
    columns |= {
        "arr_comment": pa.nulls(len(rows), pa.large_list(texts)),
        "val_error": pa.nulls(len(rows), texts),
        "val_text": pa.nulls(len(rows), texts),
    }
    return cast("pl.DataFrame", pl.from_arrow(pa.table({name: columns[name] for name in COLUMNS})))


def _text_columns(found: Found, rows: Games) -> dict[str, pa.Array]:
    spans = np.ascontiguousarray(found.room.spans[: found.n_games][found.games[:, IS_READ] > 0].T)
    columns = {name: texts_at(found.text, spans[2 * tag], spans[2 * tag + 1]) for tag, name in enumerate(TAGS.values())}
    columns["id_game"] = texts_at(found.text, rows[:, ID_AT].copy(), np.full(len(rows), ID_LENGTH, dtype=np.int32))
    begins, lengths = _between(rows[:, OTHERS_TO])
    columns["val_tags_other"] = texts_at(found.room.others, begins, np.where(lengths > 0, lengths, -1))
    begins, lengths = _between(rows[:, MOVES_TO])
    without_last_blank = np.maximum(lengths - 1, 0)
    columns["val_moves"] = texts_at(found.room.moves, begins, without_last_blank)
    return columns


def _between(ends: Places) -> tuple[Places, Places]:
    """Begins and lengths of what stands one behind the other."""
    begins = np.concatenate([ends[:0], [0], ends[:-1]], dtype=np.int32)[: len(ends)]
    return begins, ends - begins


def _listed(found: Found, rows: Games, row: int) -> tuple[Places, Places]:
    """Where the lists of each game end, and all their values."""
    ends = rows[:, LISTS_TO + row]
    return ends, found.room.values[row, : ends[-1] if len(rows) else 0]
