"""Accuracy of each side, in percent, as Lichess shows it."""

from functools import partial

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import columns_of
from plugins.chess_rules.evaluation import game_accuracies, read_evaluations
from plugins.chess_rules.needs import EVALUATIONS

_percent = partial(pa.Field, nullable=True, in_range={"min_value": 0, "max_value": 100})


class Accuracy(pa.DataFrameModel):
    """Accuracy by side and of the game. Null unless both sides have a move that was evaluated."""

    id_game: str = pa.Field(description="Lichess game id")
    n_accuracy_white: float = _percent(description="White's accuracy, percent; the site shows it rounded")
    n_accuracy_black: float = _percent(description="Black's accuracy, percent; the site shows it rounded")
    n_accuracy: float = _percent(description="Accuracy of the game, percent: the mean of both sides")


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """Each side's mean accuracy of a move, in part weighted by how sharp the position was.

    The position before the first move counts as +15, also where it was set up. Definition and source:
    plugins/chess_rules/evaluation.py. That of a whole game is ours.
    """
    frame = games.collect()
    sides = columns_of(game_accuracies(read_evaluations(frame)), "n_accuracy_white", "n_accuracy_black")
    mean = (pl.col("n_accuracy_white") + pl.col("n_accuracy_black")) * 0.5
    return frame.lazy().select("id_game").with_columns(sides.values()).with_columns(n_accuracy=mean)


plugin = ColumnPlugin(
    name="accuracy",
    version="1",
    description="Accuracy of each side in percent, as Lichess reckons it.",
    schema=Accuracy,
    reads=("id_game", "val_initial_fen", "arr_eval_cp", "arr_eval_mate"),
    needs=(EVALUATIONS,),
    compute=compute,
)
