"""How the players of a game used their time: thinking, time left, time trouble."""

from functools import partial

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.plies import BLACK_STARTS, beside, by_colour, unnest

_SECOND_CS = 100
_ENDED_BY_MOVE = ("mate", "stalemate", "variantEnd")
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


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """Thinking time for a move = own clock before it + increment - own clock after it, never below 0.

    - Clocks run from each side's second move on. A first move is timed only if it left the clock at least a second
      below its start: then the clock ran at once, as it does in Swiss games, and gave the increment too.
    - A move that ends the game (mate, stalemate, a variant's end) earns no increment.
    - Berserk halves the clock at the start and takes that side's increment away. No export tells it; it is read from
      an arena game's first own clock. Where the initial time is shorter than 40 increments (1+2), berserk leaves the
      clock alone and cannot be seen: thinking times are then too long by the increment.
    - A move begins in time trouble if the own clock then stands below an eighth of the initial time, taken no shorter
      than 10 s and no longer than 60 s: where Lichess's clock turns red. First moves are not judged.
    - Thinking about a move that was never made is not counted. What no move of a side can tell is null.

    Source of these rules: scalachess Clock.scala (step, berserkPenalty, initTime, emergSeconds).
    """
    white, black = _side(games, "white"), _side(games, "black")
    return beside(games, white, black).select(list(TimeUsage.to_schema().columns))


def _side(games: pl.LazyFrame, colour: str) -> pl.LazyFrame:
    """The measures of one side, one row a game in which it moved and has clocks, keyed by `n_row`."""
    think, trouble = pl.col("think_cs").list.drop_nulls(), pl.col("in_trouble").list.drop_nulls()
    n_trouble = pl.when(trouble.list.len() > 0).then(trouble.list.sum())
    measures = {
        "n_think_total_s": _seconds(pl.when(think.list.len() > 0).then(think.list.sum())),
        "n_think_mean_s": _seconds(think.list.mean()),
        "n_think_median_s": _seconds(think.list.median()),
        "n_think_max_s": _seconds(think.list.max()),
        "n_think_max_ply": 2 * pl.col("think_cs").list.arg_max().cast(pl.Int16) + pl.col("n_first_ply"),
        "n_time_left_s": _seconds(pl.col("clock_cs").list.drop_nulls().list.last()),
        "n_moves_time_trouble": n_trouble.cast(pl.Int16),
        "ind_time_trouble": n_trouble > 0,
        "ind_berserk": pl.col("berserk"),
    }
    return (
        _moves(games, colour)
        .group_by("n_row")
        .agg("think_cs", "in_trouble", "clock_cs", pl.col("n_first_ply", "berserk").first())
        .select("n_row", *(measure.alias(f"{name}_{colour}") for name, measure in measures.items()))
    )


def _seconds(centiseconds: pl.Expr) -> pl.Expr:
    # Polars divides short and long columns in two ways, which can differ in the last bit.
    return (centiseconds / _SECOND_CS).round(4)


def _moves(games: pl.LazyFrame, colour: str) -> pl.LazyFrame:
    """One row a move of that side, in games with clocks: `think_cs` and `in_trouble`, null where they are not known."""
    first, clock, start = pl.col("n_element") == 1, pl.col("clock_cs"), pl.col("start_cs")
    before = pl.when(first).then(start).otherwise(clock.shift(1))
    gain = pl.when(pl.col("n_element") == pl.col("n_without_gain")).then(0).otherwise("gain_cs")
    timed = ~first | (clock <= start - _SECOND_CS)
    return unnest(_clocks(games, colour), "clock_cs").with_columns(
        think_cs=pl.when(timed).then((before + gain - clock).clip(lower_bound=0)),
        in_trouble=pl.when(~first).then(before < pl.col("red_cs")),
    )


def _clocks(games: pl.LazyFrame, colour: str) -> pl.LazyFrame:
    """One row a game: the clock of one side, and the rules that it ran by."""
    initial_s, increment_s = pl.col("n_clock_initial_s"), pl.col("n_clock_increment_s").cast(pl.Int32)
    begins = BLACK_STARTS if colour == "black" else ~BLACK_STARTS
    ended_by_move = pl.col("val_status").is_in(_ENDED_BY_MOVE) | pl.col("val_moves").str.ends_with("#")
    made_last_move = begins == (pl.col("arr_clock_cs").list.len() % 2 == 1)
    half_cs = initial_s * _SECOND_CS // 2
    is_half = (pl.col("clock_cs").list.first() - half_cs).abs() < _SECOND_CS
    return (
        games.with_columns(clock_cs=by_colour(pl.col("arr_clock_cs"))[colour])
        .with_columns(berserk=pl.col("id_tournament").is_not_null() & (initial_s >= 40 * increment_s) & is_half)
        .select(
            "clock_cs",
            "berserk",
            n_first_ply=pl.when(begins).then(1).otherwise(2).cast(pl.Int16),
            n_without_gain=pl.when(ended_by_move & made_last_move).then(pl.col("clock_cs").list.len()).otherwise(0),
            start_cs=pl.when("berserk")
            .then(half_cs)
            .when(initial_s > 0)
            .then(initial_s * _SECOND_CS)
            .otherwise(increment_s.clip(lower_bound=3) * _SECOND_CS),
            gain_cs=pl.when("berserk").then(0).otherwise(increment_s * _SECOND_CS),
            red_cs=(initial_s // 8).clip(10, 60) * _SECOND_CS,
        )
    )


plugin = ColumnPlugin(
    name="time_usage",
    version="1",
    description="Thinking time, time left and time trouble of each side.",
    schema=TimeUsage,
    reads=(
        "id_game",
        "val_moves",
        "val_status",
        "val_initial_fen",
        "id_tournament",
        "n_clock_initial_s",
        "n_clock_increment_s",
        "arr_clock_cs",
    ),
    compute=compute,
)
