"""Files that are written one by one and come into a table together."""

from pathlib import Path

import pytest
from lake_rows import FEBRUARY, JANUARY, SCHEMA, TABLE, rows, stored

from resources.lake import Lake, Staged

NOTE = {"sha256": "aa"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(uri=str(tmp_path / "lake"))
    lake.overwrite(TABLE, lambda: [rows(90, 1)], SCHEMA, JANUARY)
    lake.overwrite(TABLE, lambda: [rows(95, 1, FEBRUARY)], SCHEMA, FEBRUARY)
    return lake


def staged(lake: Lake, first: int, n_rows: int, name: str) -> Staged:
    found = lake.stage(TABLE, [rows(first, n_rows)], SCHEMA, JANUARY, name)
    assert found
    return found


def test_a_staged_file_is_there_and_no_version_has_it(lake: Lake):
    version = lake.version(TABLE)
    one = staged(lake, 0, 3, "part-00000")
    assert one.n_rows == 3
    assert one.path in lake.present(TABLE, JANUARY)
    assert (Path(lake.path(TABLE)) / one.path).stat().st_size == one.n_bytes
    assert stored(lake, JANUARY) == [90]
    assert lake.version(TABLE) == version


def test_adopted_files_are_the_month_in_the_order_of_their_names(lake: Lake):
    later, earlier = staged(lake, 3, 2, "part-00001"), staged(lake, 0, 3, "part-00000")
    version = lake.version(TABLE)
    written = lake.adopt(TABLE, [earlier, later], SCHEMA, JANUARY, NOTE)
    assert (written.version, written.n_rows) == ((version or 0) + 1, 5)
    assert lake.scan(TABLE, SCHEMA, JANUARY).collect().get_column("id_row").to_list() == [0, 1, 2, 3, 4]
    assert stored(lake, FEBRUARY) == [95]
    assert lake.n_rows(TABLE, JANUARY) == 5
    assert lake.note_of(TABLE, JANUARY) == NOTE


def test_adopting_the_same_again_is_no_commit(lake: Lake):
    files = [staged(lake, 0, 3, "part-00000")]
    first = lake.adopt(TABLE, files, SCHEMA, JANUARY, NOTE)
    assert lake.adopt(TABLE, files, SCHEMA, JANUARY, NOTE) == first
    assert lake.adopt(TABLE, files, SCHEMA, JANUARY, {"sha256": "bb"}).version == first.version + 1
    assert stored(lake, JANUARY) == [0, 1, 2]


def test_a_file_may_stay_while_others_come_and_go(lake: Lake):
    one, two, three = (staged(lake, number * 10, 2, f"part-{number:05}") for number in range(3))
    lake.adopt(TABLE, [one, two], SCHEMA, JANUARY, NOTE)
    lake.adopt(TABLE, [two, three], SCHEMA, JANUARY, NOTE)
    assert stored(lake, JANUARY) == [10, 11, 20, 21]
    lake.adopt(TABLE, [], SCHEMA, JANUARY, NOTE)
    assert stored(lake, JANUARY) == []


def test_without_rows_there_is_no_file(lake: Lake):
    assert lake.stage(TABLE, [], SCHEMA, JANUARY, "part") is None
    assert lake.stage(TABLE, [rows(0, 0)], SCHEMA, JANUARY, "part") is None


def test_a_file_that_nobody_adopts_can_go(lake: Lake):
    one = staged(lake, 0, 3, "part-00000")
    lake.discard(TABLE, one)
    assert one.path not in lake.present(TABLE, JANUARY)


def test_a_month_is_whole_while_all_its_files_are_there(lake: Lake):
    one, two = staged(lake, 0, 3, "part-00000"), staged(lake, 3, 3, "part-00001")
    lake.adopt(TABLE, [one, two], SCHEMA, JANUARY, NOTE)
    assert lake.is_whole(TABLE, JANUARY)
    lake.discard(TABLE, two)
    assert not lake.is_whole(TABLE, JANUARY)
    assert lake.is_whole(TABLE, FEBRUARY)
    assert not lake.is_whole("lichess.nothing", JANUARY)
