"""games_of(player): every game of a player once, with the player's colour, and found without reading all others."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from kshift_assets.chess.player_search import MACROS
from kshift_assets.chess.tables import GAMES
from kshift_assets.published import pin
from kshift_assets.tables import polars_schema
from resources.lake import Lake
from resources.parts import GROUP_ROWS_WITH_LISTS
from resources.snapshots import Snapshots

SCHEMA = polars_schema(GAMES.model)
MONTHS = ("2024-01", "2024-02")
N_GAMES = 2 * GROUP_ROWS_WITH_LISTS


def games(month: str) -> pl.DataFrame:
    """Games of many players, all others strangers to each other; `alfa` plays in the first row group only."""
    number = pl.int_range(N_GAMES)
    sides = {f"id_user_{color}": pl.format(f"{color[0]}{{}}", number) for color in ("white", "black")}
    rows = pl.select(id_game=pl.format("{}", number).str.zfill(8), **sides, dt_month=pl.lit(month)).with_columns(
        id_user_white=pl.when(number.is_in([3, 5])).then(pl.lit("alfa")).otherwise("id_user_white"),
        id_user_black=pl.when(number == 8).then(pl.lit("alfa")).when(number == 9).then(None).otherwise("id_user_black"),
        tm_created=pl.lit(datetime(2024, 1, 1, tzinfo=UTC)),
    )
    return pl.concat([pl.DataFrame(schema=SCHEMA), rows], how="diagonal_relaxed").select(SCHEMA.names()).cast(SCHEMA)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake(uri=str(tmp_path_factory.mktemp("home") / "lake"))
    for month in MONTHS:
        made.overwrite(GAMES.full_name, lambda month=month: [games(month)], SCHEMA, month)
    return made


@pytest.fixture(scope="module")
def published(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = Path(lake.uri).parent / "published"
    Snapshots(folder=str(folder)).publish([pin(lake, GAMES)], lambda _: None, macros=MACROS)
    with duckdb.connect(str(folder / "latest.duckdb"), read_only=True) as connection:
        yield connection


def test_each_game_of_the_player_comes_once_with_the_colour(published: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT dt_month, id_game, val_color FROM games_of('Alfa') ORDER BY ALL"
    expected = [("00000003", "white"), ("00000005", "white"), ("00000008", "black")]

    assert published.execute(query).fetchall() == [(month, *one) for month in MONTHS for one in expected]


def test_it_has_the_columns_of_chess_games(published: duckdb.DuckDBPyConnection) -> None:
    found = published.sql("SELECT * FROM games_of('alfa') WHERE dt_month = '2024-02'").pl()

    assert found.columns == ["val_color", *SCHEMA]
    assert found.height == 3


def test_who_never_played_has_none(published: duckdb.DuckDBPyConnection) -> None:
    assert published.execute("SELECT * FROM games_of('nobody')").fetchall() == []
    assert published.execute("SELECT * FROM games_of(NULL)").fetchall() == []


def test_files_tell_which_row_groups_cannot_have_a_player(lake: Lake) -> None:
    (file,) = lake.files(GAMES.full_name, MONTHS[0])
    for column in ("id_user_white", "id_user_black"):
        probe = (
            f"SELECT bloom_filter_excludes FROM parquet_bloom_probe('{file}', '{column}', 'alfa') ORDER BY row_group_id"
        )
        assert duckdb.sql(probe).fetchall() == [(False,), (True,)]
    small = Lake(uri=f"{lake.uri}.small")
    small.overwrite(GAMES.full_name, lambda: [games(MONTHS[0]).head(10)], SCHEMA, MONTHS[0])
    (file,) = small.files(GAMES.full_name)
    probe = f"SELECT bloom_filter_excludes FROM parquet_bloom_probe('{file}', 'id_user_white', 'nobody')"
    assert duckdb.sql(probe).fetchall() == [(False,)], "where there are few rows there is no filter"
