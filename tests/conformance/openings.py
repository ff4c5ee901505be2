"""Openings from the moves alone, beside those that recorded games carry; differences by opening, with the reason.

Lichess tells a game's opening by the table that it has when it exports the game, not when it was played. So an export
of 2022 differs wherever the table has changed since, and only exports of the packages' own time can agree.
"""

from collections.abc import Iterator
from functools import cache

import polars as pl

from plugins.chess import opening
from plugins.chess_rules.openings import known_positions
from tests.conformance.recorded import DUMPS, EXPORTS, games, games_of_pgn

NEW = 2024
"""An export of a game that was played in this year or later was made in the time that the packages' table is from."""
_READS = ("id_game", "tm_created", "val_moves", "val_eco", "val_opening", "n_opening_ply")
_HAS_OPENINGS = (pl.col("val_variant") == "standard") & pl.col("val_initial_fen").is_null() & (pl.col("n_plies") > 0)
LONGER = "the longer position was not in Lichess's table when the game was exported"
OTHERWISE = "the same position had another name or code in the table of the export"
LACKING = "the packages lack the longer position of Lichess's table"


@cache
def compared() -> pl.DataFrame:
    """Every recorded game that carries an opening, once: its own, and from the moves (`…_by_moves`)."""
    recorded = [games(), games_of_pgn(*DUMPS)[0], games_of_pgn(*EXPORTS)[0]]
    named = pl.concat(one.filter(_HAS_OPENINGS, pl.col("val_eco").is_not_null()).select(_READS) for one in recorded)
    named = named.unique("id_game", keep="first", maintain_order=True)
    found = opening.from_moves(named).select(
        val_eco_by_moves="val_eco", val_opening_by_moves="val_opening_name", n_opening_ply_by_moves="n_opening_ply"
    )
    is_new = (pl.col("tm_created").dt.year() >= NEW).alias("ind_new")
    return named.hstack(found).with_columns(is_new).with_row_index("n_row")


def answers(column: str, *, new: bool) -> Iterator[tuple[str, str, object, object]]:
    """ECO, name or plies of the games since NEW or before, where they tell it."""
    known = compared().filter(pl.col("ind_new") == new, pl.col(column).is_not_null())
    for id_game, theirs, ours in known.select("id_game", column, f"{column}_by_moves").iter_rows():
        yield id_game, column, ours, theirs


def differences() -> pl.DataFrame:
    """Code or name that differ: each pair of openings once, with the reason, and the ids of all its games."""
    eco, name, ply = pl.col("val_eco"), pl.col("val_opening"), pl.col("n_opening_ply")
    games_ = compared()
    passed = known_positions(games_).rename({"val_eco": "eco", "val_name": "name", "n_ply": "ply"})
    passed = passed.join(games_.select("n_row", "val_eco", "val_opening", "n_opening_ply"), on="n_row")
    told = pl.when(name.is_not_null()).then(pl.col("name") == name).otherwise(pl.col("eco") == eco)
    before = passed.group_by("n_row").agg(told=pl.col("ply").filter(told).max())
    own = pl.coalesce(ply, "told")
    reason = (
        pl.when(own < pl.col("n_opening_ply_by_moves"))
        .then(pl.lit(LONGER))
        .when(own == pl.col("n_opening_ply_by_moves"))
        .then(pl.lit(OTHERWISE))
        .when(own.is_null() & (name == pl.col("val_opening_by_moves")))
        .then(pl.lit(OTHERWISE))
        .when(own.is_null() & name.is_null())
        .then(pl.lit(LACKING))
        .when(own.is_null())
        .then(pl.lit(f"{OTHERWISE}, or {LACKING}"))
        .otherwise(pl.lit(LACKING))
    )
    pair = ("val_eco", "val_opening", "val_eco_by_moves", "val_opening_by_moves")
    return (
        games_.join(before, on="n_row", how="left", maintain_order="left")
        .filter((eco != pl.col("val_eco_by_moves")) | (name.is_not_null() & (name != pl.col("val_opening_by_moves"))))
        .with_columns(val_reason=reason)
        .group_by(*pair, "val_reason")
        .agg(n_games=pl.len(), ids=pl.col("id_game").sort())
        .sort("n_games", *pair, "val_reason", descending=[True, *[False] * 5], nulls_last=True)
    )


def ply_differences() -> pl.DataFrame:
    """Plies that differ, told and from the moves: those of one opening together, with the reason and all their ids."""
    opening_, plies = ("val_eco", "val_opening"), ("n_opening_ply", "n_opening_ply_by_moves")
    told, found = (pl.col(name) for name in plies)
    return (
        compared()
        .filter(told.is_not_null(), told.ne_missing(found))
        .with_columns(val_reason=pl.when(told < found).then(pl.lit(LONGER)).otherwise(pl.lit(LACKING)))
        .group_by(*opening_, *plies, "val_reason")
        .agg(n_games=pl.len(), ids=pl.col("id_game").sort())
        .sort("n_games", *opening_, *plies, descending=[True, *[False] * 4], nulls_last=True)
    )
