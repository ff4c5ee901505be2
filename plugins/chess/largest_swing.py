"""The move after which the evaluation of a game changed most."""

import pandera.polars as pa
import polars as pl

from plugins import Plugin
from plugins.chess_rules.evaluation import START_CP, clipped_cp, win_percent
from plugins.chess_rules.plies import BLACK_STARTS, beside, unnest


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


def compute(games: pl.DataFrame) -> pl.DataFrame:
    """The ply with the greatest absolute change of White's winning percent, the earliest of equals.

    By winning percent and not by centipawns, since a pawn decides an even game and nothing in a won one. The usual
    starting position counts as +15; a position set up by FEN has no evaluation, so a game's first ply is left out
    there, as is every ply whose evaluation, or the one before it, is missing. Source of the evaluation's clipping,
    of +15 and of the winning percent: scalachess core/eval.scala.
    """
    before, after, change = (
        pl.col("val_eval_before_cp"),
        pl.col("val_eval_after_cp"),
        pl.col("val_swing_win_pct"),
    )
    ply, white_moved = pl.col("n_element"), pl.col("white_moved")
    evaluations = games.lazy().select(
        "arr_eval_cp",
        "arr_eval_mate",
        start=pl.when(pl.col("val_initial_fen").is_null()).then(pl.lit(START_CP, pl.Int16)),
        black_starts=BLACK_STARTS,
    )
    swings = (
        unnest(evaluations, "arr_eval_cp", "arr_eval_mate")
        .with_columns(white_moved=(ply % 2 == 1) != pl.col("black_starts"))
        .with_columns(
            val_eval_after_cp=clipped_cp(pl.col("arr_eval_cp"), pl.col("arr_eval_mate"), white_moved=white_moved)
        )
        .with_columns(val_eval_before_cp=pl.when(ply == 1).then("start").otherwise(after.shift(1)))
        .with_columns(val_swing_win_pct=win_percent(after) - win_percent(before))
        .drop_nulls("val_swing_win_pct")
    )
    # Equal swings on opposite sides of zero differ in their last bits.
    size = change.abs().round(9)
    largest = swings.group_by("n_row").agg(
        pl.col("n_element", "white_moved", "val_eval_before_cp", "val_eval_after_cp", "val_swing_win_pct").get(
            size.arg_max()
        )
    )
    colour = pl.when(white_moved).then(pl.lit("white")).when(~white_moved).then(pl.lit("black"))
    return (
        beside(games, largest)
        .select(
            "id_game",
            ply.alias("n_swing_ply"),
            colour.alias("val_swing_color"),
            pl.col("val_moves").str.split(" ").list.get(ply - 1, null_on_oob=True).alias("val_swing_san"),
            before,
            after,
            (after - before).alias("val_swing_cp"),
            change,
        )
        .collect()
    )


plugin = Plugin(
    name="largest_swing",
    version="1",
    description="The move that changed the evaluation most, by winning percent: who made it, and how much it changed.",
    schema=LargestSwing,
    reads=("id_game", "val_moves", "val_initial_fen", "arr_eval_cp", "arr_eval_mate"),
    compute=compute,
)
