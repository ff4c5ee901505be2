"""What a game of chess must have for an analytic to say anything of it."""

import polars as pl

from plugins.contract import Need

EVALUATIONS = Need(
    "evaluations",
    "no computer analysis",
    ("arr_eval_cp", "arr_eval_mate"),
    pl.col("arr_eval_cp").is_not_null() | pl.col("arr_eval_mate").is_not_null(),
)
NOT_EVALUATED = Need("not evaluated", "has a computer analysis", EVALUATIONS.reads, ~EVALUATIONS.met)
CLOCKS = Need("clocks", "no clocks", ("arr_clock_cs",), pl.col("arr_clock_cs").is_not_null())
STANDARD = Need(
    "standard",
    "not standard chess",
    ("val_variant",),
    pl.col("val_variant").is_in(["standard", "fromPosition"]),
)
ORTHODOX = Need(
    "orthodox",
    "not played with the usual pieces",
    ("val_variant",),
    pl.col("val_variant").is_in(["standard", "fromPosition", "chess960"]),
)
USUAL_START = Need(
    "usual start", "starts from a position of its own", ("val_initial_fen",), pl.col("val_initial_fen").is_null()
)
FINISHED = Need("finished", "not finished", ("val_result",), pl.col("val_result") != "*")
MOVES = Need("moves", "no moves", ("n_plies",), pl.col("n_plies") > 0)
