"""Speed: what Lichess calls a time control, from ultraBullet to correspondence."""

import polars as pl

LONGEST_S = {"ultraBullet": 29, "bullet": 179, "blitz": 479, "rapid": 1499, "classical": 21599}
"""Speed → longest estimated duration of a game, seconds. Source: scalachess Speed.scala."""
MOVES_OF_A_GAME = 40
"""So many increments a side are estimated. Source: scalachess Clock.scala."""


def speed(initial_s: pl.Expr, increment_s: pl.Expr) -> pl.Expr:
    """Speed of a clock, both numbers in seconds; null without a clock."""
    estimate = initial_s.cast(pl.Int64) + MOVES_OF_A_GAME * increment_s.cast(pl.Int64)
    named = (pl.when(estimate <= longest).then(pl.lit(name)) for name, longest in LONGEST_S.items())
    return pl.coalesce(*named, pl.when(estimate.is_not_null()).then(pl.lit("correspondence")))
