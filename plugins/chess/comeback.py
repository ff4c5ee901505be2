"""Comebacks and missed wins: how well and how badly each side once stood, and what became of it."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import Array, in_threads, positions_of
from plugins.chess_rules.compiled import compiled_once
from plugins.chess_rules.evaluation import LIMIT_CP, WIN_PERCENTS, Evaluations, read_evaluations, win_percents
from plugins.chess_rules.needs import EVALUATIONS, FINISHED
from plugins.chess_rules.plies import Plies

_WINNING, _LOST, _SPOILT = 90.0, 10.0, 70.0
_percent = partial(pa.Field, nullable=True, in_range={"min_value": 0, "max_value": 100})
_ply = partial(pa.Field, nullable=True, ge=1)
_maybe = partial(pa.Field, nullable=True)


class Comeback(pa.DataFrameModel):
    """Each side's best and worst standing after any ply, and whether the result belied it."""

    id_game: str = pa.Field(description="Lichess game id")
    n_win_pct_best_white: float = _percent(description="White's highest winning percent after any ply")
    n_win_pct_best_black: float = _percent(description="Black's highest winning percent after any ply")
    n_win_pct_worst_white: float = _percent(description="White's lowest winning percent after any ply")
    n_win_pct_worst_black: float = _percent(description="Black's lowest winning percent after any ply")
    n_best_ply_white: pl.Int16 = _ply(description="Ply after which White stood best, the earliest of equals")
    n_best_ply_black: pl.Int16 = _ply(description="Ply after which Black stood best, the earliest of equals")
    n_worst_ply_white: pl.Int16 = _ply(description="Ply after which White stood worst, the earliest of equals")
    n_worst_ply_black: pl.Int16 = _ply(description="Ply after which Black stood worst, the earliest of equals")
    ind_comeback_white: bool = _maybe(description="Whether White won or drew after standing at 10 percent or less")
    ind_comeback_black: bool = _maybe(description="Whether Black won or drew after standing at 10 percent or less")
    ind_missed_win_white: bool = _maybe(description="Whether White did not win after standing at 90 percent or more")
    ind_missed_win_black: bool = _maybe(description="Whether Black did not win after standing at 90 percent or more")
    n_missed_wins_white: pl.Int16 = _maybe(
        ge=0, description="White's moves that spoilt a win: from 90 percent below 70"
    )
    n_missed_wins_black: pl.Int16 = _maybe(
        ge=0, description="Black's moves that spoilt a win: from 90 percent below 70"
    )
    arr_ply_missed_wins_white: Plies = _maybe(description="Plies of these moves of White, from 1")
    arr_ply_missed_wins_black: Plies = _maybe(description="Plies of these moves of Black, from 1")


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """By winning percent, so that it means the same in an even position and in a wild one.

    - Standing is the winning percent after a ply, the opponent's as well as one's own; 10 and 90 percent are about six
      pawns. The starting position is none of them.
    - A comeback: at 10 percent or less once, and not lost. A missed win is the opponent's comeback: at 90 percent or
      more once, and not won, for whatever reason: time run out, stalemate, a draw agreed to.
    - A move spoils a win if the mover stood at 90 percent or more before it, and below 70 after it, whatever the
      result. Plies without an evaluation, or after one without, are passed over.

    The bounds are ours; winning percent: plugins/chess_rules/evaluation.py.
    """
    frame = games.collect()
    evaluations = read_evaluations(frame)
    wins = win_percents(evaluations)
    found = _Found(
        np.full((frame.height, 2), np.nan), np.zeros((frame.height, 2), np.int16), np.zeros(len(wins), np.int8)
    )
    bounds = (float(WIN_PERCENTS[evaluations.start_cp + LIMIT_CP]), _WINNING, _SPOILT)
    in_threads(_survey, frame.height, evaluations, wins, bounds, found)
    best, worst = (pl.Series(found.extremes[:, place], nan_to_null=True) for place in range(2))
    best_ply, worst_ply = (pl.Series(found.plies[:, place]).replace(0, None) for place in range(2))
    lists = [positions_of(side, found.spoilt, evaluations.offsets) for side in (1, 2)]
    return (
        frame.lazy()
        .select(
            "id_game",
            "val_result",
            n_win_pct_best_white=best,
            n_win_pct_best_black=100 - worst,
            n_win_pct_worst_white=worst,
            n_win_pct_worst_black=100 - best,
            n_best_ply_white=best_ply,
            n_best_ply_black=worst_ply,
            n_worst_ply_white=worst_ply,
            n_worst_ply_black=best_ply,
        )
        .with_columns(
            ind_comeback_white=_known((pl.col("n_win_pct_worst_white") <= _LOST) & (pl.col("val_result") != "0-1")),
            ind_comeback_black=_known((pl.col("n_win_pct_best_white") >= _WINNING) & (pl.col("val_result") != "1-0")),
        )
        .with_columns(
            ind_missed_win_white=pl.col("ind_comeback_black"),
            ind_missed_win_black=pl.col("ind_comeback_white"),
            n_missed_wins_white=lists[0].list.len().cast(pl.Int16),
            n_missed_wins_black=lists[1].list.len().cast(pl.Int16),
            arr_ply_missed_wins_white=lists[0],
            arr_ply_missed_wins_black=lists[1],
        )
        .drop("val_result")
    )


def _known(comeback: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("n_best_ply_white").is_not_null()).then(comeback)


class _Found(NamedTuple):
    """White's best and worst, their plies, and by ply which move spoilt a win: 1 White's, 2 Black's."""

    extremes: Array
    plies: Array
    spoilt: Array


_Bounds = tuple[float, float, float]


@compiled_once
def _survey(start: int, stop: int, evaluations: Evaluations, wins: Array, bounds: _Bounds, found: _Found) -> None:
    at_start, winning, below = bounds
    extremes, plies, spoilt = found
    for game in range(start, stop):
        first, white_moves, before = evaluations.offsets[game], not evaluations.black_starts[game], at_start
        for place in range(first, evaluations.offsets[game + 1]):
            win = wins[place]
            if not win <= extremes[game, 0] and win == win:  # noqa: PLR0124  # NaN, also as what there is yet
                extremes[game, 0], plies[game, 0] = win, place - first + 1
            if not win >= extremes[game, 1] and win == win:  # noqa: PLR0124  # the same
                extremes[game, 1], plies[game, 1] = win, place - first + 1
            if white_moves and before >= winning and win < below:
                spoilt[place] = 1
            elif not white_moves and 100 - before >= winning and 100 - win < below:
                spoilt[place] = 2
            before, white_moves = win, not white_moves


plugin = ColumnPlugin(
    name="comeback",
    version="1",
    description="Comebacks and missed wins: each side's best and worst standing, and whether the result belied it.",
    schema=Comeback,
    reads=("id_game", "val_result", "val_initial_fen", "arr_eval_cp", "arr_eval_mate"),
    needs=(EVALUATIONS, FINISHED),
    compute=compute,
)
