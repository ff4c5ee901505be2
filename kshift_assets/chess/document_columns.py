"""API documents → rows of chess.games, column by column: those that are as Lichess writes them, which is nearly all.

The compiled reader is strict: it takes no number for a text, no fraction for a whole number, no key twice, no escape.
A document that it refuses, and any with a fault, is read by `documents` alone, whose word counts: what is read here is
the same, only sooner.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import loky
import numpy as np
import polars as pl
import pyarrow as pa

from kshift_assets.chess.arrow_columns import chosen_words, lists_to, texts_at, word_views
from kshift_assets.chess.document_fields import TEXTS, WHOLES
from kshift_assets.chess.document_kernel import NONE, Spans, Wholes
from kshift_assets.chess.document_plies import NO_NUMBER, Analyses, Found, find_documents
from kshift_assets.chess.documents import SCHEMA, TERMINATIONS, UNFINISHED, WON_BY, read_one_by_one
from kshift_assets.chess.evaluation import JUDGMENTS
from kshift_assets.chess.pgn_bytes import PADDING
from plugins.chess_rules.arrays import texts_of

_AT_ONCE = 10_000
_MOST_BYTES = 1 << 17
"""A longer document is read alone, so that places in so many at once are 32-bit numbers."""
_PAD = pl.Series(["\0" * PADDING])
_GLYPHS = word_views(list(JUDGMENTS.values()))
_COLORS = tuple(WON_BY)

_SAID = {
    "id_game": "id",
    "val_variant": "variant",
    "val_speed": "speed",
    "val_perf": "perf",
    "val_status": "status",
    "val_eco": "opening.eco",
    "val_opening": "opening.name",
    "val_moves": "moves",
    "val_initial_fen": "initialFen",
    "id_tournament": "tournament",
    "id_swiss": "swiss",
    "winner": "winner",
    **{f"val_title_{color}": f"players.{color}.user.title" for color in _COLORS},
    **{f"{name}_{color}": f"players.{color}.{name}" for color in _COLORS for name in ("user.id", "user.name", "name")},
}
"""Column → the text that it is, or is made from."""
_NUMBERS = {
    "tm_created": "createdAt",
    "tm_last_move": "lastMoveAt",
    "n_clock_initial_s": "clock.initial",
    "n_clock_increment_s": "clock.increment",
    "n_days_per_turn": "daysPerTurn",
    "n_opening_ply": "opening.ply",
    **{f"n_rating_{color}": f"players.{color}.rating" for color in _COLORS},
    **{f"n_rating_diff_{color}": f"players.{color}.ratingDiff" for color in _COLORS},
    **{f"n_ai_level_{color}": f"players.{color}.aiLevel" for color in _COLORS},
    "ind_rated": "rated",
}
"""Column → the number that it is."""


def read_documents(documents: Iterable[str]) -> pl.DataFrame:
    """One row a document, in their order, with the columns of SCHEMA; val_faults is null for a sound one.

    One odd document never harms another, nor one odd field the other fields.
    """
    texts = pl.Series("val_document", documents, dtype=pl.String)
    parts = [part.to_series() for part in texts.to_frame().iter_slices(_AT_ONCE)]
    with ThreadPoolExecutor(loky.cpu_count()) as threads:
        return pl.concat([pl.DataFrame(schema=SCHEMA), *threads.map(_read, parts)])


def _read(texts: pl.Series) -> pl.DataFrame:
    short = texts.set(texts.str.len_bytes() > _MOST_BYTES, "")
    letters, offsets = texts_of(pl.concat([short.rename(""), _PAD]))
    found = find_documents(letters, offsets[:-1])
    analyses = found.analyses()
    rows = _rows(found, analyses)
    odd = rows.get_column("ind_odd")
    plain = rows.select(SCHEMA.names())
    if not odd.any():
        return plain
    places = pl.concat([odd.not_().arg_true(), odd.arg_true()])
    return pl.concat([plain.filter(~odd), read_one_by_one(texts.filter(odd))])[places.arg_sort()]


def _rows(found: Found, analyses: Analyses) -> pl.DataFrame:
    """What the documents say, and ind_odd: whether there is anything that must be looked at more closely."""
    columns = _texts(found) | _numbers(found) | _lists(found, analyses)
    said = cast("pl.DataFrame", pl.from_arrow(pa.table(columns)))
    winner, status = pl.col("winner"), pl.col("val_status")
    won = winner.replace_strict(WON_BY, default=None, return_dtype=pl.String)
    result = pl.when(status.is_in(list(UNFINISHED))).then(pl.lit("*")).otherwise(pl.lit("1/2-1/2"))
    return said.with_columns(
        val_termination=status.replace_strict(TERMINATIONS, default=None, return_dtype=pl.String),
        val_result=pl.coalesce(won, result),
        val_faults=pl.lit(None, pl.String),
        ind_odd=~pl.Series(found.are_read).cast(pl.Boolean) | (winner.is_not_null() & won.is_null()),
        **{name: value for color in _COLORS for name, value in _names(color).items()},
    ).cast({name: dtype for name, dtype in SCHEMA.items() if name in said.columns})


def _names(color: str) -> dict[str, pl.Expr]:
    account, name = pl.col(f"user.id_{color}"), pl.col(f"user.name_{color}")
    return {
        f"id_user_{color}": pl.when(account != "").then(account.str.to_lowercase()),
        f"val_name_{color}": pl.coalesce(pl.when(name != "").then(name), f"name_{color}"),
    }


def _texts(found: Found) -> dict[str, pa.Array]:
    spans = np.where(found.are_read[:, None] > 0, found.spans, -1).T.copy()
    slots = {column: 2 * TEXTS[field] for column, field in _SAID.items()}
    return {column: texts_at(found.text, spans[slot], spans[slot + 1]) for column, slot in slots.items()}


def _numbers(found: Found) -> dict[str, pa.Array]:
    wholes = np.where(found.are_read[:, None] > 0, found.wholes, NONE).T.copy()
    values = {column: wholes[WHOLES[field]] for column, field in _NUMBERS.items()}
    return {column: pa.array(value, mask=value == NONE) for column, value in values.items()} | {
        "n_plies": pa.array(found.n_plies)
    }


def _lists(found: Found, analyses: Analyses) -> dict[str, pa.Array]:
    (clocks_to, clocks), ends = found.clocks(), analyses.ends
    numbers = {
        "arr_clock_cs": (clocks_to, clocks, clocks),
        "arr_eval_cp": (ends, analyses.evals, analyses.evals),
        "arr_eval_mate": (ends, analyses.mates, analyses.mates.astype(np.int16)),
    }
    best_to, best_at, best_lengths = _better(analyses)
    return {
        **{name: lists_to(to, pa.array(kept, mask=said == NO_NUMBER)) for name, (to, said, kept) in numbers.items()},
        "arr_glyph": lists_to(ends, chosen_words(_GLYPHS, analyses.judgments, analyses.judgments != NO_NUMBER)),
        "arr_best": lists_to(best_to, texts_at(found.text, best_at, best_lengths)),
    }


def _better(analyses: Analyses) -> tuple[Wholes, Spans, Spans]:
    """The better moves of games that have any: where the lists end, where the moves stand, and how long they are."""
    lengths = np.diff(analyses.ends, prepend=0)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    has_any = np.zeros(len(lengths), bool)
    has_any[rows[analyses.best_lengths > 0]] = True
    kept = has_any[rows]
    return np.cumsum(np.where(has_any, lengths, 0)), analyses.best_at[kept], analyses.best_lengths[kept]
