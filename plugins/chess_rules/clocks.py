"""What clocks tell: how long each move was thought about, which moves began in time trouble, and who berserked."""

from typing import NamedTuple

import numpy as np
import polars as pl

from plugins.chess_rules.arrays import Array, elements_of, in_threads, offsets_of, values_of
from plugins.chess_rules.compiled import compiled, compiled_once
from plugins.chess_rules.plies import BLACK_STARTS

READS = (
    "val_moves",
    "val_status",
    "val_initial_fen",
    "id_tournament",
    "n_clock_initial_s",
    "n_clock_increment_s",
    "arr_clock_cs",
)
"""The columns of chess.games that `think` needs."""
UNKNOWN, NO_CLOCK = -1, -(2**31)
"""What cannot be told, in the arrays of Thinking; a clock that is not known."""

_SECOND_CS = 100
_ENDED_BY_MOVE = ("mate", "stalemate", "variantEnd")


class Thinking(NamedTuple):
    """The clocks of many games and what they tell; by ply, if nothing else is said. UNKNOWN where it is not known."""

    offsets: Array
    """By game: where its plies begin."""
    black_starts: Array
    """By game: whether Black moves first."""
    clock_cs: Array
    """Time left after the ply, NO_CLOCK where it is not known."""
    think_cs: Array
    """Time that was thought about the ply."""
    trouble: Array
    """1 if the ply began in time trouble, 0 if not."""
    berserk: Array
    """By game and side, White's first: 1 if it berserked, 0 if not."""


class _Rules(NamedTuple):
    initial_s: Array
    increment_s: Array
    in_arena: Array
    ended_by_move: Array


def think(games: pl.DataFrame) -> Thinking:
    """Thinking time for a move = own clock before it + increment - own clock after it, never below 0.

    - Clocks run from each side's second move on. A first move is timed only if it left the clock at least a second
      below its start: then the clock ran at once, as it does in Swiss games, and gave the increment too.
    - A move that ends the game (mate, stalemate, a variant's end) earns no increment.
    - Berserk halves the clock at the start and takes that side's increment away. No export tells it; it is read from
      an arena game's first own clock. Where the initial time is shorter than 40 increments (1+2), berserk leaves the
      clock alone and cannot be seen: thinking times are then too long by the increment.
    - A move begins in time trouble if the own clock then stands below an eighth of the initial time, taken no shorter
      than 10 s and no longer than 60 s: where Lichess's clock turns red. First moves are not judged.
    - Thinking about a move that was never made is not counted.

    Games without clocks have no plies here. Source of these rules: scalachess Clock.scala (step, berserkPenalty,
    initTime, emergSeconds).
    """
    ended_by_move = pl.col("val_status").is_in(_ENDED_BY_MOVE) | pl.col("val_moves").str.ends_with("#")
    facts = games.select(
        black_starts=BLACK_STARTS,
        initial_s=pl.col("n_clock_initial_s").cast(pl.Int64).fill_null(UNKNOWN),
        increment_s=pl.col("n_clock_increment_s").cast(pl.Int64).fill_null(UNKNOWN),
        in_arena=pl.col("id_tournament").is_not_null(),
        ended_by_move=ended_by_move.fill_null(value=False),
    )
    black_starts, *rules = (values_of(column) for column in facts.get_columns())
    clocks = games.get_column("arr_clock_cs")
    clock_cs = elements_of(clocks, NO_CLOCK)
    thinking = Thinking(
        offsets_of(clocks),
        black_starts,
        clock_cs,
        np.full(len(clock_cs), UNKNOWN, np.int32),
        np.full(len(clock_cs), UNKNOWN, np.int8),
        np.full((games.height, 2), UNKNOWN, np.int8),
    )
    in_threads(_think_all, games.height, thinking, _Rules(*rules))
    return thinking


@compiled_once
def _think_all(start: int, stop: int, thinking: Thinking, rules: _Rules) -> None:
    for game in range(start, stop):
        first, end = thinking.offsets[game], thinking.offsets[game + 1]
        for place in range(first, min(first + 2, end)):
            side = 0 if ((place - first) % 2 == 0) != thinking.black_starts[game] else 1
            thinking.berserk[game, side] = _berserk(
                thinking.clock_cs[place], rules.initial_s[game], rules.increment_s[game], rules.in_arena[game]
            )
            _think_side(game, place, thinking, rules, thinking.berserk[game, side] == 1)


@compiled
def _berserk(first_clock_cs: int, initial_s: int, increment_s: int, in_arena: bool) -> int:  # noqa: FBT001  # numba has no keyword-only arguments
    if not in_arena:
        return 0
    if min(initial_s, increment_s) != UNKNOWN and initial_s < 40 * increment_s:
        return 0
    if initial_s == UNKNOWN or first_clock_cs == NO_CLOCK:
        return UNKNOWN
    if abs(first_clock_cs - initial_s * _SECOND_CS // 2) >= _SECOND_CS:
        return 0
    return UNKNOWN if increment_s == UNKNOWN else 1


@compiled
def _think_side(game: int, first: int, thinking: Thinking, rules: _Rules, berserk: bool) -> None:  # noqa: FBT001  # the same
    end, initial_s, increment_s = thinking.offsets[game + 1], rules.initial_s[game], rules.increment_s[game]
    if berserk:
        at_start, gain = initial_s * _SECOND_CS // 2, 0
    else:
        gain = NO_CLOCK if increment_s == UNKNOWN else increment_s * _SECOND_CS
        if initial_s > 0:
            at_start = initial_s * _SECOND_CS
        else:
            at_start = NO_CLOCK if increment_s == UNKNOWN else max(increment_s, 3) * _SECOND_CS
    red = NO_CLOCK if initial_s == UNKNOWN else min(max(initial_s // 8, 10), 60) * _SECOND_CS
    before = at_start
    for place in range(first, end, 2):
        after = thinking.clock_cs[place]
        earned = 0 if place == end - 1 and rules.ended_by_move[game] else gain
        timed = place != first or after <= at_start - _SECOND_CS
        if timed and min(before, after, earned) != NO_CLOCK:
            thinking.think_cs[place] = max(before + earned - after, 0)
        if place != first and min(before, red) != NO_CLOCK:
            thinking.trouble[place] = before < red
        before = after
