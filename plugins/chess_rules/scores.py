"""Evaluations of single positions, for analytics that see one game of python-chess at a time."""

import chess
import chess.engine

from plugins.chess_rules.evaluation import LIMIT_CP, WIN_PERCENTS

_DECIDED = 100_000  # a mate, before it is clipped


def win_percent_for(color: chess.Color, score: chess.engine.PovScore) -> float:
    """That side's chance to win, 0 to 100; a mate counts as ±1000 cp. Source: scalachess core/eval.scala."""
    cp = score.pov(color).score(mate_score=_DECIDED)
    return float(WIN_PERCENTS[max(-LIMIT_CP, min(LIMIT_CP, cp)) + LIMIT_CP])
