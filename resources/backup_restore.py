"""Restoring a lakehouse from a backup, into empty folders, and looking whether backups are whole."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath

import obstore
import orjson
from obstore.store import ObjectStore

from resources.backup import OF_HOME, Tell, chunks_of, lake_store
from resources.backup_store import PART_BYTES, THREADS, BackupStore, Damaged, Entry, Manifest, Part, object_store
from resources.durability import make_folder, sync, sync_tree
from resources.errors import UserError
from resources.moved_snapshots import move_snapshots
from resources.postgres_dump import put_back
from resources.settings import UNFINISHED, Settings
from resources.snapshots import CURRENT

SETTINGS = "restored.env"
LISTED = 3


class Restore:
    """One run of `kshift restore`: a backup of a store into the places that the settings name."""

    def __init__(self, store: BackupStore, settings: Settings, tell: Tell) -> None:
        self._store, self._settings, self._tell = store, settings, tell
        self._marker = settings.home / UNFINISHED

    def run(self, backup_id: str | None = None) -> Manifest:
        """Restore a backup, the newest if none is named; the same once more goes on where a killed one was.

        Raises UserError where that cannot be, with nothing written, and Damaged with what is wrong with the backup:
        at once where something is missing, else where it is met.
        """
        manifest = self._chosen(backup_id)
        again = self._refuse_full(manifest)
        self._refuse_other_storage(manifest)
        self._store.look()
        if missing := sorted(_lacking(self._store, manifest)):
            raise Damaged("\n".join(missing))
        for entry in manifest.entries:
            _refuse_strange(entry)
        make_folder(self._settings.home)
        self._marker.write_bytes(orjson.dumps({"backup": manifest.id, "source": self._store.target}))
        sync(self._marker)
        sync(self._settings.home)
        self._put_files(manifest)
        if manifest.lake_uri.rstrip("/") != self._settings.lake_uri.rstrip("/"):
            move_snapshots(self._settings.published, manifest.lake_uri, self._settings.lake_uri)
        self._put_runs(manifest, again=again)
        self._write_settings(manifest)
        self._point(manifest)
        for folder in self._folders():
            if folder.is_dir():
                sync_tree(folder)
        self._marker.unlink()
        sync(self._settings.home)
        return manifest

    def _chosen(self, backup_id: str | None) -> Manifest:
        ids = self._store.ids()
        if not ids:
            raise UserError(f"there is no backup in {self._store.target}: `kshift backup` makes one")
        found = [one for one in ids if one.startswith(backup_id)] if backup_id else ids[-1:]
        if len(found) != 1:
            what = "is how several backups begin" if found else "is no backup"
            raise UserError(f"{backup_id!r} {what}: there are {', '.join(ids)}")
        return self._store.manifest(found[0])

    def _refuse_full(self, manifest: Manifest) -> bool:
        """Raise UserError unless there is nothing yet, or an unfinished restore of the same backup, which it tells."""
        settings = self._settings
        if self._marker.exists():
            begun = orjson.loads(self._marker.read_bytes())["backup"]
            if begun != manifest.id:
                raise UserError(
                    f"a restore of {begun} into {settings.home} was not finished: finish it with --backup {begun}, "
                    "or empty the folder"
                )
            return True
        for place in [settings.home / name for name in OF_HOME] + [settings.dagster_home]:
            if place.is_file() or any(_is_ours(file) for file in place.rglob("*")):
                raise UserError(f"{place} is not empty: restore into another KSHIFT_HOME, or move it away")
        lake = lake_store(settings)
        if lake and any(obstore.list(lake, chunk_size=1)):
            raise UserError(f"{settings.lake_uri} is not empty: restore into another KSHIFT_LAKE_URI, or move it away")
        return False

    def _refuse_other_storage(self, manifest: Manifest) -> None:
        in_postgres = any(entry.area == "postgres" for entry in manifest.entries)
        if in_postgres and not self._settings.dagster_postgres:
            raise UserError(
                "this backup holds Dagster's runs from Postgres: name an empty database in KSHIFT_DAGSTER_POSTGRES"
            )
        if self._settings.dagster_postgres and not in_postgres:
            raise UserError("this backup holds Dagster's runs as files: restore it without KSHIFT_DAGSTER_POSTGRES")

    def _put_files(self, manifest: Manifest) -> None:
        if "://" not in self._settings.lake_uri:
            make_folder(Path(self._settings.lake_uri))
        lake, folder = object_store(self._settings.lake_uri)
        files = [entry for entry in manifest.entries if entry.area != "postgres" and not entry.link]
        n_done = 0

        def put(entry: Entry) -> Entry:
            if entry.area == "lake" and folder is None:
                self._put_object(lake, entry)
            else:
                self._put_file((folder if entry.area == "lake" and folder else self._root(entry)) / entry.path, entry)
            return entry

        with ThreadPoolExecutor(THREADS) as threads:
            try:
                for entry in threads.map(put, files):
                    n_done += entry.n_bytes
                    self._tell(entry.path, n_done, manifest.n_bytes)
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise

    def _put_object(self, lake: ObjectStore, entry: Entry) -> None:
        with suppress(FileNotFoundError):
            if obstore.head(lake, entry.path)["size"] == entry.n_bytes:
                chunks = obstore.get(lake, entry.path).stream(min_chunk_size=PART_BYTES)
                if _digest(map(bytes, chunks)) == entry.sha256:
                    return
        with _named(entry):
            writer = obstore.open_writer(lake, entry.path)
            for chunk in self._store.contents(entry):
                writer.write(chunk)
            writer.close()  # without it there is no object

    def _put_file(self, file: Path, entry: Entry) -> None:
        if file.is_file() and file.stat().st_size == entry.n_bytes and _digest(chunks_of(file)) == entry.sha256:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with _named(entry), file.open("wb") as out:
            for chunk in self._store.contents(entry):
                out.write(chunk)

    def _put_runs(self, manifest: Manifest, *, again: bool) -> None:
        for entry in manifest.entries:
            if entry.area == "postgres" and self._settings.dagster_postgres:
                with _named(entry):
                    put_back(self._settings.dagster_postgres, self._store.contents(entry), again=again)

    def _point(self, manifest: Manifest) -> None:
        """The links, last of all that to the latest snapshot."""
        links = [entry for entry in manifest.entries if entry.link]
        for entry in sorted(links, key=lambda entry: entry.path.endswith(CURRENT)):
            file = self._root(entry) / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            file.symlink_to(entry.link)

    def _write_settings(self, manifest: Manifest) -> None:
        (self._settings.home / SETTINGS).write_text(settings_text(manifest), encoding="utf-8")

    def _root(self, entry: Entry) -> Path:
        return {"home": self._settings.home, "dagster": self._settings.dagster_home}[entry.area]

    def _folders(self) -> list[Path]:
        """What has to be on the disk."""
        settings = self._settings
        lake = [] if "://" in settings.lake_uri else [Path(settings.lake_uri)]
        return [settings.published, settings.state, settings.dagster_home, *lake]


def settings_text(manifest: Manifest) -> str:
    """The settings as they were, in the form of a `.env`, and the names of those that are not in a backup."""
    lines = [f"# Settings at the time of backup {manifest.id}: copy what you need to .env"]
    lines += [f"{name}={value}" for name, value in manifest.settings.items()]
    lines += [f"# {name} was set too, and is in no backup: set it anew" for name in manifest.secrets]
    return "\n".join(lines) + "\n"


def verify(store: BackupStore, tell: Tell) -> tuple[list[str], int]:
    """Read every byte of every backup: what is damaged, a line each, and how many backups there are."""
    store.look()
    manifests, problems = [], list[str]()
    ids = store.ids()
    if not ids:
        raise UserError(f"there is no backup in {store.target}: `kshift backup` makes one")
    for backup_id in ids:
        try:
            manifests.append(store.manifest(backup_id))
        except Damaged as error:
            problems.append(str(error))
    files = {
        (entry.sha256, entry.parts): entry for manifest in manifests for entry in manifest.entries if not entry.link
    }
    n_total, n_done = sum(entry.n_bytes for entry in files.values()), 0
    found = dict[str, list[str]]()

    def look(entry: Entry) -> tuple[Entry, str]:
        try:
            for _ in store.contents(entry):
                pass
        except Damaged as error:
            return entry, str(error)
        return entry, ""

    with ThreadPoolExecutor(THREADS) as threads:
        for entry, problem in threads.map(look, files.values()):
            n_done += entry.n_bytes
            tell(entry.path, n_done, n_total)
            if problem:
                found.setdefault(problem, []).append(entry.name)
    problems += [f"{problem} ({_some(names)})" for problem, names in sorted(found.items())]
    named = {part.name for entry in files.values() for part in entry.parts}
    problems += sorted(_rotten(store, named)) if len(manifests) == len(ids) else []
    return problems, len(ids)


def _rotten(store: BackupStore, named: set[str]) -> Iterator[str]:
    """Objects that no backup names, of one that was killed: the next one would take them for whole."""
    for name, size in store.present.items():
        if name not in named:
            try:
                store.read(Part(name, size))
            except Damaged as error:
                yield f"{error} (no backup needs it)"


def _lacking(store: BackupStore, manifest: Manifest) -> Iterator[str]:
    for entry in manifest.entries:
        for part in entry.parts:
            if store.present.get(part.name) != part.n_bytes:
                yield f"{part.name} is missing, or cut off ({entry.name})"


def _refuse_strange(entry: Entry) -> None:
    """Raise Damaged for a path that leads out of its folder: no backup of ours has one."""
    for path in (entry.path, entry.link):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise Damaged(f"{entry.name} would lie outside of its folder")


@contextmanager
def _named(entry: Entry) -> Iterator[None]:
    """Damage in the block is told with the file that it was met in."""
    try:
        yield
    except Damaged as error:
        raise Damaged(f"{error} ({entry.name}): the restore is not finished") from error


def _is_ours(file: Path) -> bool:
    """Whether a file would be lost, if another were put in its place; locks would not."""
    return not file.is_dir() and not file.name.startswith(".") and file.suffix != ".lock"


def _some(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if names[LISTED:] else "")


def _digest(chunks: Iterable[bytes]) -> str:
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
