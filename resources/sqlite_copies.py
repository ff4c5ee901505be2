"""Copies of SQLite databases while others write to them, and several of them as they were at one moment."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

HEAD = b"SQLite format 3\0"
WAIT_SECONDS = 30.0
BESIDE = ("-wal", "-shm", "-journal")
"""Ends of the names of files that belong to a database and are in its copy."""
# A change within the same tick of the file system's clock would not show in the file's time.
SETTLED_SECONDS = 60.0


def is_database(file: Path) -> bool:
    """Whether a file is a SQLite database."""
    with file.open("rb") as stream:
        return stream.read(len(HEAD)) == HEAD


@contextmanager
def frozen(files: Sequence[Path]) -> Iterator[dict[Path, sqlite3.Connection]]:
    """Connections that see the databases as they were at one moment; those that write wait for milliseconds at most.

    The first of the files is kept from being written until all are open.
    """
    with ExitStack() as stack:
        if not files:
            yield {}
            return
        first = stack.enter_context(closing(_opened(files[0])))
        first.execute("BEGIN IMMEDIATE")
        connections = {file: stack.enter_context(closing(_opened(file))) for file in files}
        for connection in connections.values():
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        first.execute("ROLLBACK")
        yield connections


def copy_of(source: sqlite3.Connection | Path, to: Path) -> Path:
    """Write a database, as one moment has it, into a new file."""
    with ExitStack() as stack:
        if isinstance(source, Path):
            source = stack.enter_context(closing(_opened(source)))
        source.backup(stack.enter_context(closing(sqlite3.connect(to))))
    return to


def stamp(file: Path) -> str:
    """How a file looks: the same later means that it did not change. Empty if a change could go unseen."""
    info = file.stat()
    if info.st_mtime > time.time() - SETTLED_SECONDS or any(
        beside.exists() and beside.stat().st_size for beside in (file.with_name(file.name + end) for end in BESIDE)
    ):
        return ""
    return f"{info.st_ino}-{info.st_mtime_ns}-{info.st_size}"


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=WAIT_SECONDS, isolation_level=None)
