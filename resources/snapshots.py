"""Published snapshots: an immutable DuckDB file whose views name explicit Parquet files, and a link that is swapped."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from filelock import FileLock, Timeout

from resources.durability import make_folder, sync, sync_tree
from resources.errors import UserError
from resources.object_store import let_read

CURRENT = "current"
DATABASE = "latest.duckdb"
CATALOG = "latest.json"
PINNED = "pinned"
# DuckDB 2 writes a format by default that DuckDB 1 cannot read.
STORAGE_VERSION = "v1.2.0"


@dataclass(frozen=True)
class Pin:
    """One version of a consumer table: the view's SQL, its texts, and the files and rows behind it."""

    name: str
    sql: str
    text: str
    columns: Mapping[str, str]
    descriptions: Mapping[str, str]
    files: Sequence[str]
    rows: int | None
    version: int | None


class Snapshots(dg.ConfigurableResource["Snapshots"]):
    """The folder of snapshots. Consumers read `latest.duckdb` and `latest.json`; both change in one rename.

    A reader of both resolves the link `current` once and opens both in there: a snapshot may be published between.
    """

    folder: str

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One publisher at a time, from pinning to the link: else the older of two pins could come last, and stay."""
        root = Path(self.folder)
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".turn"):
            self._sweep()
            yield

    @contextmanager
    def removals(self, seconds: float = -1) -> Iterator[bool]:
        """Held by who removes files of the lake or snapshots, and by a backup, for which they have to stay.

        Gives whether it is held: not if somebody else does, for longer than so many seconds; negative: no limit.
        """
        root = Path(self.folder)
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".removals", timeout=seconds)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove drafts and links of publishers that were killed: whoever has the turn is the only one at work."""
        root = Path(self.folder)
        for draft in (root / "snapshots").glob(".*"):
            shutil.rmtree(draft, ignore_errors=True)
        for link in root.glob(".*"):
            if link.is_symlink():
                link.unlink()

    def publish(
        self,
        pins: Sequence[Pin],
        audit: Callable[[duckdb.DuckDBPyConnection], None],
        now: datetime | None = None,
        macros: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Write a snapshot of the pins, let `audit` look at it, and make it the latest; returns its catalog.

        `macros` are statements that run behind the views: what consumers may call, and the constants for it. An
        exception of `audit` comes out, and the latest snapshot stays what it was.
        """
        time = now or datetime.now(UTC)
        root = Path(self.folder)
        snapshot_id = time.strftime("%Y%m%dT%H%M%S%fZ")
        draft = root / "snapshots" / f".{snapshot_id}.{os.getpid()}"
        make_folder(draft)
        try:
            _write_database(draft / DATABASE, pins, macros, snapshot_id, time)
            with duckdb.connect(str(draft / DATABASE), read_only=True) as connection:
                let_read(connection, _files(pins))
                audit(connection)
            catalog = _catalog(pins, snapshot_id, time)
            (draft / CATALOG).write_text(json.dumps(catalog, indent=1) + "\n")
            sync_tree(draft)
            draft.rename(root / "snapshots" / snapshot_id)
            sync(root / "snapshots")  # before the link names it
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        self.point_to(snapshot_id)
        return catalog

    def point_to(self, snapshot_id: str) -> None:
        """Make a snapshot the latest: also the way back to an older one. Readers see the one or the other."""
        root = Path(self.folder)
        if not (self.folder_of(snapshot_id) / DATABASE).exists():
            raise FileNotFoundError(f"there is no snapshot {snapshot_id} in {root / 'snapshots'}")
        _swap_link(root / CURRENT, f"snapshots/{snapshot_id}")
        for name in (DATABASE, CATALOG):
            if not (root / name).is_symlink():
                _swap_link(root / name, f"{CURRENT}/{name}")
        sync(root)

    def latest(self) -> dict[str, Any] | None:
        """The catalog of the latest snapshot; None before the first."""
        try:
            return dict(json.loads((Path(self.folder) / CATALOG).read_bytes()))
        except FileNotFoundError:
            return None

    def ids(self) -> list[str]:
        """All snapshots, oldest first."""
        return sorted(path.name for path in (Path(self.folder) / "snapshots").glob("[!.]*"))

    def find(self, text: str) -> str:
        """The snapshot that is meant by its id, by how that begins, or by `latest`. UserError if there is none."""
        ids, latest = self.ids(), self.latest()
        if latest and text == "latest":
            return str(latest["snapshot"])
        found = [one for one in ids if one.startswith(text)] if text else []
        if len(found) != 1:
            there = f"{len(ids)} there, newest {ids[-1]}" if ids else "nothing is published yet"
            what = "is how several snapshots begin" if found else "is no snapshot"
            raise UserError(f"{text!r} {what} ({there}): see `kshift snapshots`")
        return found[0]

    def catalog(self, snapshot_id: str) -> dict[str, Any]:
        """What a snapshot holds."""
        return dict(json.loads((self.folder_of(snapshot_id) / CATALOG).read_bytes()))

    def folder_of(self, snapshot_id: str) -> Path:
        """Where a snapshot lies: its database and its catalog."""
        return Path(self.folder) / "snapshots" / snapshot_id

    def pin(self, snapshot_id: str, reason: str = "") -> None:
        """Keep a snapshot for ever, with the reason: neither it nor the files that it names are ever removed."""
        folder = Path(self.folder) / PINNED
        make_folder(folder)
        fresh = folder / f".{snapshot_id}.{os.getpid()}"
        fresh.write_text(reason, encoding="utf-8")
        sync(fresh)
        fresh.replace(folder / snapshot_id)
        sync(folder)

    def unpin(self, snapshot_id: str) -> None:
        """Let a snapshot go the way of all others."""
        (Path(self.folder) / PINNED / snapshot_id).unlink(missing_ok=True)

    def pinned(self) -> dict[str, str]:
        """Snapshots that are kept for ever, with the reasons."""
        return {
            path.name: path.read_text(encoding="utf-8") for path in sorted((Path(self.folder) / PINNED).glob("[!.]*"))
        }


def _catalog(pins: Sequence[Pin], snapshot_id: str, time: datetime) -> dict[str, Any]:
    tables = {
        pin.name: {
            "version": pin.version,
            "rows": pin.rows,
            "description": pin.text,
            "schema": dict(pin.columns),
            "files": list(pin.files),
        }
        for pin in pins
    }
    return {"snapshot": snapshot_id, "published": time.isoformat(), "tables": tables}


def _write_database(path: Path, pins: Sequence[Pin], macros: Sequence[str], snapshot_id: str, time: datetime) -> None:
    with duckdb.connect() as connection:
        let_read(connection, _files(pins))
        connection.execute(f"ATTACH {_quoted(str(path))} AS snapshot (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("USE snapshot")
        connection.execute("CREATE TABLE snapshot.main.snapshot (id_snapshot VARCHAR, tm_published TIMESTAMPTZ)")
        connection.execute("INSERT INTO snapshot.main.snapshot VALUES (?, ?)", [snapshot_id, time])
        for pin in pins:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {pin.name.partition('.')[0]}")
            connection.execute(f"CREATE VIEW {pin.name} AS {pin.sql}")
            connection.execute(f"COMMENT ON VIEW {pin.name} IS {_quoted(pin.text)}")
            for column, text in pin.descriptions.items():
                connection.execute(f"COMMENT ON COLUMN {pin.name}.{column} IS {_quoted(text)}")
        for statement in macros:
            connection.execute(statement)
        connection.execute("USE memory")
        connection.execute("DETACH snapshot")


def _files(pins: Sequence[Pin]) -> list[str]:
    return [file for pin in pins for file in pin.files]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _swap_link(link: Path, target: str) -> None:
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
