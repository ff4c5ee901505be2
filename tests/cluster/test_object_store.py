"""The lake in an object store: the races of the lake's own tests, and the whole way to an answer in SQL."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from dagster import DagsterInstance
from lake_rows import SCHEMA, TABLE, numbers, stored
from racers import ROWS, Racers, add_page, fill_month, fill_own_month, racers

from lakehouse import Lakehouse, pgn
from plugins.chess.move_count import plugin as move_count
from resources.errors import UserError
from resources.lake import Lake
from serving.sql import ask, connect


@pytest.fixture(scope="module", autouse=True)
def _reach(object_store: dict[str, str]) -> Iterator[None]:
    """Before the racing processes start, which take over this environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def two() -> Iterator[Racers]:
    with racers(2) as processes:
        yield processes


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(uri=f"s3://lake/{tmp_path.name}")


def test_two_that_fill_one_empty_month_leave_the_rows_of_one(two: Racers, lake: Lake):
    two.race(fill_month, lake, 6)
    table = lake.scan("round.t0", SCHEMA).collect()

    assert numbers(table) == list(range(6 * ROWS))
    assert table.group_by("dt_month").agg(pl.col("val_text").n_unique()).get_column("val_text").to_list() == [1] * 6


def test_two_months_of_one_table_do_not_wait_for_each_other(two: Racers, lake: Lake):
    rounds = two.race(fill_own_month, lake, 4)

    assert rounds == [[1, 1]] * 4
    assert stored(lake) == list(range(2 * ROWS))
    assert set(lake.scan(TABLE, SCHEMA).collect().get_column("val_text")) == {"3"}


def test_of_two_that_race_for_one_cursor_one_wins_each_position(two: Racers, lake: Lake):
    rounds = two.race(add_page, lake, 6)

    assert [won.count(True) for won in rounds] == [1] * 6
    assert lake.cursor(TABLE, "anna") == 6
    assert stored(lake) == list(range(6 * ROWS))


@pytest.mark.parametrize("root", ["s3://lake/way", ""])
def test_the_whole_way_from_dumps_to_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str):
    monkeypatch.setenv("KSHIFT_LAKE_URI", root)
    question = "SELECT id_user, val_speed, n_games, n_wins FROM marts.player_summary ORDER BY ALL"
    with DagsterInstance.ephemeral() as instance:
        house = Lakehouse(tmp_path, instance, [move_count])
        for month in ("2024-01", "2024-02"):
            games = [pgn(f"{month[-2:]}cdef{number:02}", f"{month.replace('-', '.')}.05") for number in range(5)]
            house.write_dump(month, *games)
        outcomes = house.make('key:"lichess/dump_games"', "2024-01", "2024-02") + house.carry_on()
        settings = house.settings

    assert not [one.problems for one in outcomes if not one.succeeded]
    with connect(settings.published / "latest.duckdb", [settings.lake_uri]) as connection:
        assert list(ask(connection, question).rows) == [("amber", "blitz", 10, 10), ("basil", "blitz", 10, 0)]
        with pytest.raises(UserError, match="disabled by configuration"):
            list(ask(connection, "SELECT * FROM read_parquet('s3://lake/elsewhere/one.parquet')").rows)
