"""The opening of a game: what its source calls it, or the longest known position of its moves; and its parts."""

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin, Need
from plugins.chess_rules import opening_reach
from plugins.chess_rules.needs import MOVES, USUAL_START
from plugins.chess_rules.openings import VERSION, family, known_positions, variation

# lila Variant.openingSensibleVariants: elsewhere, and from other starting positions, Lichess names no opening.
_VARIANTS = ("standard", "crazyhouse", "threeCheck", "kingOfTheHill")
_NAMED_VARIANT = Need(
    "variant with openings",
    "a variant in which Lichess names no openings",
    ("val_variant",),
    pl.col("val_variant").is_in(_VARIANTS),
)


class Opening(pa.DataFrameModel):
    """What the opening is called, in parts by which games can be grouped. Null where no known position was reached."""

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
    n_opening_ply: pl.Int16 = pa.Field(
        nullable=True, ge=0, description="Plies that belong to the opening; worked out where the source does not say"
    )
    val_opening_source: str = pa.Field(
        nullable=True,
        isin=("game", "moves"),
        description="game: the source names the opening; moves: it is told by the longest known position",
    )


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    """The source's own code and name where it gives them, else those of the last position that is in chess.openings.

    A source that gives the code without the name: the name of the last known position with that code. The plies, where
    the source does not count them: up to the last position of that name, else of that code, else the last known one.
    """
    rows = games.with_row_index("n_row").collect()
    eco, name, ply = pl.col("val_eco"), pl.col("val_opening"), pl.col("n_opening_ply")
    by_game = eco.is_not_null() | name.is_not_null()
    known = _last_known(rows.filter(eco.is_null() | name.is_null() | ply.is_null()))
    parts = rows.lazy().join(known, on="n_row", how="left", maintain_order="left")
    called = parts.with_columns(
        val_eco=pl.when(by_game).then(pl.coalesce(eco, "eco_of_name")).otherwise("eco_of_last"),
        val_opening_name=pl.when(by_game).then(pl.coalesce(name, "name_of_eco")).otherwise("name_of_last"),
        n_opening_ply=pl.coalesce(ply, "n_ply"),
        val_opening_source=pl.when(by_game)
        .then(pl.lit("game"))
        .when(pl.col("eco_of_last").is_not_null())
        .then(pl.lit("moves")),
    )
    # There are few names, and many games of each.
    name = pl.col("val_opening_name")
    names = (
        called.select(name)
        .unique()
        .with_columns(val_opening_family=family(name), val_opening_variation=variation(name))
    )
    return (
        called.join(names, on="val_opening_name", how="left", maintain_order="left")
        .with_columns(val_eco_volume=pl.col("val_eco").str.head(1))
        .select(list(Opening.to_schema().columns))
    )


def _last_known(rows: pl.DataFrame) -> pl.LazyFrame:
    """Of games that lack something: the last known position, and the last of the name or the code that they have.

    Most games reach the position whose name they bear: of these no ply is looked at that comes after the last of them.
    """
    named = _of_their_name(opening_reach.cut(rows)).collect()
    others = rows.join(named, on="n_row", how="anti")
    return pl.concat([named.lazy(), _of_any_name(others)], how="diagonal")


def _of_their_name(rows: pl.DataFrame) -> pl.LazyFrame:
    """The last position of the name that a game bears; of games that have one, and among these positions, alone."""
    return (
        _passed(rows)
        .filter(pl.col("val_name") == pl.col("val_opening"))
        .unique("n_row", keep="last")
        .select("n_row", "n_ply", eco_of_name="val_eco")
    )


def _of_any_name(rows: pl.DataFrame) -> pl.LazyFrame:
    ply, name, eco = pl.col("n_ply"), pl.col("val_name"), pl.col("val_eco")
    same_name, same_eco = name == pl.col("val_opening"), eco == pl.col("eco")
    return (
        _passed(rows)
        .group_by("n_row")
        .agg(
            eco_of_last=eco.last(),
            name_of_last=name.last(),
            eco_of_name=eco.filter(same_name).last(),
            name_of_eco=name.filter(same_eco).last(),
            n_ply=pl.coalesce(ply.filter(same_name).last(), ply.filter(same_eco).last(), ply.last()),
        )
    )


def _passed(rows: pl.DataFrame) -> pl.LazyFrame:
    """The known positions that games went through, beside what their source calls the opening."""
    wanted = rows.lazy().select("n_row", "val_opening", eco="val_eco").with_row_index("n_wanted")
    known = known_positions(rows).lazy().rename({"n_row": "n_wanted"})
    return known.join(wanted, on="n_wanted", maintain_order="left")


def from_moves(games: pl.DataFrame) -> pl.DataFrame:
    """The opening by the moves alone, whatever the source says: one row a game, in their order. Needs `val_moves`.

    Columns: `id_game`, `val_eco`, `val_opening_name`, `n_opening_ply`; null where no known position was reached.
    """
    nameless = {"val_eco": pl.String, "val_opening": pl.String, "n_opening_ply": pl.Int16}
    bare = games.lazy().select(
        "id_game", "val_moves", *(pl.lit(None, kind).alias(key) for key, kind in nameless.items())
    )
    return compute(bare).select("id_game", "val_eco", "val_opening_name", "n_opening_ply").collect()


plugin = ColumnPlugin(
    name="opening",
    version=f"2+{VERSION}",
    description="ECO code and volume, family and variation of the opening: the source's, or told by the moves.",
    schema=Opening,
    reads=("id_game", "val_eco", "val_opening", "n_opening_ply", "val_moves"),
    needs=(_NAMED_VARIANT, USUAL_START, MOVES),
    compute=compute,
)
