"""One moment of a lakehouse while others write to it: a version of every table, the snapshots, and Dagster's runs.

A crash at that moment would have left the same. No table is ahead of another, so no cursor is ahead of its games, and
Dagster tells of nothing that is not there: what comes next heals it as it heals a crash.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore

from resources.snapshots import CURRENT, Snapshots

LOG = "_delta_log"
LONGEST_SECONDS = 600.0
"""How long to look for a moment in which nobody commits."""
THREADS = 16
_ENTRY = re.compile(r"[0-9]{20}\.json")
_OF_VERSION = re.compile(r"([0-9]{20})\.(?:json|checkpoint.*\.parquet)")


class NeverStill(Exception):
    """Somebody committed whenever we looked."""


@dataclass(frozen=True)
class Cut:
    """What there was at one moment."""

    tables: dict[str, int]
    """Table → version."""
    snapshots: tuple[str, ...]
    current: str
    """The latest snapshot; empty if there is none."""
    dagster: Any = field(default=None, compare=False)
    """What sees Dagster's storage as that moment had it."""


@contextmanager
def moment(
    lake: ObjectStore | None, snapshots: Snapshots, freeze: Callable[[], AbstractContextManager[Any]]
) -> Iterator[Cut]:
    """The lakehouse as it is now, until the block ends: nothing was committed while we looked at all of it.

    `freeze` makes Dagster's storage as it is at its call visible, until that block ends.

    Raises NeverStill if there was no such moment for ten minutes.
    """
    deadline = time.monotonic() + LONGEST_SECONDS
    before = _look(lake, snapshots, {})
    while True:
        with freeze() as dagster:
            now = _look(lake, snapshots, before.tables)
            if now == before:
                yield Cut(now.tables, now.snapshots, now.current, dagster)
                return
        if time.monotonic() > deadline:
            raise NeverStill("somebody committed whenever we looked: back up again when less is going on")
        before = now
        time.sleep(random.uniform(0, 0.1))  # noqa: S311  # a pause, no secret


def log_files(lake: ObjectStore, table: str, version: int) -> dict[str, Any]:
    """Path → what the store says of each file of a table's log up to a version."""
    found = {}
    pointer = None
    for entry in _listed(lake, f"{path_of(table)}/{LOG}"):
        name = entry["path"].rpartition("/")[2]
        match = _OF_VERSION.fullmatch(name)
        if match and int(match[1]) <= version:
            found[entry["path"]] = entry
        elif name == "_last_checkpoint":
            pointer = entry
    if pointer and json.loads(bytes(obstore.get(lake, pointer["path"]).bytes()))["version"] <= version:
        found[pointer["path"]] = pointer
    return found


def path_of(table: str) -> str:
    """Where a table lies below the lake's root."""
    return table.replace(".", "/", 1)


def _look(lake: ObjectStore | None, snapshots: Snapshots, known: Mapping[str, int]) -> Cut:
    link = Path(snapshots.folder) / CURRENT
    current = link.readlink().name if link.is_symlink() else ""
    return Cut(_versions(lake, known) if lake else {}, tuple(snapshots.ids()), current)


def _versions(lake: ObjectStore, known: Mapping[str, int]) -> dict[str, int]:
    """Table → newest version. The logs are read on from the versions that are known."""
    schemas = obstore.list_with_delimiter(lake)["common_prefixes"]
    tables = [table for schema in schemas for table in obstore.list_with_delimiter(lake, schema)["common_prefixes"]]

    def newest(path: str) -> int:
        table = path.replace("/", ".", 1)
        begin = known.get(table, -1)
        after = f"{path}/{LOG}/{begin:020d}.json" if begin >= 0 else None
        names = (entry["path"].rpartition("/")[2] for entry in _listed(lake, f"{path}/{LOG}", after))
        return max((int(name[:20]) for name in names if _ENTRY.fullmatch(name)), default=begin)

    with ThreadPoolExecutor(THREADS) as threads:
        found = dict(zip(tables, threads.map(newest, tables), strict=True))
    return {path.replace("/", ".", 1): version for path, version in sorted(found.items()) if version >= 0}


def _listed(store: ObjectStore, folder: str, after: str | None = None) -> Iterator[Mapping[str, Any]]:
    for batch in obstore.list(store, folder, offset=after, chunk_size=1_000):
        yield from batch
