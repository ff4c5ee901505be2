"""The kind of plugin that asks a chess engine: what it gets of each position, and how many nodes that may cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import chess
import chess.pgn
import polars as pl

from plugins.contract import Answers, Plugin, PluginError, Spread

Source = Literal["game", "engine", "rules"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known of one position: centipawns or moves to mate, White's view, and the best move in UCI.

    `source` says who knows it: the game's own evaluations (then no best move is known), the engine, or the rules: a
    checkmated side to move has mate 0, a stalemate 0 centipawns, and neither a best move.
    """

    cp: int | None
    mate: int | None
    best: str | None
    source: Source


@dataclass(frozen=True, kw_only=True, eq=False)
class EnginePlugin(Plugin):
    """An analytic that needs a chess engine: a function from a game and its positions' analyses to its row.

    `compute` gets python-chess's game and one analysis a position: that before the first move, and that after each ply.
    It is asked about some of the games that meet all `needs`, as many as the user's budget allows; the others have no
    row. `nodes` is the number of nodes a position; the user's setting where there is none. The engine is asked only
    about positions that neither the game's evaluations nor the cache in the lake nor the rules tell.
    """

    compute: Callable[[chess.pgn.Game, Sequence[Analysis]], Mapping[str, Any]]
    nodes: int | None = None
    takes: ClassVar[tuple[str, ...]] = ("game", "analyses")

    def answers(self, games: pl.DataFrame, spread: Spread) -> Answers:  # noqa: ARG002  # nothing can be said of them
        """Nothing without an engine: kshift_assets/chess/engine_games.py brings one."""
        raise PluginError(f"plugin {self.name!r}: it asks a chess engine; run it as an asset")

    def row(self, game: chess.pgn.Game, analyses: Sequence[Analysis]) -> Mapping[str, Any]:
        """The columns of the schema but id_game, for one game; PluginError if they are others."""
        found = self.compute(game, analyses)
        if found.keys() != set(self.columns.names()[1:]):
            wanted = ", ".join(self.columns.names()[1:])
            raise PluginError(f"plugin {self.name!r}: compute gave {', '.join(found)}; give {wanted}")
        return found


def known_analysis(board: chess.Board, own: chess.pgn.GameNode | None = None) -> Analysis | None:
    """What the rules tell of a position, or the evaluation of the node that led to it; None where neither does."""
    if board.is_checkmate():
        return Analysis(None, 0, None, "rules")
    if board.is_stalemate():
        return Analysis(0, None, None, "rules")
    score = own.eval() if own else None
    if score is None:
        return None
    white = score.white()
    return Analysis(white.score(), white.mate(), None, "game")
