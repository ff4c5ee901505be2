"""The lake: what is written is what is read, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from lake_rows import FEBRUARY, JANUARY, MARCH, PLAIN, SCHEMA, TABLE, by_duckdb, numbers, rows, stored

import resources.commits
from resources.commits import LostRace
from resources.errors import UserError
from resources.lake import Cursor, CursorMoved, Lake, Written


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(uri=str(tmp_path / "lake"))


@pytest.fixture
def two_months(lake: Lake) -> Lake:
    """Rows 0 to 4 in January, 10 to 12 in February."""
    lake.overwrite(TABLE, lambda: [rows(0, 5)], SCHEMA, JANUARY)
    lake.overwrite(TABLE, lambda: [rows(10, 3, FEBRUARY)], SCHEMA, FEBRUARY)
    return lake


class TestOverwriting:
    def test_a_month_holds_the_new_rows_and_its_neighbour_keeps_its_own(self, two_months: Lake):
        written = two_months.overwrite(TABLE, lambda: [rows(20, 2), rows(22, 2)], SCHEMA, JANUARY)

        assert written == Written(version=3, n_rows=4)
        assert stored(two_months, JANUARY) == [20, 21, 22, 23]
        assert stored(two_months, FEBRUARY) == [10, 11, 12]

    def test_what_was_written_comes_back_to_the_last_bit(self, lake: Lake):
        frame = rows(0, 3).with_columns(
            val_text=pl.Series(["é\u2028\0", "", None]), arr_n=pl.Series([[], None, [None]])
        )
        lake.overwrite(TABLE, lambda: [frame.cast(dict(SCHEMA))], SCHEMA, JANUARY)

        assert lake.scan(TABLE, SCHEMA).collect().equals(frame.cast(dict(SCHEMA)), null_equal=True)

    def test_the_same_once_more_changes_nothing(self, two_months: Lake):
        before = two_months.scan(TABLE, SCHEMA).collect().sort("id_row")
        two_months.overwrite(TABLE, lambda: [rows(0, 5)], SCHEMA, JANUARY)

        assert two_months.scan(TABLE, SCHEMA).collect().sort("id_row").equals(before)

    def test_no_rows_empty_the_month(self, two_months: Lake):
        two_months.overwrite(TABLE, list, SCHEMA, JANUARY)

        assert two_months.months(TABLE) == [FEBRUARY]
        assert two_months.scan(TABLE, SCHEMA, JANUARY).collect().schema == SCHEMA

    def test_without_a_month_the_whole_table_is_replaced(self, two_months: Lake):
        two_months.overwrite(TABLE, lambda: [rows(7, 1, MARCH)], SCHEMA)

        assert two_months.months(TABLE) == [MARCH]
        assert stored(two_months) == [7]

    def test_a_table_without_months_is_replaced_too(self, lake: Lake):
        for first in (0, 5):
            lake.overwrite(TABLE, lambda first=first: [rows(first, 2).select(PLAIN.names())], PLAIN)

        assert numbers(lake.scan(TABLE, PLAIN).collect()) == [5, 6]

    def test_rows_of_another_month_are_refused(self, two_months: Lake):
        with pytest.raises(ValueError, match="2013-03 does not belong into 2013-01"):
            two_months.overwrite(TABLE, lambda: [rows(0, 1), rows(1, 1, MARCH)], SCHEMA, JANUARY)

        assert stored(two_months) == [0, 1, 2, 3, 4, 10, 11, 12]

    @pytest.mark.parametrize("month", [None, "", "../../etc", "2013-1", "2013-13"])
    def test_a_month_that_is_none_does_not_become_a_folder(self, lake: Lake, month: str | None):
        with pytest.raises(ValueError, match="is not a month"):
            lake.append(TABLE, rows(0, 2).with_columns(dt_month=pl.lit(month, pl.String)), SCHEMA)

        assert lake.files(TABLE) == []

    def test_what_others_append_meanwhile_stays(self, two_months: Lake):
        def frames() -> Iterator[pl.DataFrame]:
            two_months.append(TABLE, rows(50, 1), SCHEMA)
            yield rows(20, 1)

        two_months.overwrite(TABLE, frames, SCHEMA, JANUARY)

        assert stored(two_months, JANUARY) == [20, 50]

    def test_rows_keep_their_order(self, lake: Lake):
        lake.overwrite(TABLE, lambda: (rows(first, 10) for first in range(90, -10, -10)), SCHEMA, JANUARY)

        assert [row // 10 for row in lake.scan(TABLE, SCHEMA).collect().get_column("id_row")[::10]] == list(
            range(9, -1, -1)
        )

    def test_frames_are_cast_to_the_schema_and_superfluous_columns_dropped(self, lake: Lake):
        frame = rows(0, 2).with_columns(pl.col("id_row").cast(pl.Int16), extra=pl.lit("x"))
        lake.overwrite(TABLE, lambda: [frame], SCHEMA, JANUARY)

        assert lake.scan(TABLE, SCHEMA).collect().schema == SCHEMA

    def test_its_note_is_kept_until_the_next_one(self, two_months: Lake):
        two_months.overwrite(TABLE, lambda: [rows(0, 1)], SCHEMA, JANUARY, {"sha256": "aa"})
        two_months.overwrite(TABLE, lambda: [rows(0, 1, FEBRUARY)], SCHEMA, FEBRUARY, {"sha256": "bb"})
        two_months.append(TABLE, rows(5, 1), SCHEMA)
        noted = two_months.note_of(TABLE, JANUARY)
        two_months.overwrite(TABLE, lambda: [rows(0, 1)], SCHEMA, JANUARY)

        assert noted["sha256"] == "aa"
        assert two_months.note_of(TABLE, FEBRUARY)["sha256"] == "bb"
        assert "sha256" not in two_months.note_of(TABLE, JANUARY)
        assert two_months.note_of(TABLE, MARCH) == {}
        assert two_months.note_of("lichess.nothing", JANUARY) == {}


class TestFailing:
    @pytest.mark.parametrize("error", [ValueError("a broken row"), KeyboardInterrupt(), SystemExit(3), MemoryError()])
    def test_an_error_while_frames_are_made_comes_out_as_itself_and_commits_nothing(
        self, two_months: Lake, error: BaseException
    ):
        def frames() -> Iterator[pl.DataFrame]:
            yield rows(50, 5)
            raise error

        with pytest.raises(type(error)) as caught:
            two_months.overwrite(TABLE, frames, SCHEMA, JANUARY)

        assert caught.value is error
        assert two_months.version(TABLE) == 2
        assert stored(two_months) == [0, 1, 2, 3, 4, 10, 11, 12]
        assert len(list(Path(two_months.path(TABLE)).rglob("*.parquet"))) == 2, "a file was left behind"
        assert two_months.append(TABLE, rows(99, 1), SCHEMA).version == 3

    def test_a_frame_without_a_column_commits_nothing(self, two_months: Lake):
        with pytest.raises(pl.exceptions.ColumnNotFoundError):
            two_months.overwrite(TABLE, lambda: [rows(0, 5).drop("val_text")], SCHEMA, JANUARY)

        assert two_months.version(TABLE) == 2

    def test_a_commit_that_lost_a_race_is_written_again(self, two_months: Lake):
        made = 0

        def frames() -> Iterator[pl.DataFrame]:
            nonlocal made
            made += 1
            if made < 3:
                two_months.overwrite(TABLE, lambda: [rows(1000 * made, 1)], SCHEMA, JANUARY)
            yield rows(50, 2)

        assert two_months.overwrite(TABLE, frames, SCHEMA, JANUARY) == Written(version=5, n_rows=2)
        assert made == 3
        assert stored(two_months, JANUARY) == [50, 51]
        assert len(list(Path(two_months.path(TABLE)).rglob("*.parquet"))) == 5, "one for each commit"

    def test_but_not_for_ever(self, two_months: Lake, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(resources.commits, "ATTEMPTS", 4)
        made = 0

        def frames() -> Iterator[pl.DataFrame]:
            nonlocal made
            made += 1
            two_months.overwrite(TABLE, lambda: [rows(1000 * made, 1)], SCHEMA, JANUARY)
            yield rows(50, 2)

        with pytest.raises(LostRace):
            two_months.overwrite(TABLE, frames, SCHEMA, JANUARY)

        assert made == 4
        assert stored(two_months, JANUARY) == [4000]


class TestAppending:
    def test_a_page_and_its_cursor_are_one_commit(self, lake: Lake):
        before = lake.cursor(TABLE, "anna")
        lake.append(TABLE, rows(0, 2), SCHEMA, Cursor("anna", 1_700_000_000_000, None))
        written = lake.append(TABLE, rows(2, 2, FEBRUARY), SCHEMA, Cursor("anna", 1_700_000_000_001, 1_700_000_000_000))

        assert before is None
        assert written == Written(version=2, n_rows=2)
        assert lake.cursor(TABLE, "anna") == 1_700_000_000_001
        assert lake.cursor(TABLE, "basil") is None
        assert stored(lake) == [0, 1, 2, 3]

    @pytest.mark.parametrize("believed", [None, 4, 6])
    def test_a_page_from_where_the_cursor_is_not_is_refused(self, lake: Lake, believed: int | None):
        lake.append(TABLE, rows(0, 1), SCHEMA, Cursor("anna", 5, None))

        with pytest.raises(CursorMoved, match="anna"):
            lake.append(TABLE, rows(1, 1), SCHEMA, Cursor("anna", 7, believed))

        assert stored(lake) == [0]
        assert lake.cursor(TABLE, "anna") == 5

    def test_a_page_without_rows_moves_the_cursor(self, lake: Lake):
        lake.append(TABLE, rows(0, 0), SCHEMA, Cursor("anna", 5, None))

        assert lake.cursor(TABLE, "anna") == 5
        assert stored(lake) == []

    def test_cursors_outlive_overwriting_and_the_clean_up_of_old_log_entries(self, two_months: Lake):
        two_months.append(TABLE, rows(5, 1), SCHEMA, Cursor("anna", 5, None))
        two_months.overwrite(TABLE, lambda: [rows(0, 1)], SCHEMA, JANUARY)
        DeltaTable(two_months.path(TABLE)).create_checkpoint()
        for entry in sorted(Path(two_months.path(TABLE), "_delta_log").glob("*.json"))[:-1]:
            entry.unlink()

        assert two_months.cursor(TABLE, "anna") == 5
        assert stored(two_months) == [0, 10, 11, 12]
        assert two_months.append(TABLE, rows(1, 1), SCHEMA, Cursor("anna", 6, 5)).version == 5


class TestReading:
    def test_months_and_rows_are_known_from_the_log_alone(self, two_months: Lake):
        for file in two_months.files(TABLE):
            Path(file).unlink()

        assert two_months.months(TABLE) == [JANUARY, FEBRUARY]
        assert two_months.n_rows(TABLE) == 8
        assert two_months.n_rows(TABLE, FEBRUARY) == 3
        assert two_months.n_rows(TABLE, [JANUARY, FEBRUARY]) == 8
        assert two_months.n_rows(TABLE, version=1) == 5

    def test_other_months_are_not_even_opened(self, two_months: Lake):
        (january,) = two_months.files(TABLE, JANUARY)
        Path(january).unlink()

        assert two_months.files(TABLE) == sorted([january, *two_months.files(TABLE, FEBRUARY)])
        assert stored(two_months, FEBRUARY) == [10, 11, 12]
        assert numbers(pl.concat(two_months.batches(TABLE, SCHEMA, FEBRUARY))) == [10, 11, 12]
        assert numbers(by_duckdb(two_months, months=FEBRUARY).pl()) == [10, 11, 12]
        with pytest.raises(FileNotFoundError):
            stored(two_months)

    def test_a_filter_on_the_month_reaches_the_files_in_duckdb_too(self, two_months: Lake):
        lazy = two_months.scan(TABLE, SCHEMA).filter(pl.col("dt_month") == FEBRUARY)
        relation = by_duckdb(two_months).filter("dt_month = '2013-02'")

        assert numbers(lazy.collect()) == numbers(relation.pl()) == [10, 11, 12]
        assert "Scanning Files: 1/2" in relation.explain()

    def test_other_columns_are_not_even_read(self, two_months: Lake):
        for file in two_months.files(TABLE):
            _spoil_column(Path(file), "val_text")

        assert numbers(two_months.scan(TABLE, SCHEMA).select("id_row").collect()) == [0, 1, 2, 3, 4, 10, 11, 12]
        assert sum(batch.height for batch in two_months.batches(TABLE, SCHEMA, columns=["id_row"])) == 8
        assert by_duckdb(two_months).aggregate("sum(id_row)").fetchall() == [(43,)]
        with pytest.raises(pl.exceptions.ComputeError):
            two_months.scan(TABLE, SCHEMA).collect()
        with pytest.raises(duckdb.Error):
            by_duckdb(two_months).fetchall()

    def test_no_months_are_no_rows_and_several_are_several(self, two_months: Lake):
        assert stored(two_months, []) == []
        assert stored(two_months, [JANUARY, MARCH]) == [0, 1, 2, 3, 4]
        assert stored(two_months, [JANUARY, FEBRUARY]) == [0, 1, 2, 3, 4, 10, 11, 12]

    def test_batches_keep_the_order_and_stay_small(self, lake: Lake):
        lake.overwrite(TABLE, lambda: [rows(0, 6_000), rows(6_000, 6_000)], SCHEMA, JANUARY)
        batches = list(lake.batches(TABLE, SCHEMA, columns=["id_row"], rows=1_000))
        (file,) = lake.files(TABLE)

        assert pl.concat(batches).equals(pl.read_parquet(file, columns=["id_row"]))
        assert sorted(pl.concat(batches).to_series()) == list(range(12_000))
        assert max(batch.height for batch in batches) <= 1_000

    def test_an_older_version_is_still_there(self, two_months: Lake):
        two_months.overwrite(TABLE, lambda: [rows(20, 1)], SCHEMA, JANUARY)

        assert numbers(two_months.scan(TABLE, SCHEMA, version=2).collect()) == [0, 1, 2, 3, 4, 10, 11, 12]
        assert numbers(two_months.scan(TABLE, SCHEMA, JANUARY, version=1).collect()) == [0, 1, 2, 3, 4]
        assert two_months.scan(TABLE, SCHEMA, version=0).collect().height == 0

    @pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
    def test_a_table_without_rows_has_its_columns_and_types(self, lake: Lake, is_there: bool):  # noqa: FBT001  # a parameter
        if is_there:
            lake.overwrite(TABLE, list, SCHEMA)
        relation = by_duckdb(lake)

        assert lake.scan(TABLE, SCHEMA).collect().equals(pl.DataFrame(schema=SCHEMA))
        assert dict(zip(relation.columns, map(str, relation.types), strict=True)) == {
            "id_row": "BIGINT",
            "val_text": "VARCHAR",
            "arr_n": "INTEGER[]",
            "tm_seen": "TIMESTAMP WITH TIME ZONE",
            "dt_month": "VARCHAR",
        }
        assert relation.fetchall() == []
        assert list(lake.batches(TABLE, SCHEMA)) == []
        assert (lake.months(TABLE), lake.n_rows(TABLE), lake.cursor(TABLE, "anna")) == ([], 0, None)
        assert lake.version(TABLE) == (1 if is_there else None)

    def test_a_table_can_be_read_while_it_is_written(self, two_months: Lake):
        def doubled() -> Iterator[pl.DataFrame]:
            for batch in two_months.batches(TABLE, SCHEMA, JANUARY, rows=2):
                yield batch.with_columns(pl.col("id_row") * 2)

        two_months.overwrite(TABLE, doubled, SCHEMA, JANUARY)

        assert stored(two_months, JANUARY) == [0, 2, 4, 6, 8]


class TestColumns:
    WIDER = pl.Schema({"id_row": pl.Int64, "n_new": pl.Int16, **SCHEMA})

    def test_a_new_column_is_null_in_files_from_before_it(self, two_months: Lake):
        read = two_months.scan(TABLE, self.WIDER).collect()

        assert read.schema == self.WIDER
        assert read.get_column("n_new").null_count() == 8
        assert pl.concat(two_months.batches(TABLE, self.WIDER)).schema == self.WIDER
        assert by_duckdb(two_months, self.WIDER).aggregate("count(*), count(n_new)").fetchall() == [(8, 0)]

    def test_the_next_commit_adds_it(self, two_months: Lake):
        two_months.append(TABLE, rows(20, 1).with_columns(n_new=pl.lit(7)), self.WIDER)
        two_months.overwrite(TABLE, lambda: [rows(30, 1, FEBRUARY).with_columns(n_new=pl.lit(8))], self.WIDER, FEBRUARY)
        read = two_months.scan(TABLE, self.WIDER).collect().sort("id_row")

        assert read.get_column("n_new").to_list() == [None] * 5 + [7, 8]
        assert by_duckdb(two_months, self.WIDER).aggregate("sum(n_new)").fetchall() == [(15,)]
        assert stored(two_months) == [0, 1, 2, 3, 4, 20, 30]

    def test_a_column_that_the_code_has_given_up_is_null_from_now_on(self, two_months: Lake):
        narrower = pl.Schema({name: kind for name, kind in SCHEMA.items() if name != "val_text"})
        two_months.append(TABLE, rows(20, 1), narrower)

        assert numbers(two_months.scan(TABLE, narrower).collect()) == [0, 1, 2, 3, 4, 10, 11, 12, 20]
        assert two_months.scan(TABLE, SCHEMA).collect().get_column("val_text").null_count() == 1

    def test_a_column_of_another_type_is_refused_and_nothing_is_cut_to_fit(self, two_months: Lake):
        other = pl.Schema(SCHEMA | {"id_row": pl.Float64})

        with pytest.raises(UserError, match=r"lichess\.pages holds id_row as .*materialize the table again"):
            two_months.append(TABLE, rows(20, 1).with_columns(id_row=pl.lit(1.5)), other)

        assert two_months.version(TABLE) == 2

    def test_except_where_no_old_row_stays(self, two_months: Lake):
        other = pl.Schema({"id_row": pl.Float64, "dt_month": pl.String})
        two_months.overwrite(TABLE, lambda: [rows(0, 1).with_columns(id_row=pl.lit(1.5))], other)

        assert two_months.scan(TABLE, other).collect().rows() == [(1.5, JANUARY)]


@pytest.mark.parametrize(
    "name",
    ["with blank", "Zürich Übung", "日本", "an 'apostrophe'", "a{b},c", "!&+;$@~", "-x", ".hidden", 'a"b', "a:b"],
)
def test_tables_may_lie_in_a_folder_of_any_name_that_settings_let_through(tmp_path: Path, name: str):
    lake = Lake(uri=str(tmp_path / name / "lake"))
    for first, month in ((0, JANUARY), (2, FEBRUARY)):
        lake.overwrite(TABLE, lambda first=first, month=month: [rows(first, 2, month)], SCHEMA, month)
    lake.append(TABLE, rows(4, 1, FEBRUARY), SCHEMA)

    assert stored(lake) == [0, 1, 2, 3, 4]
    assert stored(lake, FEBRUARY) == [2, 3, 4]
    assert numbers(pl.concat(lake.batches(TABLE, SCHEMA))) == [0, 1, 2, 3, 4]
    assert numbers(by_duckdb(lake).pl()) == [0, 1, 2, 3, 4]
    assert numbers(by_duckdb(lake, months=FEBRUARY).pl()) == [2, 3, 4]
    assert all(Path(file).is_file() for file in lake.files(TABLE))


@pytest.mark.parametrize(("schema", "most"), [(SCHEMA, 20_000), (PLAIN, 50_000)])
def test_row_groups_are_full_however_the_rows_come(tmp_path: Path, schema: pl.Schema, most: int):
    lake = Lake(uri=str(tmp_path))
    sizes = [30_000, 1, 29_999, 45_000, 7]
    lake.overwrite(
        TABLE, lambda: [rows(sum(sizes[:n]), size).select(schema.names()) for n, size in enumerate(sizes)], schema
    )

    (file,) = lake.files(TABLE)
    metadata = pq.read_metadata(file)
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert groups == [most] * (105_007 // most) + [105_007 % most]
    found = pl.concat(lake.batches(TABLE, schema)).get_column("id_row")
    assert found.to_list() == list(range(105_007))


def _spoil_column(file: Path, column: str) -> None:
    """Overwrite a column's pages: whoever reads them fails."""
    group = pq.read_metadata(file).row_group(0)
    (chunk,) = [
        group.column(number) for number in range(group.num_columns) if group.column(number).path_in_schema == column
    ]
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    with file.open("r+b") as opened:
        opened.seek(begin)
        opened.write(b"\xff" * chunk.total_compressed_size)
