"""Games taken apart ply by ply, and results brought back to one row a game."""

from typing import Annotated

import polars as pl

Plies = Annotated[pl.List, pl.Int16()]
"""Type of a column that lists plies."""

# Games from a set-up position can begin with Black: the second field of a FEN says who moves.
BLACK_STARTS = pl.col("val_initial_fen").str.contains(" b ", literal=True).fill_null(value=False)


def by_colour(elements: pl.Expr) -> dict[str, pl.Expr]:
    """A list with one element a ply → the elements of White's plies and those of Black's. Needs `val_initial_fen`."""
    return {
        "white": elements.list.gather_every(2, BLACK_STARTS.cast(pl.Int64)),
        "black": elements.list.gather_every(2, (~BLACK_STARTS).cast(pl.Int64)),
    }


def unnest(games: pl.LazyFrame, *lists: str) -> pl.LazyFrame:
    """One row an element of the games that have all of `lists`, in order; a game without one of them has no row.

    Columns: `n_row` (position of the game in `games`, from 0), `n_element` (from 1), and those of `games`, where the
    lists have become their elements. Raises polars.exceptions.ShapeError where the lists of a game differ in length.
    """
    return (
        games.with_row_index("n_row")
        .drop_nulls(lists)
        .with_columns(n_element=pl.int_ranges(1, pl.col(lists[0]).list.len() + 1, dtype=pl.Int16))
        .explode("n_element", *lists, empty_as_null=False, keep_nulls=False)
    )


def beside(games: pl.LazyFrame, *results: pl.LazyFrame) -> pl.LazyFrame:
    """The games in their order, and beside them `results`, keyed by `n_row`; null where a game has none."""
    rows = games.with_row_index("n_row")
    for result in results:
        rows = rows.join(result, on="n_row", how="left", maintain_order="left")
    return rows
