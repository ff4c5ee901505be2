"""The move after which the evaluation of a game changed most."""

import numpy as np
import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import Array, in_threads, words_at
from plugins.chess_rules.compiled import compiled_once
from plugins.chess_rules.evaluation import LIMIT_CP, WIN_PERCENTS, Evaluations, read_evaluations, win_percents
from plugins.chess_rules.needs import EVALUATIONS
from plugins.chess_rules.plies import beside


class LargestSwing(pa.DataFrameModel):
    """One move a game, seen by White: positive numbers are White's gain, whoever moved. Null if not analysed."""

    id_game: str = pa.Field(description="Lichess game id")
    n_swing_ply: pl.Int16 = pa.Field(ge=1, nullable=True, description="Ply of the largest swing, from 1")
    val_swing_color: str = pa.Field(isin=("white", "black"), nullable=True, description="Who made that move")
    val_swing_san: str = pa.Field(nullable=True, description="That move in SAN")
    val_eval_before_cp: pl.Int16 = pa.Field(
        in_range={"min_value": -1000, "max_value": 1000},
        nullable=True,
        description="Evaluation before it, centipawns within ±1000, White's view; a mate is ±1000",
    )
    val_eval_after_cp: pl.Int16 = pa.Field(
        in_range={"min_value": -1000, "max_value": 1000},
        nullable=True,
        description="Evaluation after it, centipawns within ±1000, White's view; a mate is ±1000",
    )
    val_swing_cp: pl.Int16 = pa.Field(nullable=True, description="Change in centipawns, White's view")
    val_swing_win_pct: float = pa.Field(
        in_range={"min_value": -100, "max_value": 100},
        nullable=True,
        description="Change of White's winning percent, percentage points",
    )


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """The ply with the greatest absolute change of White's winning percent, the earliest of equals.

    By winning percent and not by centipawns, since a pawn decides an even game and nothing in a won one. The usual
    starting position counts as +15; a position set up by FEN has no evaluation, so a game's first ply is left out
    there, as is every ply whose evaluation, or the one before it, is missing. Source of the evaluation's clipping,
    of +15 and of the winning percent: scalachess core/eval.scala.
    """
    frame = games.collect()
    evaluations, usual_start = read_evaluations(frame), frame.get_column("val_initial_fen").is_null().to_numpy()
    wins, at_start = (
        win_percents(evaluations),
        np.where(usual_start, WIN_PERCENTS[evaluations.start_cp + LIMIT_CP], np.nan),
    )
    plies = np.zeros(frame.height, np.int16)
    in_threads(_find_largest, frame.height, evaluations, wins, at_start, plies)
    rows = np.flatnonzero(plies)
    ply, places = plies[rows], evaluations.offsets[rows] + plies[rows] - 1
    after, before = (
        evaluations.clipped[places],
        np.where(ply == 1, evaluations.start_cp, evaluations.clipped[places - 1]),
    )
    white_moved = (ply % 2 == 1) != evaluations.black_starts[rows]
    swings = pl.LazyFrame(
        {
            "n_row": rows.astype(np.uint32),
            "n_swing_ply": ply,
            "val_swing_color": np.where(white_moved, "white", "black"),
            "val_swing_san": words_at(frame.get_column("val_moves")[rows], ply),
            "val_eval_before_cp": before.astype(np.int16),
            "val_eval_after_cp": after.astype(np.int16),
            "val_swing_cp": (after - before).astype(np.int16),
            "val_swing_win_pct": WIN_PERCENTS[after + LIMIT_CP] - WIN_PERCENTS[before + LIMIT_CP],
        }
    )
    return beside(frame.lazy().select("id_game"), swings).drop("n_row")


@compiled_once
def _find_largest(start: int, stop: int, evaluations: Evaluations, wins: Array, at_start: Array, out: Array) -> None:
    for game in range(start, stop):
        first, largest, before = evaluations.offsets[game], -1.0, at_start[game]
        for place in range(first, evaluations.offsets[game + 1]):
            change = abs(wins[place] - before)
            # Equal swings on opposite sides of zero differ in their last bits.
            if change > largest + 1e-9:  # never where one of them is missing: NaN
                largest = change
                out[game] = place - first + 1
            before = wins[place]


plugin = ColumnPlugin(
    name="largest_swing",
    version="2",
    description="The move that changed the evaluation most, by winning percent: who made it, and how much it changed.",
    schema=LargestSwing,
    reads=("id_game", "val_moves", "val_initial_fen", "arr_eval_cp", "arr_eval_mate"),
    needs=(EVALUATIONS,),
    compute=compute,
)
