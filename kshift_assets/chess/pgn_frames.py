"""Games of a dump as columns: collects rows and makes frames with the types of the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
import polars as pl
import pyarrow as pa

from kshift_assets.chess.schemas import DumpGames
from kshift_assets.tables import polars_schema

FILLED_BY_CALLER = ("val_file", "val_file_sha256", "tm_ingested", "dt_month")
"""Columns of DumpGames that say where a file came from, which the parser does not know."""
SCHEMA = pl.Schema({name: dtype for name, dtype in polars_schema(DumpGames).items() if name not in FILLED_BY_CALLER})
"""Columns and types of the frames, in order."""
COMMENT_BEFORE_MOVES = "{}"
"""Key in val_tags_other for comments before the first move: no tag can have that name."""

_TAGS = {
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
    """One game. `n_bytes` is the size of its text, `sans` is None where the moves could not be read."""

    tags: dict[str, str]
    n_bytes: int
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


class Batch:
    """Rows on their way to one frame; `first` is the first one's position in its file."""

    def __init__(self, first: int) -> None:
        """`first`: 1 for the first game of a file."""
        self.first = first
        self.n_rows = 0
        self.n_bytes = 0
        self._tags: list[list[str | None]] = []
        self._others: dict[str, list[str | None]] = {
            name: [] for name in ("id_game", "val_tags_other", "val_moves", "val_error", "val_text")
        }
        self._n_plies: list[int | None] = []
        self._lists = {name: _Lists(dtype) for name, (_, dtype) in _LISTS.items()}

    def add(self, row: Row) -> None:
        """Take a row; its tags are used up."""
        self.n_rows += 1
        self.n_bytes += row.n_bytes
        pop = row.tags.pop
        self._tags.append([pop(tag, None) for tag in _TAGS])
        others = self._others
        others["id_game"].append(row.id_game)
        others["val_tags_other"].append(orjson.dumps(row.tags).decode() if row.tags else None)
        others["val_moves"].append(None if row.sans is None else " ".join(row.sans))
        others["val_error"].append(row.error)
        others["val_text"].append(row.text)
        self._n_plies.append(None if row.sans is None else len(row.sans))
        for name, (attribute, _) in _LISTS.items():
            self._lists[name].add(getattr(row, attribute))

    def frame(self) -> pl.DataFrame:
        """All rows, with the columns of SCHEMA."""
        columns: dict[str, Iterable[object]] = {
            "n_game": range(self.first, self.first + self.n_rows),
            "n_plies": self._n_plies,
            **dict(zip(_TAGS.values(), zip(*self._tags, strict=True), strict=True)),
            **self._others,
            **{name: pl.Series(pl.from_arrow(lists.array())) for name, lists in self._lists.items()},
        }
        return pl.DataFrame(
            [pl.Series(name, columns[name], dtype=dtype, strict=True) for name, dtype in SCHEMA.items()]
        )


class _Lists:
    """A column of lists as Arrow wants it: all values in a row, and where each list begins.

    Polars' own way from nested Python lists goes value by value through a slow path.
    """

    def __init__(self, dtype: pa.DataType) -> None:
        self._dtype = dtype
        self._values: list[object] = []
        self._ends: list[int] = [0]
        self._is_null: list[bool] = []

    def add(self, values: PerPly) -> None:
        if values is not None:
            self._values.extend(values)
        self._ends.append(len(self._values))
        self._is_null.append(values is None)

    def array(self) -> pa.Array:
        return pa.LargeListArray.from_arrays(
            pa.array(self._ends, pa.int64()), pa.array(self._values, self._dtype), mask=pa.array(self._is_null)
        )
