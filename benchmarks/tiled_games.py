"""Games to measure on: the sample's, with their evaluations and clocks, again and again under other ids."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import polars as pl

from kshift_assets.chess.cleaning import from_dump
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.source_schemas import DumpGames
from kshift_assets.tables import polars_schema
from resources.dumps import Dumps

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
MONTH = "2024-01"


@cache
def sample_games() -> pl.DataFrame:
    """The sound games of the sample's dump of MONTH, as rows of chess.games."""
    dumps = Dumps(folder=str(SAMPLE))
    parsed = pl.concat(read_games(chunk for file in dumps.find(MONTH) for chunk in dumps.chunks(file)))
    games, _ = from_dump(dump_rows(parsed))
    return games


def dump_rows(parsed: pl.DataFrame) -> pl.DataFrame:
    """Parsed games as rows of lichess.dump_games."""
    return parsed.with_columns(
        val_file=pl.lit(f"lichess_db_standard_rated_{MONTH}.pgn"),
        val_file_sha256=pl.lit("0" * 64),
        tm_ingested=pl.lit("2024-02-01").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC"),
        dt_month=pl.lit(MONTH),
    ).select(polars_schema(DumpGames).names())


def tiled(number: int, *, first: int = 0, size: int = 50_000) -> Iterator[pl.DataFrame]:
    """`number` rows of chess.games in frames of `size`; their ids count from `first`, so that no two are alike."""
    games = sample_games()
    for start in range(first, first + number, size):
        rows = pl.int_range(start, min(start + size, first + number), eager=True)
        yield (
            games[rows % games.height]
            .with_columns(
                id_game=pl.Series(rows).cast(pl.String).str.zfill(8),
                tm_created=pl.col("tm_created") + pl.duration(seconds=rows % 86_400),
            )
            .with_columns(dt_game=pl.col("tm_created").dt.date(), dt_month=pl.lit(MONTH))
        )
