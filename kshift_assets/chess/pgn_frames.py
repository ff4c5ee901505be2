"""Games of a dump as columns: makes frames with the types of the table from rows."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
import polars as pl
import pyarrow as pa

from kshift_assets.chess.source_schemas import DumpGames
from kshift_assets.tables import polars_schema

FILLED_BY_CALLER = ("val_file", "val_file_sha256", "tm_ingested", "dt_month")
"""Columns of DumpGames that say where a file came from, which the parser does not know."""
SCHEMA = pl.Schema({name: dtype for name, dtype in polars_schema(DumpGames).items() if name not in FILLED_BY_CALLER})
"""Columns and types of the frames, in order."""
COLUMNS = pl.Schema({name: dtype for name, dtype in SCHEMA.items() if name != "n_game"})
"""The same without the one that counts the games of a file."""
COMMENT_BEFORE_MOVES = "{}"
"""Key in val_tags_other for comments before the first move: no tag can have that name."""

TAGS = {
    "Event": "val_event",
    "Site": "val_site",
    "Date": "val_date",
    "Round": "val_round",
    "White": "val_white",
    "Black": "val_black",
    "Result": "val_result",
    "UTCDate": "val_utc_date",
    "UTCTime": "val_utc_time",
    "WhiteElo": "val_white_elo",
    "BlackElo": "val_black_elo",
    "WhiteRatingDiff": "val_white_rating_diff",
    "BlackRatingDiff": "val_black_rating_diff",
    "WhiteTitle": "val_white_title",
    "BlackTitle": "val_black_title",
    "Variant": "val_variant",
    "TimeControl": "val_time_control",
    "ECO": "val_eco",
    "Opening": "val_opening",
    "Termination": "val_termination",
    "FEN": "val_fen",
}
"""Tags that have a column, and its name."""
_LISTS = {
    "arr_clock_cs": ("clocks", pa.int32()),
    "arr_eval_cp": ("evals", pa.int32()),
    "arr_eval_mate": ("mates", pa.int16()),
    "arr_glyph": ("glyphs", pa.large_string()),
    "arr_draw_offer": ("offers", pa.large_string()),
    "arr_comment": ("comments", pa.large_string()),
}

PerPly = Sequence[int | None] | Sequence[str | None] | None
"""One element a ply; None where no ply has any."""


@dataclass(slots=True)
class Row:
    """One game; `sans` is None where the moves could not be read."""

    tags: dict[str, str]
    id_game: str | None
    sans: Sequence[str] | None = None
    clocks: PerPly = None
    evals: PerPly = None
    mates: PerPly = None
    glyphs: PerPly = None
    offers: PerPly = None
    comments: PerPly = None
    error: str | None = None
    text: str | None = None


def frame_of(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows with the columns of SCHEMA but n_game, which their place in the file decides; their tags are used up."""
    known = [[row.tags.pop(tag, None) for tag in TAGS] for row in rows]
    columns: dict[str, Iterable[object]] = {
        **dict(zip(TAGS.values(), zip(*known, strict=True), strict=bool(known))),
        "id_game": [row.id_game for row in rows],
        "val_tags_other": [orjson.dumps(row.tags).decode() if row.tags else None for row in rows],
        "n_plies": [None if row.sans is None else len(row.sans) for row in rows],
        "val_moves": [None if row.sans is None else " ".join(row.sans) for row in rows],
        "val_error": [row.error for row in rows],
        "val_text": [row.text for row in rows],
        **{name: _lists([getattr(row, attribute) for row in rows], kind) for name, (attribute, kind) in _LISTS.items()},
    }
    return pl.DataFrame(
        [pl.Series(name, columns.get(name, ()), dtype=dtype, strict=True) for name, dtype in COLUMNS.items()]
    )


def _lists(rows: Sequence[PerPly], kind: pa.DataType) -> pl.Series:
    """A column of lists as Arrow wants it: polars' own way from nested lists is slow."""
    ends = [0, *itertools.accumulate(len(values or ()) for values in rows)]
    values = pa.array([value for values in rows for value in values or ()], kind)
    are_null = pa.array([values is None for values in rows], pa.bool_())
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), values, mask=are_null)))
