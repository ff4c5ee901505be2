"""How the players of a game used their time: thinking, time left, time trouble."""

from functools import partial

import numpy as np
import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import Array, columns_of, in_threads
from plugins.chess_rules.clocks import NO_CLOCK, READS, Thinking, think
from plugins.chess_rules.compiled import compiled_once
from plugins.chess_rules.needs import CLOCKS

_SECOND_CS = 100
_maybe = partial(pa.Field, nullable=True)
_amount = partial(pa.Field, nullable=True, ge=0)


class TimeUsage(pa.DataFrameModel):
    """Thinking time by side, over the moves whose time is known. Null where a game has no clocks."""

    id_game: str = pa.Field(description="Lichess game id")
    n_think_total_s_white: float = _amount(description="White's thinking, all timed moves, seconds")
    n_think_total_s_black: float = _amount(description="Black's thinking, all timed moves, seconds")
    n_think_mean_s_white: float = _amount(description="White's mean thinking time for a move, seconds")
    n_think_mean_s_black: float = _amount(description="Black's mean thinking time for a move, seconds")
    n_think_median_s_white: float = _amount(description="White's median thinking time for a move, seconds")
    n_think_median_s_black: float = _amount(description="Black's median thinking time for a move, seconds")
    n_think_max_s_white: float = _amount(description="White's longest thinking time for a move, seconds")
    n_think_max_s_black: float = _amount(description="Black's longest thinking time for a move, seconds")
    n_think_max_ply_white: pl.Int16 = _amount(description="Ply of White's longest think, from 1; earliest of equals")
    n_think_max_ply_black: pl.Int16 = _amount(description="Ply of Black's longest think, from 1; earliest of equals")
    n_time_left_s_white: float = _maybe(description="White's clock after White's last move, seconds")
    n_time_left_s_black: float = _maybe(description="Black's clock after Black's last move, seconds")
    n_moves_time_trouble_white: pl.Int16 = _amount(description="White's moves that began in time trouble")
    n_moves_time_trouble_black: pl.Int16 = _amount(description="Black's moves that began in time trouble")
    ind_time_trouble_white: bool = _maybe(description="Whether a move of White began in time trouble")
    ind_time_trouble_black: bool = _maybe(description="Whether a move of Black began in time trouble")
    ind_berserk_white: bool = _maybe(description="Whether White's clock shows that White berserked")
    ind_berserk_black: bool = _maybe(description="Whether Black's clock shows that Black berserked")


_MEASURES = {
    "n_think_total_s": pl.Float64,
    "n_think_mean_s": pl.Float64,
    "n_think_median_s": pl.Float64,
    "n_think_max_s": pl.Float64,
    "n_think_max_ply": pl.Int16,
    "n_time_left_s": pl.Float64,
    "n_moves_time_trouble": pl.Int16,
    "ind_time_trouble": pl.Boolean,
    "ind_berserk": pl.Boolean,
}
"""What is measured for each side, in the order in which `_measure` gives it."""


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """Sums over the moves of each side; what no move of a side can tell is null.

    How a move's thinking time is reckoned: `think` in plugins/chess_rules/clocks.py. Thinking time by phase stands in
    analytics.phases.
    """
    frame = games.collect()
    measured = np.full((frame.height, 2, len(_MEASURES)), np.nan)
    in_threads(_measure, frame.height, think(frame), measured)
    white, black = (
        columns_of(measured[:, side], *(f"{name}_{colour}" for name in _MEASURES))
        for side, colour in enumerate(("white", "black"))
    )
    types = {f"{name}_{colour}": dtype for name, dtype in _MEASURES.items() for colour in ("white", "black")}
    return (
        frame.lazy().select("id_game").with_columns(**white, **black).select("id_game", *types).cast(types)  # type: ignore[arg-type]  # names of columns
    )


@compiled_once
def _measure(start: int, stop: int, thinking: Thinking, out: Array) -> None:  # noqa: C901  # one pass over the plies
    longest = 0
    for game in range(start, stop):
        longest = max(longest, thinking.offsets[game + 1] - thinking.offsets[game])
    thinks = np.empty(longest // 2 + 1, np.int32)
    for game in range(start, stop):
        first, end = thinking.offsets[game], thinking.offsets[game + 1]
        for parity in range(min(2, end - first)):
            side = 1 - parity if thinking.black_starts[game] else parity
            total, most, most_ply, n_thinks, n_trouble, n_judged, left_cs = 0, -1, 0, 0, 0, 0, NO_CLOCK
            for place in range(first + parity, end, 2):
                took = thinking.think_cs[place]
                if took >= 0:
                    thinks[n_thinks] = took
                    n_thinks += 1
                    total += took
                    if took > most:
                        most, most_ply = took, place - first + 1
                if thinking.trouble[place] >= 0:
                    n_judged += 1
                    n_trouble += thinking.trouble[place]
                if thinking.clock_cs[place] != NO_CLOCK:
                    left_cs = thinking.clock_cs[place]
            measures = out[game, side]
            if n_thinks:
                own = thinks[:n_thinks]
                own.sort()
                middle = own[n_thinks // 2] + own[(n_thinks - 1) // 2]
                measures[0] = total / _SECOND_CS
                measures[1] = round(total / (n_thinks * _SECOND_CS), 4)
                measures[2] = middle / (2 * _SECOND_CS)
                measures[3] = most / _SECOND_CS
                measures[4] = most_ply
            if left_cs != NO_CLOCK:
                measures[5] = left_cs / _SECOND_CS
            if n_judged:
                measures[6] = n_trouble
                measures[7] = n_trouble > 0
            if thinking.berserk[game, side] >= 0:
                measures[8] = thinking.berserk[game, side]


plugin = ColumnPlugin(
    name="time_usage",
    version="2",
    description="Thinking time, time left and time trouble of each side, and who berserked.",
    schema=TimeUsage,
    reads=("id_game", *READS),
    needs=(CLOCKS,),
    compute=compute,
)
