"""Castling and queen trade: how and when each side castled, and when the queens had left the board."""

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.needs import MOVES, STANDARD
from plugins.chess_rules.replay import (
    CASTLED_KING_SIDE,
    CASTLED_QUEEN_SIDE,
    UNTIL_CASTLING,
    UNTIL_QUEENS,
    known,
    sound,
    turning_points,
)

_SIDES = ("king side", "queen side")
_PHASES = ("opening", "middlegame", "endgame")


class Castling(pa.DataFrameModel):
    """Castling of each side, and the trade of the queens."""

    id_game: str = pa.Field(description="Lichess game id")
    val_castling_white: str = pa.Field(
        nullable=True, isin=_SIDES, description="Where White castled: king side, queen side; null if never"
    )
    val_castling_black: str = pa.Field(
        nullable=True, isin=_SIDES, description="Where Black castled: king side, queen side; null if never"
    )
    n_castling_ply_white: pl.Int16 = pa.Field(
        nullable=True, ge=1, description="Ply with which White castled; null if never"
    )
    n_castling_ply_black: pl.Int16 = pa.Field(
        nullable=True, ge=1, description="Ply with which Black castled; null if never"
    )
    ind_opposite_castling: bool = pa.Field(
        nullable=True, description="Whether both castled, one on the king side and one on the queen side"
    )
    n_queen_trade_ply: pl.Int16 = pa.Field(
        nullable=True,
        ge=0,
        description="First ply after which neither side has a queen; 0 in a game that begins without; null if never",
    )
    val_queen_trade_phase: str = pa.Field(
        nullable=True,
        isin=_PHASES,
        description="Phase of the position before the last queen left (opening, middlegame, endgame); "
        "null if none left, or none was there",
    )


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """Castling and queens as the replay saw them; phases by scalachess Divider.scala.

    UnplayableGame for a game that holds an illegal move (seven games in all the dumps do), unless it comes after the
    queens and every right to castle are gone: with them all is known, and the rest is not looked at.
    """
    batch = games.collect()
    seen = sound(batch, turning_points(batch, UNTIL_CASTLING + UNTIL_QUEENS))
    columns = {
        "id_game": batch.get_column("id_game"),
        "n_queen_trade_ply": known(seen.queenless_ply),
        "n_middlegame_ply": known(seen.middlegame_ply),
        "n_endgame_ply": known(seen.endgame_ply),
    }
    for number, colour in enumerate(("white", "black")):
        columns[f"n_castling_ply_{colour}"] = known(seen.castling_ply[:, number], unknown=0)
        columns[f"val_castling_{colour}"] = pl.Series(seen.castled[:, number])
    return (
        pl.LazyFrame(columns)
        .with_columns(_side(f"val_castling_{colour}") for colour in ("white", "black"))
        .with_columns(
            ind_opposite_castling=pl.col("val_castling_white").ne(pl.col("val_castling_black")).fill_null(value=False),
            val_queen_trade_phase=_phase(before=pl.col("n_queen_trade_ply") - 1),
        )
        .select(plugin.columns.names())
    )


def _side(flags: str) -> pl.Expr:
    return pl.col(flags).replace_strict(
        {CASTLED_KING_SIDE: _SIDES[0], CASTLED_QUEEN_SIDE: _SIDES[1]}, default=None, return_dtype=pl.String
    )


def _phase(before: pl.Expr) -> pl.Expr:
    return (
        pl.when(before < 0)
        .then(None)
        .when(before >= pl.col("n_endgame_ply"))
        .then(pl.lit("endgame"))
        .when(before >= pl.col("n_middlegame_ply"))
        .then(pl.lit("middlegame"))
        .when(before >= 0)
        .then(pl.lit("opening"))
    )


plugin = ColumnPlugin(
    name="castling",
    version="2",
    description="Where and when each side castled, and when the queens had left the board.",
    schema=Castling,
    reads=("id_game", "val_moves", "val_initial_fen"),
    needs=(STANDARD, MOVES),
    compute=compute,
)
