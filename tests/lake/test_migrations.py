"""Migrations: an older lake becomes one of this code, whole, with every row, whoever is killed or in the way."""

import multiprocessing
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from migrator import KNOWN, MONTHS, NEW, OLD, TABLE, migrate, old_rows, write_old

from resources.errors import UserError
from resources.lake import Cursor, Lake
from resources.migrations import LEDGER, LEDGER_SCHEMA, Migration, Migrations
from resources.table_changes import Added, Change, Retyped

N_FILES = len(MONTHS) + 1
ANNA2 = {
    "id_user": "anna2",
    "n_rating": 1502,
    "tm_seen": datetime(2013, 1, 1, 12, 0, 2, tzinfo=UTC),
    "n_letters": 5,
    "val_later": None,
    "dt_month": "2013-01",
}


@pytest.fixture
def old(tmp_path: Path) -> Lake:
    return write_old(str(tmp_path / "lake"))


def run(lake: Lake, known: Sequence[Migration] = KNOWN) -> list[int]:
    """The numbers of rows of each file that was written anew."""
    told: list[int] = []
    list(Migrations(lake, known).run(told.append))
    return told


def is_whole(lake: Lake) -> None:
    """Every row of every month is there in its new form, and columns have the new types in the table itself."""
    read = lake.scan(TABLE, NEW).collect()
    assert read.height == 3 * N_FILES
    assert dict(zip(*read.group_by("dt_month").len().sort("dt_month").get_columns(), strict=True)) == {
        month: 6 if month == MONTHS[-1] else 3 for month in MONTHS
    }
    assert read.filter(pl.col("dt_month") == "2013-01").sort("id_user").row(2, named=True) == ANNA2
    assert set(lake.columns_of(TABLE).items()) == set(NEW.items())


def test_columns_are_renamed_retyped_added_and_dropped_in_every_month(old: Lake):
    assert run(old) == [3] * N_FILES

    is_whole(old)
    assert Migrations(old, KNOWN).version() == 3
    assert old.scan(LEDGER, LEDGER_SCHEMA).select("n_version", "val_text").sort("n_version").collect().rows() == [
        (2, "users have ids, ratings have room, and times are times"),
        (3, "something comes later"),
    ]


def test_cursors_and_notes_stay_with_the_table(old: Lake):
    run(old)

    assert old.cursor(TABLE, "anna") == 7
    assert old.note_of(TABLE, "2013-02") == {"from": "2013-02"}
    old.append(TABLE, old.scan(TABLE, NEW, "2013-01").collect(), NEW, Cursor("anna", 8, 7))


def test_who_reads_files_by_their_names_goes_on_reading_them(old: Lake):
    files = old.files(TABLE)
    run(old)

    assert pl.read_parquet(files, glob=False).height == 3 * N_FILES
    assert not set(files) & set(old.files(TABLE))


def test_a_second_time_there_is_nothing_to_do(old: Lake):
    run(old)
    version = old.version(TABLE)

    assert run(old) == []
    assert Migrations(old, KNOWN).pending() == []
    assert old.version(TABLE) == version


def test_the_plan_tells_what_would_be_written_anew_and_touches_nothing(old: Lake, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    first, second = Migrations(old, KNOWN).pending()

    assert first.steps == (
        "rename name to id_user",
        "change n_rating to Int32",
        "rename val_seen to tm_seen",
        "change tm_seen to Datetime(time_unit='us', time_zone='UTC')",
        "add n_letters (Int32)",
        "drop val_rest",
    )
    assert (first.files, first.rows) == (N_FILES, 3 * N_FILES)
    assert first.n_bytes == sum(Path(file).stat().st_size for file in old.files(TABLE))
    assert (second.steps, second.files) == (("add val_later (String)",), 0)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_table_without_months_too(tmp_path: Path):
    lake, plain = Lake(uri=str(tmp_path)), pl.Schema({"n_a": pl.Int16})
    lake.append("x.plain", pl.DataFrame({"n_a": [1]}, plain), plain)
    lake.append("x.plain", pl.DataFrame({"n_a": [2]}, plain), plain)
    change = Change("x.plain", (Retyped("n_a", pl.String()),))
    run(lake, [Migration(2, "text", (change,))])

    assert sorted(lake.scan("x.plain", pl.Schema({"n_a": pl.String})).collect()["n_a"]) == ["1", "2"]


def test_a_table_can_be_emptied_with_its_columns_and_cursors(old: Lake):
    change = Change(TABLE, (Retyped("n_rating", pl.String()),), empties=True)

    assert run(old, [Migration(2, "made anew", (change,))]) == []
    assert old.n_rows(TABLE) == 0
    assert old.columns_of(TABLE)["n_rating"] == pl.String
    assert old.cursor(TABLE, "anna") == 7


def test_a_lake_without_the_table_only_remembers(tmp_path: Path):
    lake = Lake(uri=str(tmp_path / "lake"))
    Migrations(lake, KNOWN).open()

    assert lake.version(TABLE) is None
    assert Migrations(lake, KNOWN).version() == 3


def test_values_that_do_not_fit_are_named_and_the_table_is_as_it_was(old: Lake):
    change = Change(TABLE, (Retyped("n_rating", pl.Int8()),))
    version = old.version(TABLE)

    with pytest.raises(UserError, match=r"lichess\.ratings: cannot change n_rating to Int8: .*1500"):
        run(old, [Migration(2, "smaller", (change,))])
    assert old.version(TABLE) == version
    assert old.scan(TABLE, OLD).collect().height == 3 * N_FILES
    assert Migrations(old, KNOWN).version() == 1


def test_a_page_that_comes_meanwhile_is_changed_too(old: Lake):
    told: list[int] = []

    def listen(n_rows: int) -> None:
        if not told:
            old.append(TABLE, old_rows("2013-03", 5), OLD)
        told.append(n_rows)

    list(Migrations(old, KNOWN).run(listen))

    assert sorted(told) == [3] * N_FILES + [5], "only the page is written after the others"
    assert old.scan(TABLE, NEW, "2013-03").select(pl.len(), pl.col("tm_seen").count()).collect().row(0) == (8, 8)


def test_killed_at_any_file_it_goes_on_with_that_one(old: Lake):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["migrator"])
    for files in (2, 5):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=migrate, args=(old.uri, theirs), daemon=True)
        process.start()
        assert [ours.recv() for _ in range(3)] == ["file"] * 3
        process.kill()
        process.join()
        assert process.exitcode == -9, "it ended by itself"
        assert old.scan(TABLE, OLD).collect().height == 3 * N_FILES, f"torn after {files}"

    assert len(run(old)) <= N_FILES - 6
    is_whole(old)


def test_two_processes_at_once_come_to_the_same_end(old: Lake):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["migrator"])
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    processes = [context.Process(target=migrate, args=(old.uri, theirs), daemon=True) for _, theirs in pipes]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    is_whole(old)
    assert old.scan(LEDGER, LEDGER_SCHEMA).collect()["n_version"].sort().to_list() == [2, 3]


class TestOpening:
    def test_what_needs_no_file_anew_is_done_by_itself(self, old: Lake):
        added = Migration(2, "later", (Change(TABLE, (Added("val_later", pl.String()),)),))
        Migrations(old, [added]).open()

        assert old.columns_of(TABLE)["val_later"] == pl.String
        assert old.scan(TABLE, pl.Schema({**OLD, "val_later": pl.String})).collect()["val_later"].null_count() == 30

    def test_what_does_is_explained_and_nothing_is_touched(self, old: Lake, tmp_path: Path):
        before = sorted(tmp_path.rglob("*"))

        with pytest.raises(
            UserError, match=r"version 1, this KnightShift writes version 3: run `kshift migrate` \(30 rows of lichess"
        ):
            Migrations(old, KNOWN).open()
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_newer_lake_is_refused_and_nothing_is_touched(self, old: Lake, tmp_path: Path):
        run(old)
        before = sorted(tmp_path.rglob("*"))
        older = Migrations(old, KNOWN[:1])

        for attempt in (older.open, older.check, lambda: list(older.run())):
            with pytest.raises(UserError, match="version 3, written by a newer KnightShift: this one knows version 2"):
                attempt()
        assert sorted(tmp_path.rglob("*")) == before

    def test_older_code_that_still_runs_cannot_write_to_what_was_changed_under_it(self, old: Lake):
        running = Lake(uri=old.uri, layout=1)
        running.append(TABLE, old_rows("2013-03"), OLD)
        run(old)
        version = old.version(TABLE)

        for write in (
            lambda: running.append(TABLE, old_rows("2013-03"), OLD),
            lambda: running.overwrite(TABLE, lambda: [old_rows("2013-03")], OLD, "2013-03"),
            lambda: running.overwrite(TABLE, lambda: [old_rows("2013-03")], OLD),
            lambda: running.extend(TABLE, lambda: [old_rows("2013-03")], OLD, "2013-03"),
            lambda: running.stage(TABLE, [old_rows("2013-03")], OLD, "2013-03", "unit"),
        ):
            with pytest.raises(UserError, match=r"lichess\.ratings is of version 3, written by a newer KnightShift"):
                write()
        assert DeltaTable(old.path(TABLE)).version() == version
