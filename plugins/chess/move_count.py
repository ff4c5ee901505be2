"""How many moves a game had, and how many of them were captures, checks and castling."""

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.plies import BLACK_STARTS, by_colour


class MoveCount(pa.DataFrameModel):
    """Moves of each side, counted from the SAN."""

    id_game: str = pa.Field(description="Lichess game id")
    n_plies: pl.Int16 = pa.Field(ge=0, nullable=True, description="Plies played")
    n_moves_white: pl.Int16 = pa.Field(ge=0, nullable=True, description="Moves of White")
    n_moves_black: pl.Int16 = pa.Field(ge=0, nullable=True, description="Moves of Black")
    n_captures_white: pl.Int16 = pa.Field(ge=0, nullable=True, description="Captures by White, en passant included")
    n_captures_black: pl.Int16 = pa.Field(ge=0, nullable=True, description="Captures by Black, en passant included")
    n_checks_white: pl.Int16 = pa.Field(ge=0, nullable=True, description="Checks given by White, mate included")
    n_checks_black: pl.Int16 = pa.Field(ge=0, nullable=True, description="Checks given by Black, mate included")
    ind_castled_white: bool = pa.Field(nullable=True, description="Whether White castled")
    ind_castled_black: bool = pa.Field(nullable=True, description="Whether Black castled")


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """Counts by side; all null where the moves are unknown.

    SAN marks a check with `+` and the move that wins with `#`. That is mate, and so a check, unless the game was won by
    a rule of its variant (kings exploded, pieces given away); the third check of threeCheck is one all the same.
    """
    half = (pl.col("n_plies") // 2).cast(pl.Int16)
    rest = pl.col("n_plies") - half
    moves = {
        colour: sans.list.join(" ").alias(colour)
        for colour, sans in by_colour(pl.col("val_moves").str.split(" ")).items()
    }
    by_rule = (pl.col("val_status") == "variantEnd") & (pl.col("val_variant") != "threeCheck")
    n_checks_a_win = 1 - by_rule.fill_null(value=False).cast(pl.Int16)
    return games.with_columns(**moves).select(
        "id_game",
        "n_plies",
        pl.when(BLACK_STARTS).then(half).otherwise(rest).alias("n_moves_white"),
        pl.when(BLACK_STARTS).then(rest).otherwise(half).alias("n_moves_black"),
        *(_count(colour, "x").alias(f"n_captures_{colour}") for colour in moves),
        *((_count(colour, "+") + n_checks_a_win * _count(colour, "#")).alias(f"n_checks_{colour}") for colour in moves),
        *(pl.col(colour).str.contains("O-O", literal=True).alias(f"ind_castled_{colour}") for colour in moves),
    )


def _count(column: str, sign: str) -> pl.Expr:
    return pl.col(column).str.count_matches(sign, literal=True).cast(pl.Int16)


plugin = ColumnPlugin(
    name="move_count",
    version="1",
    description="How many moves each side made, and how many of them were captures, checks and castling.",
    schema=MoveCount,
    reads=("id_game", "n_plies", "val_moves", "val_status", "val_variant", "val_initial_fen"),
    compute=compute,
)
