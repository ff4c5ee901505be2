"""Backups into an object store, of a lake in an object store, and of Dagster's runs in Postgres."""

import os
from contextlib import closing
from pathlib import Path

import obstore
import polars as pl
import psycopg2
import pytest
from dagster import DagsterInstance

import resources.backup_lock
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.ops.maintenance import needed_files
from lakehouse import Lakehouse, pgn
from resources.backup import Backup
from resources.backup_lock import locked
from resources.backup_restore import Restore, verify
from resources.backup_store import BackupStore
from resources.errors import UserError
from resources.lake import Lake
from resources.settings import Settings, load_settings
from resources.snapshots import Snapshots
from serving.home import prepare

SCHEMA = pl.Schema({"n": pl.Int64, "dt_month": pl.String})


@pytest.fixture(autouse=True)
def _reach(object_store: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in object_store.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    return f"s3://lake/{tmp_path.name}"


def quiet(*_: object) -> None:
    """Progress that nobody looks at."""


def back_up(settings: Settings, target: str):
    lake, snapshots = Lake(uri=settings.lake_uri), Snapshots(folder=str(settings.published))
    return Backup(settings, lambda: needed_files(lake, snapshots), quiet).run(target)


def filled(settings: Settings) -> Lake:
    lake = Lake(uri=settings.lake_uri)
    for number in range(3):
        month = f"2024-0{number % 2 + 1}"
        lake.append("a.table", pl.DataFrame({"n": [number], "dt_month": [month]}, SCHEMA), SCHEMA)
    return lake


def numbers(lake: Lake) -> list[int]:
    return sorted(lake.scan("a.table", SCHEMA).collect()["n"].to_list())


def test_a_lake_in_an_object_store_comes_back_in_another_place(bucket: str, tmp_path: Path) -> None:
    lake = filled(settings := load_settings(home=tmp_path / "home", lake_uri=f"{bucket}/lake"))
    back_up(settings, f"{bucket}/backups")
    lake.append("a.table", pl.DataFrame({"n": [9], "dt_month": ["2024-01"]}, SCHEMA), SCHEMA)
    assert back_up(settings, f"{bucket}/backups").n_new == 2, "a file and an entry of the log"
    store = BackupStore.open(f"{bucket}/backups")
    assert verify(store, quiet) == ([], 2)
    with pytest.raises(UserError, match="is not empty"):
        Restore(store, settings, quiet).run()
    for uri in (f"{bucket}/other", ""):
        moved = load_settings(home=tmp_path / f"home{len(uri)}", lake_uri=uri)
        Restore(store, moved, quiet).run()
        assert numbers(Lake(uri=moved.lake_uri)) == [0, 1, 2, 9]
        Lake(uri=moved.lake_uri).append("a.table", pl.DataFrame({"n": [3], "dt_month": ["2024-03"]}, SCHEMA), SCHEMA)


def test_a_flipped_byte_in_an_object_store_is_found(bucket: str, tmp_path: Path) -> None:
    filled(settings := load_settings(home=tmp_path / "home", lake_uri=str(tmp_path / "lake")))
    back_up(settings, bucket)
    store = BackupStore.open(bucket)
    path = next(one["path"] for batch in obstore.list(store.store, "objects") for one in batch)
    content = bytearray(bytes(obstore.get(store.store, path).bytes()))
    content[-1] ^= 1
    obstore.put(store.store, path, bytes(content))
    (problem,) = verify(store, quiet)[0]
    assert path in problem


def test_a_lease_keeps_others_out_until_it_runs_out(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BackupStore.open(bucket)
    with locked(store), pytest.raises(UserError, match="is under way"), locked(BackupStore.open(bucket)):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(resources.backup_lock, "LEASE_SECONDS", -1.0)
        resources.backup_lock._take(store, "who was killed")
    with locked(store):
        pass
    with locked(store):
        pass


def test_runs_in_postgres_come_back(
    postgres: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = postgres.rpartition("/")[0]
    with closing(psycopg2.connect(postgres)) as connection:
        connection.autocommit = True
        for name in ("before", "after"):
            connection.cursor().execute(f"CREATE DATABASE {name}")
    runs = {}
    for name in ("before", "after"):
        monkeypatch.setattr(os, "environ", os.environ.copy())
        settings = load_settings(home=tmp_path / name, dagster_postgres=f"{server}/{name}")
        if name == "before":
            prepare(settings)
            del os.environ["DAGSTER_HOME"], os.environ["KSHIFT_DAGSTER_POSTGRES"]
            monkeypatch.setenv("KSHIFT_DAGSTER_POSTGRES", settings.dagster_postgres.get_secret_value())
            with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
                house = Lakehouse(tmp_path / "games", instance, [])
                (tmp_path / "games").mkdir()
                house.write_dump("2024-01", pgn("aaaaaaa1"))
                assert all(one.succeeded for one in house.make("lichess/dump_games", "2024-01"))
            filled(settings)
            back_up(settings, bucket)
            monkeypatch.delenv("KSHIFT_DAGSTER_POSTGRES", raising=False)
            with pytest.raises(UserError, match="name an empty database"):
                Restore(BackupStore.open(bucket), load_settings(home=tmp_path / "files"), quiet).run()
        else:
            Restore(BackupStore.open(bucket), settings, quiet).run()
        monkeypatch.setenv("KSHIFT_DAGSTER_POSTGRES", settings.dagster_postgres.get_secret_value())
        with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            runs[name] = [(run.run_id, run.status.value) for run in instance.get_runs()]
            assert instance.fetch_materializations(DUMP_GAMES.key, limit=1).records
    assert runs["after"] == runs["before"]
    assert runs["before"]
