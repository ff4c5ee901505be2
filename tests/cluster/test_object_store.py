"""The lake in an object store: the races of the lake's own tests, and the whole way to an answer in SQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance
from test_concurrency import (  # noqa: F401  # collected here with this file's lake
    four,
    test_four_months_of_one_table_do_not_wait_for_each_other,
    test_four_that_add_the_same_column_all_store_their_rows,
    test_four_that_fill_one_empty_month_leave_the_rows_of_one,
    test_four_that_replace_one_whole_table_leave_the_rows_of_one,
    test_of_four_that_race_for_one_cursor_one_wins_each_position,
)

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


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(uri=f"s3://lake/{tmp_path.name}")


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
