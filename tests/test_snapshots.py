"""Snapshots: what is published belongs together, for ever, and changes in one moment."""

import json
import multiprocessing
import os
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from power_cut import Disk
from snapshot_reader import Seen, read_until

from resources.lake import Lake, duckdb_type, parquet_sql
from resources.snapshots import Pin, Snapshots

SCHEMA = pl.Schema({"id_row": pl.Int64, "val_text": pl.String, "tm_seen": pl.Datetime("us", "UTC")})
LEFT, RIGHT = "pair.l_table", "pair.r_table"
TEXTS = {"id_row": "Number of the row", "val_text": "The row's text; isn't empty", "tm_seen": "When it was seen, UTC"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(uri=str(tmp_path / "lake"))


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(folder=str(tmp_path / "home" / "published"))


def _fill(lake: Lake, table: str, generation: int) -> None:
    """A generation is a text that all rows share, and a number of rows of its own."""
    n_rows = generation % 7 + 1
    frame = pl.DataFrame(
        {
            "id_row": range(n_rows),
            "val_text": [str(generation)] * n_rows,
            "tm_seen": [datetime(2013, 1, 1, tzinfo=UTC)] * n_rows,
        }
    )
    lake.overwrite(table, lambda: [frame], SCHEMA)


def _pin(lake: Lake, table: str) -> Pin:
    version = lake.version(table)
    files = lake.files(table, version=version)
    columns = {name: duckdb_type(kind) for name, kind in SCHEMA.items()}
    sql = f"SELECT * FROM {parquet_sql(files, SCHEMA)}"
    return Pin(
        table,
        sql,
        "One side of a pair; it's a test",
        columns,
        TEXTS,
        files,
        lake.n_rows(table, version=version),
        version,
    )


def _publish(lake: Lake, snapshots: Snapshots, generation: int) -> str:
    for table in (LEFT, RIGHT):
        _fill(lake, table, generation)
    return str(snapshots.publish([_pin(lake, LEFT), _pin(lake, RIGHT)], _no_audit)["snapshot"])


def _no_audit(_: duckdb.DuckDBPyConnection) -> None:
    pass


def _query(snapshots: Snapshots, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(Path(snapshots.folder) / "latest.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _texts(snapshots: Snapshots) -> list[tuple[object, ...]]:
    return _query(snapshots, f"SELECT DISTINCT l.val_text, r.val_text FROM {LEFT} l JOIN {RIGHT} r USING (id_row)")


def test_consumers_read_what_was_pinned_whatever_happens_to_the_tables_afterwards(lake: Lake, snapshots: Snapshots):
    published = _publish(lake, snapshots, 5)
    _fill(lake, LEFT, 6)

    assert _texts(snapshots) == [("5", "5")]
    assert _query(snapshots, f"SELECT count(*), min(tm_seen)::VARCHAR FROM {LEFT}")[0][0] == 6
    assert _query(snapshots, "SELECT id_snapshot FROM snapshot") == [(published,)]


def test_the_catalog_says_what_is_in_it(lake: Lake, snapshots: Snapshots):
    for table in (LEFT, RIGHT):
        _fill(lake, table, 3)
    when = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    catalog = snapshots.publish([_pin(lake, LEFT)], _no_audit, when)

    assert catalog == snapshots.latest() == json.loads(Path(snapshots.folder, "latest.json").read_text())
    assert catalog == {
        "snapshot": "20261121T093000000000Z",
        "published": "2026-11-21T09:30:00+00:00",
        "tables": {
            LEFT: {
                "version": 1,
                "rows": 4,
                "description": "One side of a pair; it's a test",
                "schema": {"id_row": "BIGINT", "val_text": "VARCHAR", "tm_seen": "TIMESTAMP WITH TIME ZONE"},
                "files": lake.files(LEFT),
            }
        },
    }


def test_before_the_first_there_is_none(snapshots: Snapshots):
    assert snapshots.latest() is None
    assert snapshots.ids() == []


def test_a_table_without_rows_is_published_with_its_columns(lake: Lake, snapshots: Snapshots):
    snapshots.publish([_pin(lake, LEFT)], _no_audit)

    assert _query(snapshots, f"SELECT * FROM {LEFT}") == []
    assert _query(snapshots, f"SELECT column_name, column_type FROM (DESCRIBE {LEFT})") == [
        ("id_row", "BIGINT"),
        ("val_text", "VARCHAR"),
        ("tm_seen", "TIMESTAMP WITH TIME ZONE"),
    ]


def test_tables_and_columns_carry_their_texts(lake: Lake, snapshots: Snapshots):
    _publish(lake, snapshots, 1)

    assert set(_query(snapshots, "SELECT comment FROM duckdb_views() WHERE NOT internal")) == {
        ("One side of a pair; it's a test",)
    }
    columns = "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'pair' AND table_name = 'l_table'"
    assert dict(_query(snapshots, columns)) == TEXTS


def test_views_name_explicit_files_and_dead_ones_do_not_count(lake: Lake, snapshots: Snapshots):
    for generation in (1, 2, 3):
        _publish(lake, snapshots, generation)
    sqls = [sql for (sql,) in _query(snapshots, "SELECT sql FROM duckdb_views() WHERE NOT internal ORDER BY view_name")]

    assert len(list(Path(lake.path(LEFT)).glob("*.parquet"))) == 3
    for sql, table in zip(sqls, (LEFT, RIGHT), strict=True):
        (file,) = lake.files(table)
        assert file in str(sql)
        assert str(sql).count(".parquet") == 1
        assert "*" not in str(sql).replace("SELECT *", "")
    assert _query(snapshots, f"SELECT count(*) FROM {LEFT}") == [(4,)]


def test_duckdb_1_2_and_later_can_open_the_file(lake: Lake, snapshots: Snapshots):
    _publish(lake, snapshots, 1)
    header = Path(snapshots.folder, "latest.duckdb").read_bytes()[:20]
    tags = _query(snapshots, "SELECT tags FROM duckdb_databases() WHERE database_name = 'latest'")

    # duckdb.org/docs/internals/storage: 64 is 0.9 to 1.1, 65 is 1.2, 66 is 1.3, 67 is 1.4; newer ones open older files.
    assert header[8:12] == b"DUCK"
    assert struct.unpack("<Q", header[12:20]) == (65,)
    assert tags == [({"storage_version": "v1.2.0+"},)]


def test_the_way_back_and_forward_again(lake: Lake, snapshots: Snapshots):
    first, second = (_publish(lake, snapshots, generation) for generation in (1, 2))
    snapshots.point_to(first)
    back, catalog = _texts(snapshots), snapshots.latest()
    third = _publish(lake, snapshots, 3)

    assert back == [("1", "1")]
    assert catalog
    assert catalog["snapshot"] == first
    assert _texts(snapshots) == [("3", "3")]
    assert snapshots.ids() == [first, second, third]


def test_there_is_no_way_to_a_snapshot_that_is_not_there(lake: Lake, snapshots: Snapshots):
    published = _publish(lake, snapshots, 1)

    for unknown in ("20200101T000000000000Z", f".{published}.1", ""):
        with pytest.raises(FileNotFoundError, match="there is no snapshot"):
            snapshots.point_to(unknown)
    assert _texts(snapshots) == [("1", "1")]


@pytest.mark.parametrize("error", [ValueError("rows are missing"), KeyboardInterrupt()])
def test_what_an_audit_refuses_leaves_nothing_behind(lake: Lake, snapshots: Snapshots, error: BaseException):
    published = _publish(lake, snapshots, 1)
    _fill(lake, LEFT, 2)

    def audit(connection: duckdb.DuckDBPyConnection) -> None:
        assert connection.execute(f"SELECT DISTINCT val_text FROM {LEFT}").fetchall() == [("2",)]
        raise error

    with pytest.raises(type(error)) as caught:
        snapshots.publish([_pin(lake, LEFT), _pin(lake, RIGHT)], audit)

    assert caught.value is error
    assert _texts(snapshots) == [("1", "1")]
    assert [path.name for path in Path(snapshots.folder, "snapshots").iterdir()] == [published] == snapshots.ids()


def test_what_a_killed_publisher_left_behind_is_gone_with_the_next_turn(lake: Lake, snapshots: Snapshots):
    published, root = _publish(lake, snapshots, 1), Path(snapshots.folder)
    (root / "snapshots" / ".20260101T000000000000Z.4711").mkdir()
    (root / "snapshots" / ".20260101T000000000000Z.4711" / "latest.duckdb").touch()
    (root / ".current.4711").symlink_to(f"snapshots/{published}")

    with snapshots.turn():
        assert sorted(path.name for path in root.iterdir() if path.name.startswith(".")) == [".turn"]
        assert [path.name for path in (root / "snapshots").iterdir()] == [published]
    assert _texts(snapshots) == [("1", "1")]


def test_an_audit_cannot_change_what_it_looks_at(lake: Lake, snapshots: Snapshots):
    with pytest.raises(duckdb.Error, match="read-only"):
        snapshots.publish([_pin(lake, LEFT)], lambda connection: connection.execute("DELETE FROM snapshot"))


def test_a_missing_file_is_found_before_anybody_reads(lake: Lake, snapshots: Snapshots):
    _fill(lake, LEFT, 1)
    pin = _pin(lake, LEFT)
    Path(pin.files[0]).unlink()

    with pytest.raises(duckdb.Error, match="No files found"):
        snapshots.publish([pin], _no_audit)
    assert snapshots.latest() is None


def test_the_folder_may_have_any_name(tmp_path: Path, lake: Lake):
    snapshots = Snapshots(folder=str(tmp_path / "it's an Übung, [really]"))
    _publish(lake, snapshots, 4)

    assert _texts(snapshots) == [("4", "4")]


def test_what_was_published_survives_a_power_cut(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "disk").mkdir()
    snapshots = Snapshots(folder=str(tmp_path / "disk" / "home" / "published"))
    disk = Disk(tmp_path / "disk", monkeypatch)
    for generation in (1, 2):
        published = _publish(lake, snapshots, generation)
        left = Snapshots(folder=str(disk.after_power_cut(tmp_path / f"left{generation}") / "home" / "published"))

        assert left.latest() == snapshots.latest()
        assert _texts(left) == [(str(generation), str(generation))]
        assert left.ids()[-1] == published


@pytest.mark.parametrize("guard", ["sync_tree", "sync"])
def test_the_judge_sees_each_missing_sync(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, guard: str):
    (tmp_path / "disk").mkdir()
    snapshots = Snapshots(folder=str(tmp_path / "disk" / "home" / "published"))
    disk = Disk(tmp_path / "disk", monkeypatch)
    monkeypatch.setattr(f"resources.snapshots.{guard}", lambda _: None)
    _publish(lake, snapshots, 1)
    left = disk.after_power_cut(tmp_path / "left") / "home" / "published"

    assert not (left / "latest.json").exists() or not (left / "latest.json").read_bytes()


@pytest.fixture
def reader() -> Iterator[Callable[[Snapshots], Callable[[], Seen]]]:
    """Starts a consumer in a process of its own; what that gives stops it and tells what it saw."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["duckdb", "resources.lake"])
    stop = context.Event()

    def start(snapshots: Snapshots) -> Callable[[], Seen]:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=read_until, args=(stop, snapshots.folder, theirs), daemon=True)
        process.start()
        theirs.close()

        def end() -> Seen:
            stop.set()
            seen = ours.recv()
            process.join()
            return seen

        return end

    yield start
    stop.set()


def test_a_consumer_never_sees_half_a_snapshot_nor_two_in_one(
    lake: Lake, snapshots: Snapshots, reader: Callable[[Snapshots], Callable[[], Seen]]
):
    first = _publish(lake, snapshots, 0)
    end = reader(snapshots)
    for generation in range(1, 31):
        _publish(lake, snapshots, generation)
        if generation % 10 == 0:  # the same once more
            snapshots.point_to(snapshots.ids()[-1])
    seen = end()

    assert seen.faults == []
    assert seen.reads >= 30
    assert len(seen.snapshots - {first}) >= 5


def test_after_each_step_on_the_disk_both_files_are_there_and_belong_together(
    lake: Lake, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
):
    _publish(lake, snapshots, 1)
    steps: list[str] = []

    def watched(step: Callable[..., None]) -> Callable[..., None]:
        def then_look(*args: object, **options: object) -> None:
            step(*args, **options)
            catalog = snapshots.latest()
            steps.append(step.__name__)
            assert catalog
            assert _query(snapshots, "SELECT id_snapshot FROM snapshot") == [(catalog["snapshot"],)]

        return then_look

    for step in (os.unlink, os.symlink, os.rename, os.replace, os.link):
        monkeypatch.setattr(os, step.__name__, watched(step))
    second = _publish(lake, snapshots, 2)

    assert {"symlink", "replace"} <= set(steps)
    assert _query(snapshots, "SELECT id_snapshot FROM snapshot") == [(second,)]


def test_that_consumer_would_see_a_skew(
    lake: Lake, snapshots: Snapshots, reader: Callable[[Snapshots], Callable[[], Seen]]
):
    _publish(lake, snapshots, 1)
    _fill(lake, LEFT, 2)
    snapshots.publish([_pin(lake, LEFT), _pin(lake, RIGHT)], _no_audit)
    seen = reader(snapshots)()

    assert "is skewed" in seen.faults[0]


def test_publishers_take_turns_so_that_no_older_pins_come_last(snapshots: Snapshots):
    steps: list[str] = []
    is_inside = threading.Event()

    def wait_for_a_turn() -> None:
        is_inside.wait()
        with Snapshots(folder=snapshots.folder).turn():
            steps.append("second")

    other = threading.Thread(target=wait_for_a_turn)
    other.start()
    with snapshots.turn():
        is_inside.set()
        other.join(0.3)
        steps.append("first")
    other.join()
    assert steps == ["first", "second"]
