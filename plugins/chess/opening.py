"""The opening of a game, taken apart: ECO volume, family and variation."""

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin


class Opening(pa.DataFrameModel):
    """What Lichess calls the opening, in parts by which games can be grouped. Null where it is unknown."""

    id_game: str = pa.Field(description="Lichess game id")
    val_eco: str = pa.Field(nullable=True, str_matches=r"^[A-E][0-9]{2}$", description="ECO code")
    val_eco_volume: str = pa.Field(
        nullable=True,
        isin=("A", "B", "C", "D", "E"),
        description="Volume of the ECO, the letter of its code",
    )
    val_opening_name: str = pa.Field(nullable=True, description="Whole name of the opening")
    val_opening_family: str = pa.Field(nullable=True, description="Name before the colon, e.g. Sicilian Defense")
    val_opening_variation: str = pa.Field(
        nullable=True,
        description="Name after the colon, sub-variations included; null where there is none",
    )
    n_opening_ply: pl.Int16 = pa.Field(nullable=True, ge=0, description="Plies that belong to the opening")


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """The parts of ECO code and name. Names are `family: variation, sub-variation` (lichess-org/chess-openings)."""
    name = pl.col("val_opening")
    return games.select(
        "id_game",
        "val_eco",
        val_eco_volume=pl.col("val_eco").str.head(1),
        val_opening_name=name,
        val_opening_family=name.str.extract(r"^([^:]+?)\s*(?::|$)"),
        val_opening_variation=name.str.extract(r":\s*(.+)$"),
        n_opening_ply="n_opening_ply",
    )


plugin = ColumnPlugin(
    name="opening",
    version="1",
    description="ECO code and volume, family and variation of the opening.",
    schema=Opening,
    reads=("id_game", "val_eco", "val_opening", "n_opening_ply"),
    compute=compute,
)
