"""Backups of a lakehouse, made while others write to it: incremental, compressed, with a checksum of every file."""

import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import obstore
import pyarrow as pa
from deltalake import DeltaTable
from obstore.store import ObjectStore
from pydantic import SecretStr

from resources.backup_cut import Cut, log_files, moment, path_of
from resources.backup_lock import locked
from resources.backup_store import PART_BYTES, THREADS, BackupStore, Damaged, Entry, Manifest, object_store
from resources.errors import UserError
from resources.lake import Lake
from resources.postgres_dump import FILE as DUMP
from resources.postgres_dump import Exported, exported
from resources.redaction import redact
from resources.settings import PREFIX, Settings
from resources.snapshots import CURRENT, Snapshots
from resources.sqlite_copies import BESIDE, SETTLED_SECONDS, copy_of, frozen, is_database, stamp

OF_HOME = ("published", "state", "alerts.jsonl")
"""What is backed up of the home, beside the lake and Dagster's folder; downloads can be fetched again."""
PACKED = (".parquet", ".zst", ".gz")
# It may carry a password among its arguments.
HIDDEN = ("alert_command",)

Tell = Callable[[str, int, int], None]
"""Told of progress: what is being stored, how many bytes are, and of how many."""


@dataclass(frozen=True)
class Done:
    """What a backup did."""

    manifest: Manifest
    n_new: int
    n_new_bytes: int
    n_kept: int
    """Backups that there are."""
    n_stored_bytes: int
    """Size of all that lies in the target."""
    forgotten: tuple[str, ...]
    n_freed_bytes: int


class Backup:
    """One run of `kshift backup`. `needed` gives files of the lake that no version of a table names, but others do."""

    def __init__(self, settings: Settings, needed: Callable[[], Collection[str]], tell: Tell) -> None:
        self._settings, self._needed, self._tell = settings, needed, tell
        self._snapshots = Snapshots(folder=str(settings.published))
        self._n_done = self._n_total = 0

    def run(self, target: str, keep_days: int | None = None, now: datetime | None = None) -> Done:
        """Back up to a folder or s3://…; then remove backups older than `keep_days`, if asked, but this one.

        Raises UserError for a target that cannot be, NeverStill, and Damaged where backups that are there cannot be
        read. Who is killed leaves no backup; what was stored serves the next one.
        """
        refuse_inside(target, self._settings)
        store, time = BackupStore.open(target, make=True), now or datetime.now(UTC)
        with locked(store), self._snapshots.removals():
            store.look()
            known = {entry.name: entry for entry in self._last(store) if _is_there(entry, store)}
            manifest = self._manifest(store, known, time)
            store.add(manifest)
            old = [one for one in store.ids() if keep_days is not None and _is_older(one, time, keep_days)]
            old = [one for one in old if one != manifest.id]
            _, n_freed = store.prune(old) if keep_days is not None else (0, 0)
            return Done(
                manifest,
                store.n_new,
                store.n_new_bytes,
                len(store.ids()),
                sum(store.present.values()),
                tuple(old),
                n_freed,
            )

    def _last(self, store: BackupStore) -> tuple[Entry, ...]:
        for backup_id in reversed(store.ids()):
            with suppress(Damaged, UserError):
                return store.manifest(backup_id).entries
        return ()

    def _manifest(self, store: BackupStore, known: Mapping[str, Entry], time: datetime) -> Manifest:
        settings = self._settings
        lake = lake_store(settings)
        with moment(lake, self._snapshots, self._freeze) as cut:
            entries = list(self._of_files(store, known, cut))
            if isinstance(cut.dagster, Exported):
                entries.append(_entry(store, "postgres", DUMP, cut.dagster.dump(), packed=True))
        if lake:
            entries += self._of_lake(store, known, cut, lake)
        given = {name: getattr(settings, name) for name in sorted(settings.model_fields_set - {"home"})}
        return Manifest(
            id=f"{time:%Y%m%dT%H%M%S%fZ}",
            home=str(settings.home),
            lake_uri=settings.lake_uri,
            tables=cut.tables,
            snapshot=cut.current,
            settings={_name(name): _text(value) for name, value in given.items() if not _is_secret(name, value)},
            secrets=[_name(name) for name, value in given.items() if _is_secret(name, value)],
            entries=tuple(sorted(entries, key=lambda entry: entry.name)),
        )

    def _freeze(self) -> AbstractContextManager[Any]:
        if self._settings.dagster_postgres:
            return exported(self._settings.dagster_postgres)
        return frozen(shared_databases(self._settings))

    def _of_lake(self, store: BackupStore, known: Mapping[str, Entry], cut: Cut, lake: ObjectStore) -> Iterator[Entry]:
        """Each table at its version: its data files, its log so far, and what snapshots and dumps under way need."""
        tables = Lake(uri=self._settings.lake_uri)
        root = f"{tables.uri.rstrip('/')}/"
        logs = {
            path: at for table, version in cut.tables.items() for path, at in log_files(lake, table, version).items()
        }
        files = {
            f"{path_of(table)}/{path}": size
            for table, version in cut.tables.items()
            for path, size in _data_files(tables.path(table), version)
        }
        others = {file.removeprefix(root) for file in self._needed() if file.startswith(root)} - files.keys()
        self._n_total += sum(files.values()) + sum(at["size"] for at in logs.values())

        def store_one(path: str) -> Entry | None:
            look = _look_of(logs[path]) if path in logs else "immutable"
            entry = known.get(f"lake/{path}")
            if entry is None or not look or entry.stamp != look:
                try:
                    chunks = obstore.get(lake, path).stream(min_chunk_size=PART_BYTES)
                    entry = _entry(store, "lake", path, map(bytes, chunks), packed=_is_text(path), look=look)
                except FileNotFoundError:
                    if path in others:  # of a dump that was given up
                        return None
                    raise
            self._progress(path, entry.n_bytes)
            return entry

        with ThreadPoolExecutor(THREADS) as threads:
            yield from filter(None, threads.map(store_one, sorted({*files, *logs, *others})))

    def _of_files(self, store: BackupStore, known: Mapping[str, Entry], cut: Cut) -> Iterator[Entry]:
        """The home and Dagster's folder: links, databases as one moment has them, and everything else."""
        settings = self._settings
        shared = cut.dagster if isinstance(cut.dagster, dict) else {}
        with tempfile.TemporaryDirectory(prefix="kshift-backup-") as folder:
            for area, root, file in files_of(settings):
                path = file.relative_to(root).as_posix()
                if area == "home" and not _is_published(path, cut):
                    continue
                if file.is_symlink():
                    yield Entry(area, path, link=_link(path, file, cut))
                    continue
                try:
                    look = "" if file in shared else stamp(file)
                    entry = known.get(f"{area}/{path}")
                    if entry is None or not look or entry.stamp != look:
                        whole = file
                        if is_database(file):
                            whole = copy_of(shared.get(file, file), Path(folder) / "copy.sqlite")
                        entry = _entry(store, area, path, chunks_of(whole), packed=_is_text(path), look=look)
                        (Path(folder) / "copy.sqlite").unlink(missing_ok=True)
                except FileNotFoundError:  # a log that was purged meanwhile
                    continue
                self._n_total += entry.n_bytes
                self._progress(path, entry.n_bytes)
                yield entry

    def _progress(self, path: str, n_bytes: int) -> None:
        self._n_done += n_bytes
        self._tell(path, self._n_done, self._n_total)


def refuse_inside(target: str, settings: Settings) -> None:
    """Raise UserError if the target lies in what is backed up: who wipes the one would wipe the other."""
    if "://" in target:
        inside = f"{target.rstrip('/')}/".startswith(f"{settings.lake_uri.rstrip('/')}/")
    else:
        folder = Path(target).expanduser().resolve()
        places = [settings.published, settings.state, settings.dagster_home]
        places += [] if "://" in settings.lake_uri else [Path(settings.lake_uri)]
        inside = any(folder == place.resolve() or place.resolve() in folder.parents for place in places)
        inside = inside or folder == settings.home.resolve()
    if inside:
        raise UserError(f"{target} lies in what is to be backed up: choose a folder elsewhere, on another disk at best")


def lake_store(settings: Settings) -> ObjectStore | None:
    """The lake as a store; None if it is a folder that is not there."""
    if "://" not in settings.lake_uri and not Path(settings.lake_uri).is_dir():
        return None
    return object_store(settings.lake_uri)[0]


def shared_databases(settings: Settings) -> list[Path]:
    """Dagster's databases that all processes share. First the one in which every event is written down."""
    folder = settings.dagster_home
    files = [folder / "history/runs/index.db", folder / "history/runs.db", folder / "schedules/schedules.db"]
    return [file for file in files if file.exists()]


def files_of(settings: Settings) -> Iterator[tuple[str, Path, Path]]:
    """Area, its root and the file, for all that is backed up beside the lake; links are files."""
    aside = sorted(file.name for file in settings.home.glob("alerts-*.jsonl"))
    for name in (*OF_HOME, *aside):
        yield from (("home", settings.home, file) for file in _walk(settings.home / name))
    yield from (("dagster", settings.dagster_home, file) for file in _walk(settings.dagster_home))


def _walk(root: Path) -> Iterator[Path]:
    if root.is_file() or root.is_symlink():
        yield root
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not name.startswith(".") and not name.endswith((*BESIDE, ".lock", ".new")):
                yield Path(folder) / name


def _is_published(path: str, cut: Cut) -> bool:
    """Whether a file is of the moment: a snapshot that came later may name files that came later."""
    _, _, snapshot = path.partition("published/snapshots/")
    return not snapshot or snapshot.partition("/")[0] in cut.snapshots


def _link(path: str, file: Path, cut: Cut) -> str:
    return f"snapshots/{cut.current}" if path == f"published/{CURRENT}" else str(file.readlink())


def _data_files(table: str, version: int) -> list[tuple[str, int]]:
    actions = DeltaTable(table, version=version).get_add_actions(flatten=True)
    return [(unquote(one["path"]), one["size_bytes"]) for one in pa.table(actions).to_pylist()]


def _look_of(found: Mapping[str, Any]) -> str:
    """As `stamp`, for what a store lists."""
    if found["last_modified"] > datetime.now(UTC) - timedelta(seconds=SETTLED_SECONDS):
        return ""
    return f"{found['e_tag']}-{found['size']}"


def _entry(store: BackupStore, area: str, path: str, chunks: Iterable[bytes], *, packed: bool, look: str = "") -> Entry:
    size, digest, parts = store.put(chunks, packed=packed)
    return Entry(area, path, size, digest, parts, look)


def _is_there(entry: Entry, store: BackupStore) -> bool:
    return all(store.present.get(part.name) == part.n_bytes for part in entry.parts)


def _is_text(path: str) -> bool:
    return not path.endswith(PACKED)


def _is_older(backup_id: str, now: datetime, days: int) -> bool:
    return datetime.strptime(backup_id, "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC) < now - timedelta(days=days)


def chunks_of(file: Path) -> Iterator[bytes]:
    """A file piece by piece."""
    with file.open("rb") as stream:
        while chunk := stream.read(PART_BYTES):
            yield chunk


def _name(field: str) -> str:
    return f"{PREFIX}{field.upper()}"


def _is_secret(name: str, value: object) -> bool:
    return name in HIDDEN or isinstance(value, SecretStr)


def _text(value: object) -> str:
    return redact(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
