"""Several processes write to one table at the same moment: nothing is lost, nothing comes twice."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from lake_rows import SCHEMA, TABLE, numbers, stored
from racers import ROWS, Racers, add_column, add_page, fill_month, fill_own_month, fill_table, racers

from resources.lake import Lake


@pytest.fixture(scope="module")
def four() -> Iterator[Racers]:
    with racers(4) as processes:
        yield processes


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(uri=str(tmp_path / "lake"))


@pytest.mark.parametrize("n_tables", [1, pytest.param(4, marks=pytest.mark.drill)])
def test_four_that_fill_one_empty_month_leave_the_rows_of_one(four: Racers, lake: Lake, n_tables: int):
    rounds = four.race(fill_month, lake, 10 * n_tables)
    tables = [lake.scan(f"round.t{number}", SCHEMA).collect() for number in range(n_tables)]

    assert [numbers(table) for table in tables] == [
        list(range(first, first + 10 * ROWS)) for first in range(0, 10 * n_tables * ROWS, 10 * ROWS)
    ]
    for table in tables:
        winners = table.group_by("dt_month").agg(pl.col("val_text").n_unique(), pl.len()).sort("dt_month")
        assert winners.rows() == [(f"2013-{number:02}", 1, ROWS) for number in range(1, 11)]
    assert {written.n_rows for one in rounds for written in one} == {ROWS}


def test_four_that_replace_one_whole_table_leave_the_rows_of_one(four: Racers, lake: Lake):
    for first in range(4):
        four.race(fill_table, lake, 5, first * 5)
        table = lake.scan(f"round.t{first}", SCHEMA).collect()

        assert numbers(table) == list(range(ROWS))
        assert table.get_column("val_text").n_unique() == 1


def test_four_that_add_the_same_column_all_store_their_rows(four: Racers, lake: Lake):
    four.race(add_column, lake, 5)
    wide = pl.Schema({**SCHEMA, **{f"n_{number}": pl.Int16 for number in range(5)}})

    assert stored(lake) == list(range(5 * 4 * ROWS))
    assert lake.scan(TABLE, wide).collect().select(pl.col("^n_.*$").count()).row(0) == (4 * ROWS,) * 5


def test_four_months_of_one_table_do_not_wait_for_each_other(four: Racers, lake: Lake):
    rounds = four.race(fill_own_month, lake, 10)

    assert rounds == [[1, 1, 1, 1]] * 10
    assert stored(lake) == list(range(4 * ROWS))
    assert set(lake.scan(TABLE, SCHEMA).collect().get_column("val_text")) == {"9"}


def test_of_four_that_race_for_one_cursor_one_wins_each_position(four: Racers, lake: Lake):
    rounds = four.race(add_page, lake, 40)

    assert [won.count(True) for won in rounds] == [1] * 40
    assert lake.cursor(TABLE, "anna") == 40
    assert stored(lake) == list(range(40 * ROWS))
    pages = lake.scan(TABLE, SCHEMA).group_by(pl.col("id_row") // ROWS).agg(pl.col("val_text").unique()).collect()
    assert pages.sort("id_row").get_column("val_text").to_list() == [[str(won.index(True))] for won in rounds]
