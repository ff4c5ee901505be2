"""API documents → rows of chess.games, column by column: those that are as Lichess writes them, which is nearly all.

Arrow's JSON reader is strict: it takes no number for a text, no fraction for a whole number, no key twice. It stops at
the first document that is otherwise than expected. Such a document, and any with a fault, is read by `documents` alone,
whose word counts: what is read here is the same, only sooner.
"""

from collections.abc import Iterable

import polars as pl
import pyarrow as pa
import pyarrow.json as pj

from kshift_assets.chess.documents import (
    LAST_CP,
    LAST_CS,
    LAST_LEVEL,
    LAST_MS,
    LAST_S,
    LAST_SMALL,
    MOST_PLIES,
    SCHEMA,
    TERMINATIONS,
    UNFINISHED,
    WON_BY,
    read_one_by_one,
)
from kshift_assets.chess.evaluation import JUDGMENTS
from kshift_assets.chess.texts import are_usual_json, are_words, blanks_in
from plugins.chess_rules.arrays import texts_of

_AT_ONCE = 10_000
_FEW = 16
"""So many documents, one of them odd, are read one by one."""
_BLOCK_BYTES = 4 << 20


def _record(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


_TEXT, _WHOLE = pa.string(), pa.int64()
_PLAYER = _record(
    user=_record(id=_TEXT, name=_TEXT, title=_TEXT), name=_TEXT, rating=_WHOLE, ratingDiff=_WHOLE, aiLevel=_WHOLE
)
_DOCUMENT = _record(
    **dict.fromkeys(("id", "variant", "speed", "perf", "status", "winner", "moves", "initialFen"), _TEXT),
    **dict.fromkeys(("tournament", "swiss"), _TEXT),
    **dict.fromkeys(("createdAt", "lastMoveAt", "daysPerTurn"), _WHOLE),
    rated=pa.bool_(),
    clock=_record(initial=_WHOLE, increment=_WHOLE),
    opening=_record(eco=_TEXT, name=_TEXT, ply=_WHOLE),
    players=_record(white=_PLAYER, black=_PLAYER),
    clocks=pa.list_(_WHOLE),
    analysis=pa.list_(_record(eval=_WHOLE, mate=_WHOLE, best=_TEXT, judgment=_record(name=_TEXT))),
    arenaTour=_record(id=_TEXT),
    swissTour=_record(id=_TEXT),
)
_LINES = pa.schema({"document": _DOCUMENT})
_NOTHING = pl.DataFrame(pl.from_arrow(_LINES.empty_table()))
_ANALYSIS = ("arr_eval_cp", "arr_eval_mate", "arr_glyph", "arr_best")
_COLORS = tuple(WON_BY)


def read_documents(documents: Iterable[str]) -> pl.DataFrame:
    """One row a document, in their order, with the columns of SCHEMA; val_faults is null for a sound one.

    One odd document never harms another, nor one odd field the other fields.
    """
    texts = pl.Series("val_document", documents, dtype=pl.String)
    parts = texts.to_frame().iter_slices(_AT_ONCE)
    return pl.concat([pl.DataFrame(schema=SCHEMA), *(_read(part.to_series()) for part in parts)])


def _read(texts: pl.Series) -> pl.DataFrame:
    rows = _rows(_parsed(texts.set(~are_usual_json(texts), "null")))
    odd = rows.get_column("ind_odd")
    plain = rows.select(pl.col(name).cast(dtype, strict=False) for name, dtype in SCHEMA.items())
    if not odd.any():
        return plain
    places = pl.concat([odd.not_().arg_true(), odd.arg_true()])
    return pl.concat([plain.filter(~odd), read_one_by_one(texts.filter(odd))])[places.arg_sort()]


def _parsed(texts: pl.Series) -> pl.DataFrame:
    """The documents as structs, null for one that is otherwise than expected, and for some of its neighbours."""
    lines = texts.to_frame("text").select(pl.concat_str(pl.lit('{"document":'), "text", pl.lit("}\n")))
    try:
        table = pj.read_json(
            pa.BufferReader(pa.py_buffer(texts_of(lines.to_series())[0])),
            pj.ReadOptions(block_size=_BLOCK_BYTES),
            pj.ParseOptions(explicit_schema=_LINES, unexpected_field_behavior="ignore"),
        )
    except pa.ArrowInvalid:
        table = None
    if table is not None and table.num_rows == len(texts):
        return pl.DataFrame(pl.from_arrow(table))
    if len(texts) <= _FEW:
        return _NOTHING.clear(len(texts))
    half = len(texts) // 2
    return pl.concat([_parsed(texts[:half]), _parsed(texts[half:])])


def _rows(documents: pl.DataFrame) -> pl.DataFrame:
    """What the documents say, and ind_odd: whether there is anything that must be looked at more closely."""
    moves, n_clocks = pl.col("moves"), pl.col("clocks").list.len()
    fields = documents.select(
        pl.col("document").struct.unnest(), ind_missing=pl.col("document").is_null()
    ).with_columns(
        n_plies=pl.when(moves == "").then(0).otherwise(moves.map_batches(blanks_in, return_dtype=pl.Int32) + 1)
    )
    wholes = _wholes()
    n_plies = pl.col("n_plies")
    rows = fields.select(
        **_texts(),
        **{name: value for name, (value, _) in wholes.items()},
        ind_rated="rated",
        n_plies=n_plies,
        arr_clock_cs=pl.when((n_clocks > 0) & (n_plies > 0)).then(_aligned("clocks")),
        val_faults=pl.lit(None, pl.String),
        ind_odd=pl.any_horizontal(
            "ind_missing",
            *(pl.col("players").struct.field(color).is_null() for color in _COLORS),
            *(_user(color, "id").str.len_bytes() != _user(color, "id").str.len_chars() for color in _COLORS),
            *(~value.is_between(-last, last) for value, last in wholes.values()),
            ~pl.col("winner").is_in(list(WON_BY)),
            moves.is_null() | ~moves.map_batches(are_words, return_dtype=pl.Boolean) | (n_plies > MOST_PLIES),
            n_clocks > n_plies + 1,
            _has_odd_numbers(pl.col("clocks")),
            pl.col("analysis").list.len() > n_plies,
            pl.col("arenaTour").is_not_null() | pl.col("swissTour").is_not_null(),
        ).fill_null(value=False),
    ).with_row_index("n_row")
    analysed = fields.select("analysis", "n_plies").with_row_index("n_row").filter(pl.col("analysis").list.len() > 0)
    return rows.join(_analysis(analysed), on="n_row", how="left", maintain_order="left").with_columns(
        ind_odd=pl.col("ind_odd") | pl.col("ind_odd_analysis").fill_null(value=False)
    )


def _texts() -> dict[str, pl.Expr]:
    status, winner, opening = pl.col("status"), pl.col("winner"), pl.col("opening").struct
    result = pl.when(status.is_in(list(UNFINISHED))).then(pl.lit("*")).otherwise(pl.lit("1/2-1/2"))
    players: dict[str, pl.Expr] = {}
    for color in _COLORS:
        account, name = _user(color, "id"), _user(color, "name")
        players |= {
            f"id_user_{color}": pl.when(account != "").then(account.str.to_lowercase()),
            f"val_name_{color}": pl.coalesce(pl.when(name != "").then(name), _player(color, "name")),
            f"val_title_{color}": _user(color, "title"),
        }
    return players | {
        "id_game": pl.col("id"),
        "val_variant": pl.col("variant"),
        "val_speed": pl.col("speed"),
        "val_perf": pl.col("perf"),
        "val_status": status,
        "val_termination": status.replace_strict(TERMINATIONS, default=None, return_dtype=pl.String),
        "val_result": pl.coalesce(winner.replace_strict(WON_BY, default=None, return_dtype=pl.String), result),
        "val_eco": opening.field("eco"),
        "val_opening": opening.field("name"),
        "val_moves": pl.col("moves"),
        "val_initial_fen": pl.col("initialFen"),
        "id_tournament": pl.col("tournament"),
        "id_swiss": pl.col("swiss"),
    }


def _wholes() -> dict[str, tuple[pl.Expr, int]]:
    """Column → where it stands, and the greatest number that is one."""
    clock = pl.col("clock").struct
    players: dict[str, tuple[pl.Expr, int]] = {}
    for color in _COLORS:
        players |= {
            f"n_rating_{color}": (_player(color, "rating"), LAST_SMALL),
            f"n_rating_diff_{color}": (_player(color, "ratingDiff"), LAST_SMALL),
            f"n_ai_level_{color}": (_player(color, "aiLevel"), LAST_LEVEL),
        }
    return players | {
        "tm_created": (pl.col("createdAt"), LAST_MS),
        "tm_last_move": (pl.col("lastMoveAt"), LAST_MS),
        "n_clock_initial_s": (clock.field("initial"), LAST_S),
        "n_clock_increment_s": (clock.field("increment"), LAST_SMALL),
        "n_days_per_turn": (pl.col("daysPerTurn"), LAST_SMALL),
        "n_opening_ply": (pl.col("opening").struct.field("ply"), LAST_SMALL),
    }


def _analysis(games: pl.DataFrame) -> pl.DataFrame:
    """The lists of analysed games, aligned to plies."""
    entry, judgment = pl.col("analysis").struct, pl.col("analysis").struct.field("judgment")
    best = entry.field("best")
    glyph = judgment.struct.field("name").replace_strict(JUDGMENTS, default=None, return_dtype=pl.String)
    lists = (
        games.explode("analysis")
        .select(
            "n_row",
            "n_plies",
            arr_eval_cp=entry.field("eval"),
            arr_eval_mate=entry.field("mate"),
            arr_glyph=glyph,
            arr_best=best,
            ind_odd_analysis=pl.col("analysis").is_null()
            | ~entry.field("eval").is_between(-LAST_CP, LAST_CP).fill_null(value=True)
            | ~entry.field("mate").is_between(-LAST_SMALL, LAST_SMALL).fill_null(value=True)
            | (judgment.is_not_null() & glyph.is_null()),
            ind_better=(best != "").fill_null(value=False),
        )
        .group_by("n_row", maintain_order=True)
        .agg(pl.col("n_plies").first(), *_ANALYSIS, pl.col("ind_odd_analysis", "ind_better").any())
    )
    aligned = {name: _aligned(name) for name in _ANALYSIS}
    aligned["arr_best"] = pl.when("ind_better").then(aligned["arr_best"])
    return lists.select("n_row", "ind_odd_analysis", **aligned)


def _aligned(name: str) -> pl.Expr:
    """A list with one element a ply: cut, or filled with nulls."""
    values, n_plies = pl.col(name), pl.col("n_plies")
    is_short = values.list.len() < n_plies
    places = pl.int_ranges(0, pl.when(is_short).then(n_plies).otherwise(0))
    return pl.when(is_short).then(values.list.gather(places, null_on_oob=True)).otherwise(values.list.head(n_plies))


def _has_odd_numbers(lists: pl.Expr) -> pl.Expr:
    ends = (lists.list.min(), lists.list.max())
    return (lists.list.count_matches(None) > 0) | pl.any_horizontal(~end.is_between(-LAST_CS, LAST_CS) for end in ends)


def _player(color: str, name: str) -> pl.Expr:
    return pl.col("players").struct.field(color).struct.field(name)


def _user(color: str, name: str) -> pl.Expr:
    return _player(color, "user").struct.field(name)
