"""Opening, middlegame and endgame of a game: where they begin, and how well and how fast each side played them."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import Array, columns_of, in_threads, texts_of, values_of
from plugins.chess_rules.clocks import READS, think
from plugins.chess_rules.compiled import compiled, compiled_once
from plugins.chess_rules.evaluation import NO_LOSS, move_accuracies, move_losses, read_evaluations
from plugins.chess_rules.needs import STANDARD
from plugins.chess_rules.phases import division

_ply = partial(pa.Field, nullable=True, ge=0)
_percent = partial(pa.Field, nullable=True, in_range={"min_value": 0, "max_value": 100})
_amount = partial(pa.Field, nullable=True, ge=0)
_ACPL = "mean loss a move in the {}, centipawns"


class Phases(pa.DataFrameModel):
    """Where the phases begin, and what each side did in them. Accuracy and losses are null if not analysed."""

    id_game: str = pa.Field(description="Lichess game id")
    n_middlegame_ply: pl.Int16 = _ply(description="First ply of the middlegame, 0 if it begins with one; null if none")
    n_endgame_ply: pl.Int16 = _ply(description="First ply of the endgame, 0 if it begins with one; null if none")
    n_plies_opening: pl.Int16 = _ply(description="Plies played in the opening")
    n_plies_middlegame: pl.Int16 = _ply(description="Plies played in the middlegame")
    n_plies_endgame: pl.Int16 = _ply(description="Plies played in the endgame")
    n_accuracy_opening_white: float = _percent(description="White's accuracy in the opening, percent")
    n_accuracy_opening_black: float = _percent(description="Black's accuracy in the opening, percent")
    n_accuracy_middlegame_white: float = _percent(description="White's accuracy in the middlegame, percent")
    n_accuracy_middlegame_black: float = _percent(description="Black's accuracy in the middlegame, percent")
    n_accuracy_endgame_white: float = _percent(description="White's accuracy in the endgame, percent")
    n_accuracy_endgame_black: float = _percent(description="Black's accuracy in the endgame, percent")
    n_acpl_opening_white: float = _amount(description=f"White's {_ACPL.format('opening')}")
    n_acpl_opening_black: float = _amount(description=f"Black's {_ACPL.format('opening')}")
    n_acpl_middlegame_white: float = _amount(description=f"White's {_ACPL.format('middlegame')}")
    n_acpl_middlegame_black: float = _amount(description=f"Black's {_ACPL.format('middlegame')}")
    n_acpl_endgame_white: float = _amount(description=f"White's {_ACPL.format('endgame')}")
    n_acpl_endgame_black: float = _amount(description=f"Black's {_ACPL.format('endgame')}")
    n_think_opening_s_white: float = _amount(description="White's thinking in the opening, timed moves, seconds")
    n_think_opening_s_black: float = _amount(description="Black's thinking in the opening, timed moves, seconds")
    n_think_middlegame_s_white: float = _amount(description="White's thinking in the middlegame, timed moves, seconds")
    n_think_middlegame_s_black: float = _amount(description="Black's thinking in the middlegame, timed moves, seconds")
    n_think_endgame_s_white: float = _amount(description="White's thinking in the endgame, timed moves, seconds")
    n_think_endgame_s_black: float = _amount(description="Black's thinking in the endgame, timed moves, seconds")


_COLOURS = ("white", "black")
_PHASES = ("opening", "middlegame", "endgame")
_N_MEASURES = 3
_BLANK = ord(" ")


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """Phases by the site's rule; a ply belongs to the phase that its position, the one after it, belongs to.

    Accuracy and loss by phase are those of the site's Insights page: the harmonic mean of the accuracies of the moves,
    each raised to at least 1, and the plain mean of their losses, not rounded; a move that mates is perfect, though no
    engine looks at it. Neither is weighted, so a game's accuracy is no mean of those of its phases. A game set up in
    an endgame has no middlegame; its moves count as endgame. UnplayableGame for a game that holds an illegal move
    before its endgame; behind that no move is looked at.

    Thinking time: plugins/chess_rules/clocks.py. Sources: scalachess Divider.scala, lila insight PovToEntry.scala and
    AggregationPipeline.scala.
    """
    frame = games.collect()
    begins = division(frame)
    middlegame, endgame = (values_of(column.cast(pl.Int32).fill_null(-1)) for column in begins.get_columns())
    evaluations, thinking = read_evaluations(frame), think(frame)
    mates = (frame.get_column("val_status") == "mate").fill_null(value=False)
    seen = _Seen(
        middlegame,
        endgame,
        *texts_of(frame.get_column("val_moves")),
        values_of(mates),
        evaluations.black_starts,
        evaluations.offsets,
        move_accuracies(evaluations),
        move_losses(evaluations),
        thinking.offsets,
        thinking.think_cs,
    )
    plies = np.zeros((frame.height, len(_PHASES)), np.int16)
    measured = np.full((frame.height, _N_MEASURES, len(_PHASES), len(_COLOURS)), np.nan)
    in_threads(_measure, frame.height, seen, plies, measured)
    names = ("n_accuracy_{}_{}", "n_acpl_{}_{}", "n_think_{}_s_{}")
    columns = columns_of(
        measured.reshape(frame.height, _N_MEASURES * len(_PHASES) * len(_COLOURS)),
        *(name.format(phase, colour) for name in names for phase in _PHASES for colour in _COLOURS),
    )
    counts = {f"n_plies_{phase}": pl.Series(plies[:, place]) for place, phase in enumerate(_PHASES)}
    return frame.lazy().select("id_game").with_columns(*begins.get_columns()).with_columns(**counts, **columns)


class _Seen(NamedTuple):
    """What is known of many games; -1 for a phase that does not begin."""

    middlegame: Array
    endgame: Array
    letters: Array
    text_offsets: Array
    mates: Array
    black_starts: Array
    offsets: Array
    accuracy: Array
    loss: Array
    think_offsets: Array
    think_cs: Array


@compiled
def _n_words(letters: Array, start: int, end: int) -> int:
    """Words in a part of a text, single blanks between them."""
    number = 1 if end > start else 0
    for place in range(start, end):
        number += letters[place] == _BLANK
    return number


@compiled_once
def _measure(start: int, stop: int, seen: _Seen, plies: Array, out: Array) -> None:  # noqa: C901, PLR0912  # one pass over the plies
    sums, counts = np.zeros((3, 3, 2)), np.zeros((3, 3, 2))
    for game in range(start, stop):
        sums[:], counts[:] = 0, 0
        first, n_evaluated = seen.offsets[game], seen.offsets[game + 1] - seen.offsets[game]
        first_think, n_clocks = seen.think_offsets[game], seen.think_offsets[game + 1] - seen.think_offsets[game]
        side = 1 if seen.black_starts[game] else 0
        n_plies = _n_words(seen.letters, seen.text_offsets[game], seen.text_offsets[game + 1])
        for place in range(n_plies):
            phase = 0
            if 0 <= seen.endgame[game] <= place + 1:
                phase = 2
            elif 0 <= seen.middlegame[game] <= place + 1:
                phase = 1
            plies[game, phase] += 1
            if place < n_evaluated:
                accuracy, loss = seen.accuracy[first + place], seen.loss[first + place]
                if np.isnan(accuracy) and seen.mates[game] and place == n_plies - 1:
                    accuracy = 100.0
                if not np.isnan(accuracy):
                    sums[0, phase, side] += 1 / max(accuracy, 1.0)
                    counts[0, phase, side] += 1
                if loss != NO_LOSS:
                    sums[1, phase, side] += loss
                    counts[1, phase, side] += 1
            if place < n_clocks and seen.think_cs[first_think + place] >= 0:
                sums[2, phase, side] += seen.think_cs[first_think + place]
                counts[2, phase, side] += 1
            side = 1 - side
        for phase in range(3):
            for side in range(2):
                if counts[0, phase, side]:
                    # Sums are inexact: a hundred could become a little more.
                    out[game, 0, phase, side] = min(counts[0, phase, side] / sums[0, phase, side], 100.0)
                if counts[1, phase, side]:
                    out[game, 1, phase, side] = sums[1, phase, side] / counts[1, phase, side]
                if counts[2, phase, side]:
                    out[game, 2, phase, side] = sums[2, phase, side] / 100


plugin = ColumnPlugin(
    name="phases",
    version="2",
    description="Where middlegame and endgame begin; plies, accuracy, centipawn loss and thinking time by phase.",
    schema=Phases,
    reads=("id_game", "arr_eval_cp", "arr_eval_mate", *READS),
    needs=(STANDARD,),
    compute=compute,
)
