"""Evaluations by a chess engine, ply by ply, for games that Lichess has not analysed."""

from collections.abc import Mapping, Sequence

import chess.pgn
import pandera.polars as pa
import polars as pl

from plugins import Analysis, EnginePlugin
from plugins.chess_rules.needs import MOVES, NOT_EVALUATED, STANDARD


class EngineEval(pa.DataFrameModel):
    """Evaluations in the shape of chess.games, one element a ply; only games that the engine has looked at."""

    id_game: str = pa.Field(description="Lichess game id")
    arr_eval_cp: pl.List(pl.Int32) = pa.Field(  # type: ignore[valid-type]  # a type of Polars
        nullable=True, description="Evaluation after each ply, centipawns, White's view; null where there is a mate"
    )
    arr_eval_mate: pl.List(pl.Int16) = pa.Field(  # type: ignore[valid-type]  # a type of Polars
        nullable=True,
        description="Moves to mate after each ply, White's view; null where there is none, and after a mating move",
    )
    arr_best: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]  # a type of Polars
        nullable=True, description="The engine's move instead of each ply, in UCI, whatever was played"
    )


def compute(_: chess.pgn.Game, analyses: Sequence[Analysis]) -> Mapping[str, object]:
    """As Lichess exports analyses: nothing after a mating move, 0 after a stalemate."""
    after = analyses[1:]
    return {
        "arr_eval_cp": [analysis.cp for analysis in after],
        "arr_eval_mate": [analysis.mate or None for analysis in after],
        "arr_best": [analysis.best for analysis in analyses[:-1]],
    }


plugin = EnginePlugin(
    name="engine_eval",
    version="1",
    description="Evaluations and best moves by a chess engine, for games that Lichess has not analysed.",
    schema=EngineEval,
    reads=("id_game", "val_moves", "val_initial_fen", "val_variant"),
    needs=(STANDARD, MOVES, NOT_EVALUATED),
    compute=compute,
)
