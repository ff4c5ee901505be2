"""What the columns of one game say about each other. Rules of a single column stand beside it, in schemas."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.speeds import speed
from kshift_assets.chess.texts import blanks_in

COLORS = ("white", "black")
DECISIVE = ("mate", "resign")
DRAWN = ("draw", "stalemate")
UNFINISHED = ("created", "started", "aborted")


class GameRules(pa.DataFrameModel):
    """Rules of whole rows, to inherit from. A rule's name is the reason that a rejected game shows.

    A rule is about facts that are known: where one is null it holds.
    """

    @pa.dataframe_check(name="the id of a user is the name in lower case")
    @classmethod
    def _names_fit_ids(cls, data: PolarsData) -> pl.LazyFrame:
        return _all(data, *(_lower(f"val_name_{color}") == pl.col(f"id_user_{color}") for color in COLORS))

    @pa.dataframe_check(name="a computer has neither account nor rating")
    @classmethod
    def _computers_are_nobody(cls, data: PolarsData) -> pl.LazyFrame:
        return _all(
            data,
            *(
                pl.col(f"n_ai_level_{color}").is_null()
                | (pl.col(f"id_user_{color}").is_null() & pl.col(f"n_rating_{color}").is_null())
                for color in COLORS
            ),
        )

    @pa.dataframe_check(name="not both sides are computers")
    @classmethod
    def _somebody_plays(cls, data: PolarsData) -> pl.LazyFrame:
        return _all(data, pl.any_horizontal(pl.col(f"n_ai_level_{color}").is_null() for color in COLORS))

    @pa.dataframe_check(name="n_plies counts val_moves")
    @classmethod
    def _plies_count_moves(cls, data: PolarsData) -> pl.LazyFrame:
        moves = pl.col("val_moves")
        # Polars's count_matches takes longer than all other rules together.
        n_moves = pl.when(moves == "").then(0).otherwise(moves.map_batches(blanks_in, return_dtype=pl.Int32) + 1)
        return _all(data, pl.col("n_plies") == n_moves)

    @pa.dataframe_check(name="lists have one element a ply")
    @classmethod
    def _lists_fit_plies(cls, data: PolarsData) -> pl.LazyFrame:
        lists = ("arr_clock_cs", "arr_eval_cp", "arr_eval_mate", "arr_glyph", "arr_best")
        return _all(data, *(pl.col(name).list.len() == pl.col("n_plies") for name in lists))

    @pa.dataframe_check(name="centipawns and mates are both there or both missing")
    @classmethod
    def _evaluations_are_whole(cls, data: PolarsData) -> pl.LazyFrame:
        return _all(data, pl.col("arr_eval_cp").is_null() == pl.col("arr_eval_mate").is_null())

    @pa.dataframe_check(name="val_result fits val_status")
    @classmethod
    def _results_fit_statuses(cls, data: PolarsData) -> pl.LazyFrame:
        status, result = pl.col("val_status"), pl.col("val_result")
        return _all(
            data,
            ~status.is_in(list(DECISIVE)) | result.is_in(["1-0", "0-1"]),
            ~status.is_in(list(DRAWN)) | (result == "1/2-1/2"),
            ~status.is_in(list(UNFINISHED)) | (result == "*"),
        )

    @pa.dataframe_check(name="who mates wins")
    @classmethod
    def _mate_wins(cls, data: PolarsData) -> pl.LazyFrame:
        black_starts = pl.col("val_initial_fen").str.contains(" b ", literal=True).fill_null(value=False)
        white_was_last = (pl.col("n_plies") % 2 == 1) != black_starts
        winner = pl.when(white_was_last).then(pl.lit("1-0")).otherwise(pl.lit("0-1"))
        return _all(data, (pl.col("val_status") != "mate") | (pl.col("val_result") == winner))

    @pa.dataframe_check(name="tm_last_move is not before tm_created")
    @classmethod
    def _moves_follow_creation(cls, data: PolarsData) -> pl.LazyFrame:
        return _all(data, pl.col("tm_last_move") >= pl.col("tm_created"))

    @pa.dataframe_check(name="dt_game and dt_month are those of tm_created")
    @classmethod
    def _days_fit_times(cls, data: PolarsData) -> pl.LazyFrame:
        created = pl.col("tm_created")
        month = created.dt.strftime("%Y-%m")
        return _all(data, pl.col("dt_game") == created.dt.date(), pl.col("dt_month") == month)

    @pa.dataframe_check(name="val_speed is that of the clock")
    @classmethod
    def _speeds_fit_clocks(cls, data: PolarsData) -> pl.LazyFrame:
        clock = speed(pl.col("n_clock_initial_s"), pl.col("n_clock_increment_s"))
        return _all(data, pl.col("val_speed") == clock)

    @pa.dataframe_check(name="a game from a position says from which")
    @classmethod
    def _positions_are_known(cls, data: PolarsData) -> pl.LazyFrame:
        has_fen = pl.col("val_initial_fen").is_not_null()
        return _all(data, (pl.col("val_variant") != "fromPosition") | has_fen)


def _all(data: PolarsData, *rules: pl.Expr) -> pl.LazyFrame:
    return data.lazyframe.select(pl.all_horizontal(rule.fill_null(value=True) for rule in rules).alias("holds"))


def _lower(name: str) -> pl.Expr:
    return pl.col(name).str.to_lowercase()
