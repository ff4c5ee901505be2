"""How many moves a game had, and how many of them were captures, checks and castling."""

import numpy as np
import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin
from plugins.chess_rules.arrays import Array, in_threads, texts_of, values_of
from plugins.chess_rules.compiled import compiled_once
from plugins.chess_rules.plies import BLACK_STARTS


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
    by_rule = (pl.col("val_status") == "variantEnd") & (pl.col("val_variant") != "threeCheck")
    frame = games.with_columns(black_starts=BLACK_STARTS, ind_win_is_check=~by_rule.fill_null(value=False)).collect()
    facts = (values_of(frame.get_column(name)) for name in ("black_starts", "ind_win_is_check"))
    counts = np.zeros((frame.height, len(_COUNTED), 2), np.int16)
    in_threads(_count, frame.height, texts_of(frame.get_column("val_moves")), *facts, counts)
    known = pl.col("val_moves").is_not_null()
    counted = {
        f"{name}_{colour}": pl.when(known).then(pl.Series(counts[:, place, side]))
        for place, name in enumerate(_COUNTED)
        for side, colour in enumerate(("white", "black"))
    }
    half = (pl.col("n_plies") // 2).cast(pl.Int16)
    rest = pl.col("n_plies") - half
    return (
        frame.lazy()
        .with_columns(
            n_moves_white=pl.when("black_starts").then(half).otherwise(rest),
            n_moves_black=pl.when("black_starts").then(rest).otherwise(half),
            **counted,
        )
        .select(list(MoveCount.to_schema().columns))
        .cast({"ind_castled_white": pl.Boolean, "ind_castled_black": pl.Boolean})
    )


_COUNTED = ("n_captures", "n_checks", "ind_castled")
_BLANK, _CAPTURE, _CHECK, _WIN, _CASTLING = (ord(sign) for sign in " x+#O")


@compiled_once
def _count(
    start: int, stop: int, text: tuple[Array, Array], black_starts: Array, win_is_check: Array, out: Array
) -> None:
    letters, offsets = text
    for game in range(start, stop):
        side, counts = 1 if black_starts[game] else 0, out[game]
        for place in range(offsets[game], offsets[game + 1]):
            letter = letters[place]
            if letter == _BLANK:
                side = 1 - side
            elif letter == _CAPTURE:
                counts[0, side] += 1
            elif letter == _CHECK or (letter == _WIN and win_is_check[game]):
                counts[1, side] += 1
            elif letter == _CASTLING:
                counts[2, side] = 1


plugin = ColumnPlugin(
    name="move_count",
    version="1",
    description="How many moves each side made, and how many of them were captures, checks and castling.",
    schema=MoveCount,
    reads=("id_game", "n_plies", "val_moves", "val_status", "val_variant", "val_initial_fen"),
    compute=compute,
)
