"""What Lichess makes of an engine's evaluations: winning percent, accuracy, centipawn loss, judgments of moves.

The only place of these definitions. Scalar rules first, then loops over all games of a frame: games lie one after
another in flat arrays (see arrays.py), with one element a ply, White's view.
"""

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from plugins.chess_rules.arrays import Array, elements_of, in_threads, offsets_of, values_of
from plugins.chess_rules.compiled import compiled, compiled_once
from plugins.chess_rules.plies import BLACK_STARTS

LIMIT_CP = 1000
"""Evaluations count no further; a mate counts as that much."""
START_CP = 15
"""The position before the first move, whatever it is. Source: scalachess core/eval.scala."""
GLYPHS = {"?!": 1, "?": 2, "??": 3}
"""Glyph of an inaccuracy, a mistake, a blunder → its severity here. Severity 0 is a move without fault."""

ASK = -1
"""In a gate: the engine would have played another move, see `judge`."""
NO_CP, NO_MATE = -(2**31), -(2**15)
"""A ply without such an evaluation."""
NO_LOSS = -1
"""A ply whose evaluation, or the one before it, is missing: its loss; its accuracy is NaN then."""

_LEAST_FALL = (0.1, 0.2, 0.3)
"""From such a fall of the winning chances on, a move is an inaccuracy, a mistake, a blunder."""
_NEARLY_DECIDED_CP, _DECIDED_CP = 700, 999
"""Beyond these, to lose one's mate or to run into one is a mistake only, an inaccuracy only."""
_STEEPNESS = -0.00368208

WIN_PERCENTS: Array = 50 + 50 * (2 / (1 + np.exp(_STEEPNESS * np.arange(-LIMIT_CP, LIMIT_CP + 1))) - 1)
"""White's chance to win in percent, 0 to 100, by clipped centipawns + 1000. Source: scalachess core/eval.scala."""


class Evaluations(NamedTuple):
    """The evaluations of many games: `offsets` by game, then by ply, then who began."""

    offsets: Array
    cp: Array
    """As they are: centipawns, NO_CP where there are none."""
    mate: Array
    """As they are: moves to mate, NO_MATE where there is none."""
    clipped: Array
    """Centipawns within ±1000, mates included; NO_CP where there is no evaluation."""
    black_starts: Array
    start_cp: int
    """The position before the first move, centipawns."""


def read_evaluations(games: pl.DataFrame) -> Evaluations:
    """Take arr_eval_cp, arr_eval_mate and val_initial_fen of games; of the two lists one may be null.

    Raises ValueError where the two lists of a game differ in length.
    """
    lists = games.select("arr_eval_cp", "arr_eval_mate", black_starts=BLACK_STARTS)
    cp, mate = lists.get_column("arr_eval_cp"), lists.get_column("arr_eval_mate")
    if cp.null_count() or mate.null_count():
        nothing = pl.lit(None).repeat_by(pl.coalesce(pl.col("arr_eval_cp", "arr_eval_mate").list.len()))
        cp, mate = lists.select(
            pl.coalesce(name, nothing.cast(lists.schema[name])) for name in ("arr_eval_cp", "arr_eval_mate")
        ).get_columns()
    offsets = offsets_of(cp)
    if not np.array_equal(offsets, offsets_of(mate)):
        raise ValueError("arr_eval_cp and arr_eval_mate of a game differ in length")
    black_starts = values_of(lists.get_column("black_starts"))
    cps, mates = elements_of(cp, NO_CP), elements_of(mate, NO_MATE)
    evaluations = Evaluations(offsets, cps, mates, np.empty(len(cps), np.int32), black_starts, START_CP)
    in_threads(_clip_all, games.height, evaluations)
    return evaluations


@compiled
def _clipped(cp: int, mate: int, white_moved: bool) -> int:  # noqa: FBT001  # numba has no keyword-only arguments
    """White's evaluation in centipawns within ±1000; a mate counts by its sign. Source: scalachess core/eval.scala.

    Mate 0 says that the side to move is mated, so the one who just moved has won.
    """
    if mate != NO_MATE:
        return LIMIT_CP if mate > 0 or (mate == 0 and white_moved) else -LIMIT_CP
    return NO_CP if cp == NO_CP else min(max(cp, -LIMIT_CP), LIMIT_CP)


@compiled
def _accuracy(fall: float) -> float:
    """Of a move after which the mover's winning percent is lower by `fall`. Source: lila AccuracyPercent.scala."""
    if fall <= 0:
        return 100.0
    raw = 103.1668100711649 * math.exp(-0.04354415386753951 * fall) - 3.166924740191411
    return min(max(raw + 1, 0.0), 100.0)


@compiled
def _winning_chances(cp: int) -> float:
    """From -1 (lost) to 1 (won), for the side whose centipawns they are, not clipped."""
    return 2 / (1 + math.exp(_STEEPNESS * cp)) - 1


@compiled
def _severity(cp_before: int, mate_before: int, cp: int, mate: int) -> int:
    """Judge a move, all from the mover's view; mate 0 after it says that it mates. Source: lila tree/Advice.scala."""
    severity = 0
    is_mated = mate != NO_MATE and mate < 0
    if min(cp_before, cp) != NO_CP:
        fall = _winning_chances(cp_before) - _winning_chances(cp)
        for least in _LEAST_FALL:
            severity += fall >= least
    elif cp_before != NO_CP and is_mated:
        severity = 1 + (cp_before >= -_DECIDED_CP) + (cp_before >= -_NEARLY_DECIDED_CP)
    elif mate_before > 0 and is_mated:
        severity = 3
    elif mate_before > 0 and cp != NO_CP:
        severity = 1 + (cp <= _DECIDED_CP) + (cp <= _NEARLY_DECIDED_CP)
    return severity


@compiled_once
def _clip_all(start: int, stop: int, evaluations: Evaluations) -> None:
    offsets, cp, mate, clipped, black_starts, _ = evaluations
    for game in range(start, stop):
        white_moved = not black_starts[game]
        for place in range(offsets[game], offsets[game + 1]):
            clipped[place] = _clipped(cp[place], mate[place], white_moved)
            white_moved = not white_moved


def win_percents(evaluations: Evaluations) -> Array:
    """White's chance to win after each ply, percent; NaN where there is no evaluation."""
    known = evaluations.clipped != NO_CP
    return np.where(known, WIN_PERCENTS[np.where(known, evaluations.clipped + LIMIT_CP, 0)], np.nan)


def judge(evaluations: Evaluations, gate: Array) -> Array:
    """Severity of each ply as on the site, 0 where it has no fault.

    The site asks first whether the engine would have played another move, which evaluations do not tell: `gate` does,
    by ply. Where it is 0 the move has no fault, else the evaluations say how severe one. Where one of them is missing,
    after the ply or before it, a severity in `gate` stands; ASK stands for no severity.
    """
    severities = np.zeros(len(evaluations.cp), np.int8)
    in_threads(_judge_all, len(evaluations.black_starts), evaluations, gate, severities)
    return severities


@compiled_once
def _judge_all(start: int, stop: int, evaluations: Evaluations, gate: Array, out: Array) -> None:
    offsets, cp, mate, _, black_starts, start_cp = evaluations
    for game in range(start, stop):
        first = offsets[game]
        for place in range(first, offsets[game + 1]):
            if gate[place] == 0:
                continue
            side = 1 if ((place - first) % 2 == 0) != black_starts[game] else -1
            cp_before = start_cp if place == first else cp[place - 1]
            mate_before = NO_MATE if place == first else mate[place - 1]
            cp_after, mate_after = cp[place], mate[place]
            if (cp_before == NO_CP and mate_before == NO_MATE) or (cp_after == NO_CP and mate_after == NO_MATE):
                out[place] = max(gate[place], 0)
                continue
            out[place] = _severity(
                NO_CP if cp_before == NO_CP else side * cp_before,
                NO_MATE if mate_before == NO_MATE else side * mate_before,
                NO_CP if cp_after == NO_CP else side * cp_after,
                NO_MATE if mate_after == NO_MATE else side * mate_after,
            )


def move_accuracies(evaluations: Evaluations) -> Array:
    """Accuracy of each ply, percent; NaN where its evaluation or the one before it is missing."""
    accuracies = np.empty(len(evaluations.clipped), np.float64)
    in_threads(_accuracies, len(evaluations.black_starts), evaluations, accuracies)
    return accuracies


@compiled_once
def _accuracies(start: int, stop: int, evaluations: Evaluations, out: Array) -> None:
    offsets, clipped, black_starts = evaluations.offsets, evaluations.clipped, evaluations.black_starts
    for game in range(start, stop):
        before, side = evaluations.start_cp, -1 if black_starts[game] else 1
        for place in range(offsets[game], offsets[game + 1]):
            after = clipped[place]
            if min(before, after) == NO_CP:
                out[place] = np.nan
            else:
                out[place] = _accuracy(side * (WIN_PERCENTS[before + LIMIT_CP] - WIN_PERCENTS[after + LIMIT_CP]))
            before, side = after, -side


def move_losses(evaluations: Evaluations) -> Array:
    """Centipawns that the mover of each ply lost, at least 0; NO_LOSS where an evaluation is missing.

    Source: lila AccuracyCP.scala.
    """
    losses = np.empty(len(evaluations.clipped), np.int32)
    in_threads(_losses, len(evaluations.black_starts), evaluations, losses)
    return losses


@compiled_once
def _losses(start: int, stop: int, evaluations: Evaluations, out: Array) -> None:
    offsets, clipped, black_starts = evaluations.offsets, evaluations.clipped, evaluations.black_starts
    for game in range(start, stop):
        before, side = evaluations.start_cp, -1 if black_starts[game] else 1
        for place in range(offsets[game], offsets[game + 1]):
            after = clipped[place]
            out[place] = NO_LOSS if min(before, after) == NO_CP else max(0, side * (before - after))
            before, side = after, -side


def mean_losses(evaluations: Evaluations) -> Array:
    """Average centipawn loss, a row a game: White's, Black's; NaN for a side without a move that can be measured.

    Rounded half up, as on the site. Source: lila AccuracyCP.scala.
    """
    means = np.empty((len(evaluations.black_starts), 2), np.float64)
    in_threads(_mean_losses, len(means), evaluations, move_losses(evaluations), means)
    return means


@compiled_once
def _mean_losses(start: int, stop: int, evaluations: Evaluations, losses: Array, out: Array) -> None:
    offsets, black_starts = evaluations.offsets, evaluations.black_starts
    total, count = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for game in range(start, stop):
        total[:], count[:] = 0, 0
        side = 1 if black_starts[game] else 0
        for place in range(offsets[game], offsets[game + 1]):
            if losses[place] != NO_LOSS:
                total[side] += losses[place]
                count[side] += 1
            side = 1 - side
        for side in range(2):
            out[game, side] = math.floor(total[side] / count[side] + 0.5) if count[side] else np.nan


def game_accuracies(evaluations: Evaluations) -> Array:
    """Accuracy of a game in percent, a row a game: White's, Black's; NaN unless both moved.

    The mean of two means of the accuracies of a side's moves: one weighted by how much the evaluation swings around
    the move, one harmonic. As the site does, plies without evaluation are left out *before* the colours are told:
    those behind a gap count for the other side if the gap is odd. Source: lila AccuracyPercent.scala.
    """
    accuracies = np.empty((len(evaluations.black_starts), 2), np.float64)
    in_threads(_game_accuracies, len(accuracies), evaluations, accuracies)
    return accuracies


@compiled_once
def _game_accuracies(start: int, stop: int, evaluations: Evaluations, out: Array) -> None:
    offsets, clipped, black_starts = evaluations.offsets, evaluations.clipped, evaluations.black_starts
    longest = 0
    for game in range(start, stop):
        longest = max(longest, offsets[game + 1] - offsets[game])
    series = np.empty(longest + 1, np.float64)
    count, weights, weighted, inverse = np.zeros(2, np.int64), np.zeros(2), np.zeros(2), np.zeros(2)
    series[0] = WIN_PERCENTS[evaluations.start_cp + LIMIT_CP]
    for game in range(start, stop):
        n_evaluations = 0
        for place in range(offsets[game], offsets[game + 1]):
            if clipped[place] != NO_CP:
                n_evaluations += 1
                series[n_evaluations] = WIN_PERCENTS[clipped[place] + LIMIT_CP]
        window = min(max(n_evaluations // 10, 2), 8)
        count[:], weights[:], weighted[:], inverse[:] = 0, 0, 0, 0
        side, weight = 1 if black_starts[game] else 0, 0.0
        for move in range(n_evaluations):
            # The first `window - 1` moves share the first window.
            begin = max(0, move - (window - 2))
            if move == 0 or begin > 0:
                weight = _volatility(series, begin, begin + window)
            fall = series[move] - series[move + 1]
            accuracy = _accuracy(-fall if side else fall)
            count[side] += 1
            weights[side] += weight
            weighted[side] += weight * accuracy
            inverse[side] += 1 / max(1.0, accuracy)
            side = 1 - side
        both = count[0] > 0 and count[1] > 0
        for side in range(2):
            if both:  # sums are inexact: a hundred could become a little more
                mean = (weighted[side] / weights[side] + count[side] / inverse[side]) / 2
                out[game, side] = min(mean, 100.0)
            else:
                out[game, side] = np.nan


@compiled
def _volatility(series: Array, begin: int, end: int) -> float:
    """Population standard deviation of winning percents, within 0.5 and 12."""
    mean = 0.0
    for place in range(begin, end):
        mean += series[place]
    mean /= end - begin
    square = 0.0
    for place in range(begin, end):
        square += (series[place] - mean) ** 2
    return min(max(math.sqrt(square / (end - begin)), 0.5), 12.0)
