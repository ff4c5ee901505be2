"""Lichess's reading of evaluations: clipped centipawns and winning percent."""

import polars as pl

LIMIT_CP = 1000
START_CP = 15


def clipped_cp(cp: pl.Expr, mate: pl.Expr, *, white_moved: pl.Expr) -> pl.Expr:
    """White's evaluation after a ply in centipawns, within ±1000; a mate counts as ±1000 by its sign.

    Mate 0 says that the side to move is mated, so the one who just moved has won. Null where there is neither.
    Source: scalachess core/eval.scala.
    """
    white_mates = (mate > 0) | ((mate == 0) & white_moved)
    return (
        pl.when(mate.is_null())
        .then(cp.clip(-LIMIT_CP, LIMIT_CP))
        .when(white_mates)
        .then(LIMIT_CP)
        .otherwise(-LIMIT_CP)
        .cast(pl.Int16)
    )


def win_percent(cp: pl.Expr) -> pl.Expr:
    """White's chance to win in percent, 0 to 100, from clipped centipawns. Source: scalachess core/eval.scala."""
    return 50 + 50 * (2 / (1 + (-0.00368208 * cp).exp()) - 1)
