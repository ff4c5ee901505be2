"""Material of standard games: how many pieces each side has at the start, at the borders of the phases, at the end."""

import polars as pl

from plugins.chess_rules.replay import playable
from plugins.chess_rules.replay_kernel import END, ENDGAME, MIDDLEGAME, START

MOMENTS = {"start": START, "middlegame": MIDDLEGAME, "endgame": ENDGAME, "end": END}
PIECES = ("pawns", "knights", "bishops", "rooks", "queens")
VALUES = (1, 3, 3, 5, 9)
"""Worth of each kind in pawns, as beginners learn it."""


def material(games: pl.DataFrame, moment: str = "end") -> pl.DataFrame:
    """Pieces of both sides at one of the MOMENTS, one row a game in their order.

    Needs `val_moves` and `val_initial_fen`. Columns (Int16): `n_pawns_white` … `n_queens_black`, and
    `n_material_white`, `n_material_black`, in pawns by VALUES; all null in a game that did not reach the phase. Raises
    UnplayableGame if a game holds a move that cannot be played.
    """
    counts = playable(games).counts[:, MOMENTS[moment]].astype("int16")
    columns = {
        f"n_{pieces}_{side}": counts[:, row, kind]
        for row, side in enumerate(("white", "black"))
        for kind, pieces in enumerate(PIECES)
    }
    columns |= {f"n_material_{side}": counts[:, row] @ VALUES for row, side in enumerate(("white", "black"))}
    reached = pl.Series(counts[:, 0, 0] >= 0)
    return pl.DataFrame(columns).select(pl.when(reached).then(pl.all().cast(pl.Int16)))
