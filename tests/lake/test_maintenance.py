"""Upkeep of the lake: the same rows in fewer files, and nothing is removed that somebody needs."""

import multiprocessing
import os
import time
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from kill_writer import READY, write
from lake_rows import FEBRUARY, JANUARY, PLAIN, SCHEMA, TABLE, by_duckdb, rows, stored

import resources.lake
from resources.lake import Lake
from resources.maintenance import SMALL_FILES, Maintenance, Upkeep

NOW = timedelta(0)
DAY = timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Rows 0 to 39 of January in ten files, two of February in one."""
    lake = Lake(uri=str(tmp_path / "lake"))
    lake.overwrite(TABLE, lambda: [rows(50, 2, FEBRUARY)], SCHEMA, FEBRUARY)
    lake.overwrite(TABLE, lambda: [rows(0, 4)], SCHEMA, JANUARY, note={"sha": "abc"}, mark=7)
    for page in range(1, 10):
        lake.append(TABLE, rows(4 * page, 4), SCHEMA)
    return lake


def kept_up(lake: Lake, grace: timedelta = DAY, keep: Collection[str] = (), *, dry: bool = False) -> Upkeep:
    (one,) = (one for one in Maintenance(lake, grace, lambda: keep).run(dry=dry) if one.table == TABLE)
    return one


def on_disk(lake: Lake) -> set[str]:
    return {str(file) for file in Path(lake.path(TABLE)).glob("dt_month=*/*.parquet")}


class TestMerging:
    def test_small_files_become_one_with_the_same_rows_in_the_same_order(self, lake: Lake):
        before = lake.scan(TABLE, SCHEMA, JANUARY).collect()
        done = kept_up(lake)
        assert (done.files_before, done.files_after, done.merged) == (11, 2, (JANUARY,))
        assert lake.scan(TABLE, SCHEMA, JANUARY).collect().equals(before)
        assert by_duckdb(lake, months=JANUARY).pl()["id_row"].to_list() == before["id_row"].to_list()
        assert lake.n_rows(TABLE, JANUARY) == 40

    def test_few_files_stay_as_they_are(self, lake: Lake):
        kept_up(lake)
        for page in range(SMALL_FILES - 2):
            lake.append(TABLE, rows(100 + page, 1), SCHEMA)
        assert kept_up(lake).merged == ()

    def test_a_table_that_is_not_split_is_merged_as_a_whole(self, lake: Lake):
        for number in range(SMALL_FILES):
            lake.append("lichess.plain", rows(number, 1).select(PLAIN.names()), PLAIN)
        list(Maintenance(lake, DAY, list).run())
        assert len(lake.files("lichess.plain")) == 1
        assert lake.scan("lichess.plain", PLAIN).collect()["id_row"].sort().to_list() == list(range(SMALL_FILES))

    def test_notes_marks_and_cursors_stay(self, lake: Lake):
        kept_up(lake)
        assert lake.note_of(TABLE, JANUARY) == {"sha": "abc"}
        assert lake.marks(TABLE, [JANUARY]) == {JANUARY: 7}

    def test_rows_that_come_meanwhile_stay(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        replace = resources.lake.replace

        def late(*args):
            Lake(uri=lake.uri).append(TABLE, rows(40, 5), SCHEMA)
            return replace(*args)

        monkeypatch.setattr(resources.lake, "replace", late)
        assert kept_up(lake).merged == (JANUARY,)
        assert stored(lake, JANUARY) == list(range(45))

    def test_who_overwrites_the_month_meanwhile_is_right(self, lake: Lake, monkeypatch: pytest.MonkeyPatch):
        replace = resources.lake.replace

        def late(*args):
            monkeypatch.setattr(resources.lake, "replace", replace)
            Lake(uri=lake.uri).overwrite(TABLE, lambda: [rows(7, 1)], SCHEMA, JANUARY)
            return replace(*args)

        monkeypatch.setattr(resources.lake, "replace", late)
        assert kept_up(lake).merged == ()
        assert stored(lake, JANUARY) == [7]
        assert len(on_disk(lake) - set(lake.files(TABLE))) == 10, "the merged file is gone again"


class TestCleaning:
    def test_replaced_and_forgotten_files_go_after_their_time(self, lake: Lake):
        kept_up(lake)
        forgotten = Path(lake.path(TABLE)) / f"dt_month={JANUARY}" / "part-killed.parquet"
        forgotten.write_text("half")
        assert kept_up(lake).removed == 0
        old = time.time() - 2 * DAY.total_seconds()
        for file in on_disk(lake):
            os.utime(file, (old, old))
        done = kept_up(lake)
        assert (done.removed, done.freed_bytes) == (1, 4), "the others were replaced only now, however old they are"
        assert kept_up(lake, NOW).removed == 10
        assert on_disk(lake) == set(lake.files(TABLE))

    def test_what_a_snapshot_or_a_journal_names_stays(self, lake: Lake):
        named = lake.files(TABLE)
        rows_of_it = by_duckdb(lake).fetchall()
        relation = lake.relation_sql(TABLE, SCHEMA)
        kept_up(lake)
        lake.overwrite(TABLE, lambda: [rows(90, 1)], SCHEMA, JANUARY)
        assert kept_up(lake, NOW, keep=named).removed == 1  # the merged file, which nothing names
        assert duckdb.sql(f"SELECT * FROM {relation}").fetchall() == rows_of_it

    def test_a_dry_run_tells_the_same_and_does_nothing(self, lake: Lake):
        lake.overwrite(TABLE, lambda: [rows(60, 2, FEBRUARY)], SCHEMA, FEBRUARY)
        files, version = on_disk(lake), lake.version(TABLE)
        told = kept_up(lake, NOW, dry=True)
        assert (on_disk(lake), lake.version(TABLE)) == (files, version)
        assert kept_up(lake, NOW) == told
        assert told.removed == 1
        assert told.freed_bytes > 0


def maintain_for_ever(uri: str) -> None:
    """Merge and clean without end, with no time for anybody: until it is killed."""
    while True:
        for month in (JANUARY, FEBRUARY):
            Lake(uri=uri).compact(TABLE, month)
        kept_up(Lake(uri=uri), timedelta(hours=1))


def test_killed_upkeep_loses_nothing(lake: Lake):
    context = multiprocessing.get_context("spawn")
    for delay in (0.0, 0.05, 0.1, 0.2):
        worker = context.Process(target=maintain_for_ever, args=(lake.uri,), daemon=True)
        worker.start()
        begun = lake.version(TABLE)
        while lake.version(TABLE) == begun:
            time.sleep(0.01)
        time.sleep(delay)
        worker.kill()
        worker.join()
        assert stored(lake) == [*range(40), 50, 51]
    kept_up(lake, NOW)
    assert stored(lake) == [*range(40), 50, 51]
    assert on_disk(lake) == set(lake.files(TABLE))


def test_upkeep_beside_a_writer_loses_none_of_its_commits(tmp_path: Path):
    lake = Lake(uri=str(tmp_path / "busy"))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    writer = context.Process(target=write, args=(lake.uri, 0, 1, theirs), daemon=True)
    writer.start()
    theirs.close()
    assert ours.recv() == READY
    pages = merged = 0
    while pages < 12:
        told = ours.recv()
        pages = told if isinstance(told, int) else pages
        merged += lake.compact(TABLE, JANUARY) if pages else 0
    writer.kill()
    writer.join()
    found = stored(lake, JANUARY)
    assert merged
    assert found == list(range(len(found)))
    assert len(found) >= 10 * pages
