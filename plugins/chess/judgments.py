"""Inaccuracies, mistakes and blunders of each side, as Lichess counts them, with their plies."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import Array, flat, in_threads, offsets_of, positions_of, values_of
from plugins.chess_rules.compiled import compiled_once
from plugins.chess_rules.evaluation import ASK, GLYPHS, Evaluations, judge, read_evaluations
from plugins.chess_rules.needs import EVALUATIONS
from plugins.chess_rules.plies import Plies
from plugins.chess_rules.replay import playable

_count = partial(pa.Field, nullable=True, ge=0)
_plies = partial(pa.Field, nullable=True)
_BLACK = 4
"""What is added to the severity of Black's moves, to tell them from White's."""


class Judgments(pa.DataFrameModel):
    """How many moves of each side were judged, and which."""

    id_game: str = pa.Field(description="Lichess game id")
    n_inaccuracies_white: pl.Int16 = _count(description="White's inaccuracies")
    n_inaccuracies_black: pl.Int16 = _count(description="Black's inaccuracies")
    n_mistakes_white: pl.Int16 = _count(description="White's mistakes")
    n_mistakes_black: pl.Int16 = _count(description="Black's mistakes")
    n_blunders_white: pl.Int16 = _count(description="White's blunders")
    n_blunders_black: pl.Int16 = _count(description="Black's blunders")
    arr_ply_inaccuracies_white: Plies = _plies(description="Plies of White's inaccuracies, from 1")
    arr_ply_inaccuracies_black: Plies = _plies(description="Plies of Black's inaccuracies, from 1")
    arr_ply_mistakes_white: Plies = _plies(description="Plies of White's mistakes, from 1")
    arr_ply_mistakes_black: Plies = _plies(description="Plies of Black's mistakes, from 1")
    arr_ply_blunders_white: Plies = _plies(description="Plies of White's blunders, from 1")
    arr_ply_blunders_black: Plies = _plies(description="Plies of Black's blunders, from 1")


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """The site's rule: where the engine would have played another move, the evaluation's fall says how bad it was.

    - That there was another move tells `arr_best` where a game has it: Lichess names a move only if it is another, our
      own engine its best in any case, so that is compared with the move played. A dump names no moves; there a glyph
      marks the moves that were judged, and so it does in games that were stored before `arr_best` was.
    - How bad it was is always reckoned from the evaluations before and after: the severities of dumps follow an older
      rule. Only where one of them is missing does a glyph stand as it is.
    - The position before the first move counts as +15, also where it was set up.

    Definition and source: `judge` in plugins/chess_rules/evaluation.py.
    """
    frame = games.collect()
    evaluations = read_evaluations(frame)
    severities = judge(evaluations, _gate(frame, evaluations))
    in_threads(_mark_black, frame.height, evaluations.offsets, evaluations.black_starts, severities)
    plies = {
        f"{fault}_{colour}": positions_of(severity + side * _BLACK, severities, evaluations.offsets)
        for severity, fault in enumerate(("inaccuracies", "mistakes", "blunders"), 1)
        for side, colour in enumerate(("white", "black"))
    }
    counts = {f"n_{name}": places.list.len().cast(pl.Int16) for name, places in plies.items()}
    lists = {f"arr_ply_{name}": places for name, places in plies.items()}
    return frame.lazy().select("id_game").with_columns(**counts, **lists)


def _gate(games: pl.DataFrame, evaluations: Evaluations) -> Array:
    """Which plies are worth judging, as `judge` asks for."""
    best, glyphs = games.get_column("arr_best"), games.get_column("arr_glyph")
    glyph = values_of(flat(glyphs).to_frame("glyph").select(_severity_of_glyph()).to_series())
    gate = np.zeros(len(evaluations.cp), np.int8)
    asked = _Marks(offsets_of(best), values_of(_is_better(games).cast(pl.Int8) * ASK))
    in_threads(_open, games.height, evaluations.offsets, asked, _Marks(offsets_of(glyphs), glyph), gate)
    return gate


def _is_better(games: pl.DataFrame) -> pl.Series:
    """By ply of the games with `arr_best`: whether it names another move than the one played."""
    best = games.get_column("arr_best")
    named = flat(best).is_not_null()
    ours = games.select((pl.col("val_eval_source") == "engine") & pl.col("arr_best").is_not_null()).to_series()
    if not ours.any():
        return named  # the source names only those
    evaluated = games.filter(ours)
    differs = flat(evaluated.get_column("arr_best")).ne_missing(flat(playable(evaluated).moves_uci()))
    of_ours = np.repeat(ours.fill_null(value=False).to_numpy(), np.diff(offsets_of(best)))
    better = named.to_numpy().copy()
    better[of_ours] &= differs.to_numpy()
    return pl.Series(better)


def _severity_of_glyph() -> pl.Expr:
    severity = pl.lit(0, pl.Int8)
    for glyph, number in GLYPHS.items():
        severity = pl.when(pl.col("glyph") == glyph).then(pl.lit(number, pl.Int8)).otherwise(severity)
    return severity


class _Marks(NamedTuple):
    """What the lists of a column make of the gate."""

    offsets: Array
    gate: Array


@compiled_once
def _open(start: int, stop: int, offsets: Array, best: _Marks, glyphs: _Marks, out: Array) -> None:
    for game in range(start, stop):
        marks = best if best.offsets[game + 1] > best.offsets[game] else glyphs
        first, n_plies = marks.offsets[game], marks.offsets[game + 1] - marks.offsets[game]
        for ply in range(min(n_plies, offsets[game + 1] - offsets[game])):
            out[offsets[game] + ply] = marks.gate[first + ply]


@compiled_once
def _mark_black(start: int, stop: int, offsets: Array, black_starts: Array, severities: Array) -> None:
    for game in range(start, stop):
        for place in range(offsets[game] + (not black_starts[game]), offsets[game + 1], 2):
            if severities[place] > 0:
                severities[place] += _BLACK


plugin = ColumnPlugin(
    name="judgments",
    version="1",
    description="Inaccuracies, mistakes and blunders of each side with their plies, as Lichess judges them.",
    schema=Judgments,
    reads=(
        "id_game",
        "val_moves",
        "val_initial_fen",
        "arr_eval_cp",
        "arr_eval_mate",
        "arr_glyph",
        "arr_best",
        "val_eval_source",
    ),
    needs=(EVALUATIONS,),
    compute=compute,
)
