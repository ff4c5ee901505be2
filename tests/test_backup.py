"""Backups: what is restored is what was there, whatever was going on, and a byte that changed is noticed."""

import os
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
import zstandard
from dagster import DagsterInstance

from commands import Kshift
from kshift_assets.ops.maintenance import needed_files, upkeep
from lakehouse import Lakehouse, pgn
from resources.backup import Backup
from resources.backup_restore import Restore, verify
from resources.backup_store import PART_BYTES, BackupStore, Damaged, Entry
from resources.errors import UserError
from resources.lake import Lake
from resources.retention import Retention
from resources.settings import Settings, load_settings
from resources.snapshots import Snapshots
from serving.home import prepare

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GAMES = "SELECT * FROM chess.games ORDER BY id_game"
SECRET = "lip_notForAnybody"  # noqa: S105  # an invented one  # pragma: allowlist secret


def quiet(*_: object) -> None:
    """Progress that nobody looks at."""


def back_up(settings: Settings, target: Path, keep_days: int | None = None, now: datetime | None = None):
    lake, snapshots = Lake(uri=settings.lake_uri), Snapshots(folder=str(settings.published))
    return Backup(settings, lambda: needed_files(lake, snapshots), quiet).run(str(target), keep_days, now)


def restore(settings: Settings, target: Path, backup_id: str | None = None):
    return Restore(BackupStore.open(str(target)), settings, quiet).run(backup_id)


def problems(target: Path) -> list[str]:
    return verify(BackupStore.open(str(target)), quiet)[0]


def objects(target: Path) -> list[Path]:
    return sorted(file for file in target.glob("*/**/*") if file.is_file())


def flip(file: Path, seed: int) -> None:
    """Change one bit of one byte."""
    chance, content = random.Random(seed), bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def contents(settings: Settings) -> dict[str, str]:
    """Path → hash of the files that the lake's tables and the snapshots consist of, and links with where they point."""
    files = [file for file in Path(settings.lake_uri).rglob("*") if file.is_file()]
    files += [file for file in settings.published.rglob("*") if not file.name.startswith(".") and not file.is_dir()]
    return {
        str(file): str(file.readlink()) if file.is_symlink() else sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def instance_of(settings: Settings) -> DagsterInstance:
    return DagsterInstance.from_config(str(settings.dagster_home))


def runs(settings: Settings) -> list[tuple[str, str]]:
    with instance_of(settings) as instance:
        return [(run.run_id, run.status.value) for run in instance.get_runs()]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """A lakehouse with two snapshots, one pinned, on a Dagster storage of its own."""
    folder = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy())  # which it changes
        os.environ.pop("DAGSTER_HOME", None)
        settings = load_settings(home=folder / "home")
        prepare(settings)
    with instance_of(settings) as instance:
        house = Lakehouse(folder, instance, [])
        for games in ([pgn("aaaaaaa1")], [pgn("aaaaaaa1"), pgn("aaaaaaa2", result="0-1")]):
            house.write_dump("2024-01", *games)
            house.make("lichess/dump_games", "2024-01")
            assert all(outcome.succeeded for outcome in house.carry_on())
        house.snapshots.pin(house.snapshots.ids()[0], "the first")
        yield house


@pytest.fixture(scope="module")
def kept(original: Lakehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a backup of it lies."""
    target = tmp_path_factory.mktemp("kept")
    back_up(original.settings, target)
    return target


@pytest.fixture
def house(kept: Path, tmp_path: Path, instance: DagsterInstance) -> Lakehouse:
    """A restored copy of it, in the test's own home."""
    made = Lakehouse(tmp_path, instance, [])
    restore(made.settings, kept)
    return made


def test_what_was_wiped_is_back_after_a_restore(house: Lakehouse, tmp_path: Path) -> None:
    before = contents(house.settings), runs(house.settings), house.query(GAMES), house.snapshots.pinned()
    assert len(before[2]) == 2
    assert len(before[1]) > 2
    back_up(house.settings, tmp_path / "target")
    shutil.rmtree(house.settings.home)
    restore(house.settings, tmp_path / "target")
    after = contents(house.settings), runs(house.settings), house.query(GAMES), house.snapshots.pinned()
    # Files of the lake that no version and no snapshot names are not in the backup.
    gone = {Path(file).parts[-1] for file in before[0].keys() - after[0].keys()}
    assert gone <= {Path(file).name for file in before[0]} - {Path(file).name for file in needed(house)}
    assert {file: before[0][file] for file in after[0]} == after[0]
    assert after[1:] == before[1:]


def needed(house: Lakehouse) -> set[str]:
    tables = upkeep(house.lake, house.snapshots, Retention()).tables()
    return needed_files(house.lake, house.snapshots) | {file for table in tables for file in house.lake.files(table)}


def test_another_home_reads_its_own_files(original: Lakehouse, house: Lakehouse) -> None:
    assert house.settings.home != original.settings.home
    assert house.query(GAMES) == original.query(GAMES)
    comments = "SELECT comment FROM duckdb_columns() WHERE table_name = 'games' ORDER BY column_index"
    assert house.query(comments) == original.query(comments)
    for snapshot in house.snapshots.ids():
        files = {file for table in house.snapshots.catalog(snapshot)["tables"].values() for file in table["files"]}
        assert files
        assert all(Path(file).is_relative_to(house.settings.home) and Path(file).exists() for file in files)
    database = house.settings.published / "latest.duckdb"
    views = house.query("SELECT sql FROM duckdb_views() WHERE NOT internal")
    assert views
    assert not [sql for (sql,) in views if str(original.settings.home) in sql]
    # The version that the file's head names: what an older DuckDB can read stays so.
    assert database.read_bytes()[12:20] == (original.settings.published / "latest.duckdb").read_bytes()[12:20]


def test_work_goes_on_after_a_restore(house: Lakehouse, tmp_path: Path) -> None:
    with instance_of(house.settings) as instance:
        again = Lakehouse(tmp_path, instance, [])
        assert again.carry_on() == [], "what Dagster knows and what the lake holds fit together"
        again.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa3"))
        again.make("lichess/dump_games", "2024-01")
        assert all(outcome.succeeded for outcome in again.carry_on())
    assert [row[0] for row in house.query(GAMES)] == ["aaaaaaa1", "aaaaaaa3"]


def test_a_second_backup_stores_only_what_changed(house: Lakehouse, tmp_path: Path) -> None:
    first = back_up(house.settings, tmp_path / "target")
    assert back_up(house.settings, tmp_path / "target").n_new == 0
    (house.settings.home / "alerts.jsonl").write_text("{}\n")
    third = back_up(house.settings, tmp_path / "target")
    assert (third.n_new, third.n_kept) == (1, 3)
    assert first.n_new > 50


def test_of_a_large_file_only_the_parts_that_changed_are_stored(house: Lakehouse, tmp_path: Path) -> None:
    large = house.settings.home / "published" / "large"
    content = bytearray(random.Random(1).randbytes(3 * PART_BYTES + 5))
    large.write_bytes(content)
    back_up(house.settings, tmp_path / "target")
    content[PART_BYTES] ^= 1
    large.write_bytes(content)
    assert back_up(house.settings, tmp_path / "target").n_new == 1
    shutil.rmtree(house.settings.home)
    restore(house.settings, tmp_path / "target")
    assert large.read_bytes() == content


class TestDamage:
    def test_a_flipped_bit_is_found_in_every_file_of_a_backup(self, house: Lakehouse, tmp_path: Path) -> None:
        back_up(house.settings, tmp_path / "target")
        assert problems(tmp_path / "target") == []
        files = objects(tmp_path / "target")
        for number, file in enumerate(files):
            if "objects" in file.parts:
                flip(file, number)
        found = "\n".join(problems(tmp_path / "target"))
        assert [file.name for file in files if "objects" in file.parts and file.name not in found] == []
        (manifest,) = (tmp_path / "target" / "backups").iterdir()
        flip(manifest, 1)
        assert manifest.name in "\n".join(problems(tmp_path / "target"))

    @pytest.mark.parametrize("seed", range(5))
    def test_one_flipped_bit_is_found_and_not_restored(
        self, house: Lakehouse, tmp_path: Path, kshift_here: Kshift, seed: int
    ) -> None:
        target = tmp_path / "target"
        back_up(house.settings, target)
        shutil.rmtree(house.settings.home)
        file = random.Random(seed).choice(objects(target))
        flip(file, seed)
        told = kshift_here("verify", str(target))
        assert told.returncode == 1
        assert file.name in told.stderr
        told = kshift_here("restore", str(target))
        assert told.returncode == 1
        assert file.name in told.stderr
        assert not (house.settings.published / "latest.duckdb").exists()

    def test_what_is_missing_or_cut_off_is_named_before_anything_is_written(
        self, house: Lakehouse, tmp_path: Path
    ) -> None:
        target = tmp_path / "target"
        back_up(house.settings, target)
        shutil.rmtree(house.settings.home)
        gone, short = random.Random(1).sample([file for file in objects(target) if "objects" in file.parts], 2)
        gone.unlink()
        short.write_bytes(short.read_bytes()[:-1])
        assert sorted(len(line.split(gone.name)) + len(line.split(short.name)) for line in problems(target)) == [3, 3]
        with pytest.raises(Damaged, match=gone.name):
            restore(house.settings, target)
        assert not house.settings.home.exists()

    def test_what_was_damaged_and_deleted_is_stored_anew(self, house: Lakehouse, tmp_path: Path) -> None:
        target = tmp_path / "target"
        back_up(house.settings, target)
        objects(target)[-1].unlink()
        assert len(problems(target)) == 1
        assert back_up(house.settings, target).n_new == 1
        assert problems(target) == []

    @pytest.mark.parametrize("path", ["../outside", "/outside"])
    def test_a_path_that_leads_elsewhere_is_refused(self, house: Lakehouse, tmp_path: Path, path: str) -> None:
        done = back_up(house.settings, tmp_path / "target")
        store = BackupStore.open(str(tmp_path / "target"))
        store.add(replace(done.manifest, id="20990101T000000000000Z", entries=(Entry("home", path, link="x"),)))
        shutil.rmtree(house.settings.home)
        with pytest.raises(Damaged, match="outside"):
            restore(house.settings, tmp_path / "target")
        assert not house.settings.home.exists()


class TestKilled:
    def test_a_backup_that_was_killed_is_none_and_serves_the_next(
        self, house: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target, put, left, were_put = tmp_path / "target", BackupStore.put, iter(range(60)), set()

        def dying(*arguments, **more):
            next(left)  # StopIteration at the end
            stored = put(*arguments, **more)
            were_put.update(part.name for part in stored[2])
            return stored

        with monkeypatch.context() as patch:
            patch.setattr(BackupStore, "put", dying)
            with pytest.raises((StopIteration, RuntimeError)):
                back_up(house.settings, target)
        with pytest.raises(UserError, match="there is no backup"):
            restore(house.settings, target)
        n_stored = len(objects(target))
        assert n_stored == len(were_put) > 20
        done = back_up(house.settings, target)
        assert done.n_new == len(objects(target)) - 1 - n_stored
        assert problems(target) == []

    def test_a_killed_restore_is_told_and_goes_on(
        self, house: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kshift_here: Kshift
    ) -> None:
        target = tmp_path / "target"
        first = back_up(house.settings, target).manifest
        before = house.query(GAMES)
        shutil.rmtree(house.settings.home)
        with monkeypatch.context() as patch:
            patch.setattr(Restore, "_point", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                restore(house.settings, target)
        half = next(Path(house.settings.lake_uri).rglob("*.parquet"))
        half.write_bytes(half.read_bytes()[:-9])
        for command in (["status"], ["maintain"], ["backup", str(tmp_path / "other")]):
            told = kshift_here(*command)
            assert (told.returncode, "was not finished" in told.stderr) == (2, True)
        restore(house.settings, target)
        assert house.query(GAMES) == before
        assert back_up(house.settings, target).n_new == 0
        assert first.tables


class TestForgetting:
    def test_old_backups_go_and_the_others_stay_whole(self, house: Lakehouse, tmp_path: Path) -> None:
        target, note = tmp_path / "target", house.settings.home / "alerts.jsonl"
        for day in (0, 3, 10):
            note.write_text(f"{day}\n")
            done = back_up(house.settings, target, 7 if day == 10 else None, NOON + timedelta(days=day))
        assert done.forgotten == ("20260301T120000000000Z",)
        assert BackupStore.open(str(target)).ids() == ["20260304T120000000000Z", "20260311T120000000000Z"]
        assert problems(target) == []
        texts = {zstandard.ZstdDecompressor().decompress(file.read_bytes()) for file in target.glob("objects/*/*.zst")}
        assert (b"0\n" in texts, b"3\n" in texts, b"10\n" in texts) == (False, True, True)

    def test_the_newest_stays_however_old_it_is(self, house: Lakehouse, tmp_path: Path) -> None:
        back_up(house.settings, tmp_path / "target", 1, NOON - timedelta(days=900))
        assert len(BackupStore.open(str(tmp_path / "target")).ids()) == 1
        assert problems(tmp_path / "target") == []

    def test_nothing_is_removed_where_a_manifest_cannot_be_read(self, house: Lakehouse, tmp_path: Path) -> None:
        target = tmp_path / "target"
        back_up(house.settings, target, now=NOON)
        (manifest,) = (target / "backups").iterdir()
        flip(manifest, 2)
        before = objects(target)
        with pytest.raises(Damaged, match=manifest.name):
            back_up(house.settings, target, 7, NOON + timedelta(days=1))
        assert set(before) <= set(objects(target))


class TestMoment:
    def test_tables_that_are_written_in_turns_are_of_one_moment(self, tmp_path: Path) -> None:
        settings = load_settings(home=tmp_path / "home")
        lake, schema, stop = Lake(uri=settings.lake_uri), pl.Schema({"n": pl.Int64}), threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                for table in ("a.first", "b.second"):
                    lake.append(table, pl.DataFrame({"n": [number]}, schema), schema)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            while lake.n_rows("b.second") < 3:
                stop.wait(0.01)
            made = [back_up(settings, tmp_path / "target").manifest for _ in range(6)]
        finally:
            stop.set()
            writer.join()
        shutil.rmtree(settings.home)
        for manifest in made:
            restore(settings, tmp_path / "target", manifest.id)
            rows = [lake.scan(table, schema).collect()["n"].to_list() for table in ("a.first", "b.second")]
            assert [len(one) for one in rows] == [max(one) for one in rows]
            assert len(rows[0]) - len(rows[1]) in (0, 1), "the second is never ahead, the first by one at most"
            shutil.rmtree(settings.home)
        assert len({tuple(manifest.tables.items()) for manifest in made}) > 1, "it was written all the time"

    def test_upkeep_removes_nothing_while_a_backup_is_made(self, house: Lakehouse) -> None:
        for _ in range(2):  # the first one's files are no snapshot's
            house.make("chess/games", "2024-01")
        work = upkeep(house.lake, house.snapshots, Retention(days=0))
        assert sum(one.removed for one in work.run(dry=True)) > 0
        with house.snapshots.removals():
            assert sum(one.removed for one in work.run()) == 0
            assert work.spares
        assert sum(one.removed for one in work.run()) > 0


class TestCommands:
    def test_the_way_back_in_words(self, house: Lakehouse, tmp_path: Path, kshift_here: Kshift) -> None:
        target = str(tmp_path / "target")
        told = kshift_here("backup", target, "--keep-days", "7")
        assert told.returncode == 0
        assert "holds 1 backups" in told.stdout
        told = kshift_here("restore", target)
        assert (told.returncode, "is not empty" in told.stderr) == (2, True)
        shutil.rmtree(house.settings.home)
        told = kshift_here("restore", target)
        assert told.returncode == 0, told.stderr
        assert "files of" in told.stdout
        told = kshift_here("verify", target)
        assert (told.returncode, "are whole" in told.stdout) == (0, True)

    def test_secrets_are_in_no_backup_and_named_after_a_restore(
        self, house: Lakehouse, tmp_path: Path, kshift_here: Kshift
    ) -> None:
        target = tmp_path / "target"
        (tmp_path / ".env").write_text(f"KSHIFT_LICHESS_TOKEN={SECRET}\nKSHIFT_ALERT_COMMAND=true {SECRET}\n")
        told = kshift_here("backup", str(target), KSHIFT_PLAYERS="amber,basil")
        assert told.returncode == 0, told.stderr
        for file in objects(target):
            content = file.read_bytes()
            if file.suffix == ".zst":
                content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
            assert SECRET.encode() not in content
        shutil.rmtree(house.settings.home)
        told = kshift_here("restore", str(target))
        assert "KSHIFT_LICHESS_TOKEN" in told.stdout
        written = (house.settings.home / "restored.env").read_text()
        assert "\nKSHIFT_PLAYERS=amber,basil\n" in written
        assert "# KSHIFT_ALERT_COMMAND was set" in written
        assert SECRET in (tmp_path / ".env").read_text(), "no .env was touched"

    @pytest.mark.parametrize("inside", ["home", "home/published/backups", "home/lake", "home/state/x", "home/dagster"])
    def test_a_target_within_what_is_backed_up_is_refused(
        self, house: Lakehouse, tmp_path: Path, kshift_here: Kshift, inside: str
    ) -> None:
        before = sorted(house.settings.home.rglob("*"))
        told = kshift_here("backup", str(tmp_path / inside))
        assert (told.returncode, "choose a folder elsewhere" in told.stderr) == (2, True)
        assert sorted(house.settings.home.rglob("*")) == before

    @pytest.mark.parametrize("command", ["restore", "verify"])
    @pytest.mark.parametrize("source", ["nowhere", "empty", "ftp://host/x"])
    def test_what_is_no_backup_is_told(self, tmp_path: Path, kshift_here: Kshift, command: str, source: str) -> None:
        (tmp_path / "empty").mkdir()
        told = kshift_here(command, source)
        assert told.returncode == 2
        assert told.stderr.startswith("kshift: ")
        assert not (tmp_path / "home").exists()

    def test_an_unknown_backup_is_told_with_those_there_are(
        self, house: Lakehouse, tmp_path: Path, kshift_here: Kshift
    ) -> None:
        done = back_up(house.settings, tmp_path / "target")
        shutil.rmtree(house.settings.home)
        told = kshift_here("restore", str(tmp_path / "target"), "--backup", "1999")
        assert (told.returncode, done.manifest.id in told.stderr) == (2, True)

    def test_two_backups_into_one_folder_do_not_meet(
        self, house: Lakehouse, tmp_path: Path, kshift_here: Kshift, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = []
        last = Backup._last

        def meanwhile(self: Backup, store: BackupStore):
            with monkeypatch.context() as patch:
                patch.setattr(Backup, "_last", last)
                told.append(kshift_here("backup", str(tmp_path / "target")))
            return last(self, store)

        monkeypatch.setattr(Backup, "_last", meanwhile)
        back_up(house.settings, tmp_path / "target")
        assert (told[0].returncode, "is under way" in told[0].stderr) == (2, True)
