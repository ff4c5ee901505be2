"""Where the middlegame and the endgame of a game begin. Source: scalachess Divider.scala."""

import polars as pl

from plugins.chess_rules.replay import UNTIL_PHASES, sound, turning_points


def division(games: pl.DataFrame) -> pl.DataFrame:
    """The plies with which the phases of standard games begin, one row a game in their order.

    Needs `val_moves` and `val_initial_fen`. Columns: `n_middlegame_ply`, `n_endgame_ply` (Int16): the ply after which
    the position belongs to the phase, 0 the starting position; null if there is no such phase. A middlegame that
    would begin with the endgame is none. Raises UnplayableGame if a game holds a move that cannot be played before
    its endgame: with that all is known, and the rest is not looked at.
    """
    return sound(games, turning_points(games, UNTIL_PHASES)).division()
