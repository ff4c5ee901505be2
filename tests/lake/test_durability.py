"""An acknowledged commit survives a power cut. Judged by a model of the disk that keeps only what was synced."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction
from lake_rows import FEBRUARY, JANUARY, SCHEMA, TABLE, rows, stored
from power_cut import Disk

import resources.lake
from resources.lake import Cursor, Lake

Work = Callable[[Lake, int], object]


def _append(lake: Lake, number: int) -> None:
    lake.append(
        TABLE, rows(number * 10, 2, (JANUARY, FEBRUARY)[number % 2]), SCHEMA, Cursor("a", number, number - 1 or None)
    )


def _overwrite_month(lake: Lake, number: int) -> None:
    lake.overwrite(TABLE, lambda: [rows(number * 10, 2, FEBRUARY)], SCHEMA, FEBRUARY)


def _overwrite_table(lake: Lake, number: int) -> None:
    lake.overwrite(TABLE, lambda: [rows(number * 10, 2)], SCHEMA)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is on the disk for sure; all below it is made by the lake."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


@pytest.fixture
def lake(folder: Path) -> Lake:
    return Lake(uri=str(folder / "home" / "deep" / "lake"))


@pytest.fixture
def disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(folder, monkeypatch)


def _survivors(disk: Disk, target: Path) -> Lake:
    return Lake(uri=str(disk.after_power_cut(target) / "home" / "deep" / "lake"))


@pytest.mark.parametrize("work", [_append, _overwrite_month, _overwrite_table])
def test_each_acknowledged_commit_survives(lake: Lake, disk: Disk, tmp_path: Path, work: Work):
    for number in range(1, 4):
        work(lake, number)
        left = _survivors(disk, tmp_path / str(number))

        assert stored(left) == stored(lake) != []
        assert left.version(TABLE) == lake.version(TABLE)
        assert left.cursor(TABLE, "a") == lake.cursor(TABLE, "a")


@pytest.mark.parametrize("work", [_append, _overwrite_month, _overwrite_table])
def test_files_are_on_the_disk_before_the_log_names_them(
    lake: Lake, disk: Disk, tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
):
    work(lake, 1)
    commit, looks = DeltaTable.create_write_transaction, []

    def look_and_commit(table: DeltaTable, actions: list[AddAction | RemoveAction], *others, **options) -> None:
        left = Path(_survivors(disk, tmp_path / "left").path(TABLE))
        looks.extend((left / one.path).stat().st_size == one.size for one in actions if isinstance(one, AddAction))
        commit(table, actions, *others, **options)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", look_and_commit)
    work(lake, 2)

    assert looks == [True]


@pytest.mark.parametrize("work", [_append, _overwrite_month, _overwrite_table])
def test_the_judge_sees_what_delta_alone_would_lose(
    lake: Lake, disk: Disk, tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
):
    work(lake, 1)
    monkeypatch.setattr(resources.lake, "sync_commits", lambda *_: None)
    work(lake, 2)
    left = _survivors(disk, tmp_path / "left")

    assert left.version(TABLE) == 1
    assert stored(left) == [10, 11] != stored(lake)


def test_the_judge_sees_names_that_were_not_synced(
    lake: Lake, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("resources.durability.sync", _only_files(resources.durability.sync))
    _append(lake, 1)

    assert _survivors(disk, tmp_path / "left").version(TABLE) is None


def test_a_commit_takes_those_along_that_another_process_has_not_synced_yet(
    lake: Lake, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as killed_before_it_synced:
        killed_before_it_synced.setattr(Lake, "_make_durable", lambda *_: None)
        for number in range(1, 4):
            _append(lake, number)
    _append(lake, 4)
    left = _survivors(disk, tmp_path / "left")

    assert stored(left) == stored(lake) == [10, 11, 20, 21, 30, 31, 40, 41]


def test_a_checkpoint_survives_with_what_came_after_it(lake: Lake, disk: Disk, tmp_path: Path):
    for number in range(1, 103):
        _append(lake, number)
    left = _survivors(disk, tmp_path / "left")
    log = Path(left.path(TABLE), "_delta_log")

    for version in range(json.loads((log / "_last_checkpoint").read_bytes())["version"] + 1):
        (log / f"{version:020d}.json").unlink()  # so that the checkpoint is needed
    assert left.cursor(TABLE, "a") == 102
    assert stored(left) == stored(lake)


def test_a_lake_that_was_put_back_from_a_copy_is_synced_too(lake: Lake, disk: Disk, folder: Path, tmp_path: Path):
    _overwrite_month(lake, 1)
    shutil.copytree(folder / "home", tmp_path / "backup")
    _overwrite_month(lake, 2)
    _overwrite_month(lake, 3)
    shutil.rmtree(folder / "home")
    shutil.copytree(tmp_path / "backup", folder / "home")
    for path in (folder, *folder.rglob("*")):
        resources.durability.sync(path)
    _overwrite_month(lake, 4)

    assert stored(_survivors(disk, tmp_path / "left")) == [40, 41]


def _only_files(sync: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda path: None if path.is_dir() else sync(path)
