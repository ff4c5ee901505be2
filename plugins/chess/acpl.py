"""Average centipawn loss of each side, as Lichess shows it."""

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import columns_of
from plugins.chess_rules.evaluation import mean_losses, read_evaluations
from plugins.chess_rules.needs import EVALUATIONS


class Acpl(pa.DataFrameModel):
    """Average centipawn loss by side. Null for a side without a move that was evaluated."""

    id_game: str = pa.Field(description="Lichess game id")
    n_acpl_white: pl.Int16 = pa.Field(
        nullable=True, in_range={"min_value": 0, "max_value": 2000}, description="White's mean loss a move, centipawns"
    )
    n_acpl_black: pl.Int16 = pa.Field(
        nullable=True, in_range={"min_value": 0, "max_value": 2000}, description="Black's mean loss a move, centipawns"
    )


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """Mean of what the evaluation fell by for the mover, rounded as on the site; evaluations count within ±1000.

    The position before the first move counts as +15, also where it was set up. Definition and source:
    plugins/chess_rules/evaluation.py.
    """
    frame = games.collect()
    means = columns_of(mean_losses(read_evaluations(frame)), "n_acpl_white", "n_acpl_black")
    return frame.lazy().select("id_game").with_columns(mean.cast(pl.Int16) for mean in means.values())


plugin = ColumnPlugin(
    name="acpl",
    version="1",
    description="Average centipawn loss of each side, as Lichess reckons it.",
    schema=Acpl,
    reads=("id_game", "val_initial_fen", "arr_eval_cp", "arr_eval_mate"),
    needs=(EVALUATIONS,),
    compute=compute,
)
