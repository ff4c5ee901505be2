"""Upkeep of the lake: small files are merged, files that nothing needs are removed, and logs get a checkpoint."""

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
from deltalake import DeltaTable

from resources.durability import sync_commits
from resources.lake import Lake
from resources.parts import GROUP_ROWS, PARTITION, file_system

LOG = "_delta_log"
# So many files of less than a row group are worth the merging of their month.
SMALL_FILES = 8


@dataclass(frozen=True)
class Upkeep:
    """What was done for a table, or would be: merged months (`""`: a table that is not split), and removed files."""

    table: str
    files_before: int
    files_after: int
    merged: tuple[str, ...]
    removed: int
    freed_bytes: int
    rows: int = 0
    """Rows that nothing needs any more, and that are removed."""


class Maintenance:
    """Keeps the tables of a lake in shape while others read and write them.

    `keep` gives the files that something outside the tables' logs needs; it is asked after the candidates for removal
    are known, so that what is published meanwhile is safe. `removals` keeps a backup out, or is kept out by it. Tables
    that are `outdated` go as a whole, and `chores` are done first. Files that no version names any more go once they
    were replaced, or written, longer than `grace` ago. Entries of the log stay: the notes of commits stand in them.
    """

    def __init__(  # noqa: PLR0913  # all but the first three have a usual value
        self,
        lake: Lake,
        grace: timedelta,
        keep: Callable[[], Collection[str]],
        *,
        unmerged: Collection[str] = (),
        removals: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True),  # noqa: FBT003  # what it gives
        outdated: Callable[[str], bool] = lambda _: False,
        chores: Collection[Callable[[bool], Iterable[Upkeep]]] = (),
    ) -> None:
        self._outdated, self._chores = outdated, chores
        self._lake, self._grace, self._keep, self._unmerged = lake, grace, keep, unmerged
        self._removals = removals
        self.spares = False
        """Whether nothing may be removed, since a backup is under way."""

    def tables(self) -> list[str]:
        """Every table of the lake."""
        files = file_system(self._lake.uri)
        folders = [schema.path for schema in _listed(files, "") if schema.type == pafs.FileType.Directory]
        tables = [table.path for folder in folders for table in _listed(files, folder)]
        return sorted(
            ".".join(path.split("/")[-2:])
            for path in tables
            if files.get_file_info(f"{path}/{LOG}").type == pafs.FileType.Directory
        )

    def run(self, *, dry: bool = False) -> Iterator[Upkeep]:
        """Keep up table by table; `dry` tells what would be done."""
        with self._removals() as may_remove:
            self.spares = not may_remove
            for chore in () if self.spares else self._chores:
                yield from chore(dry)
            for table in self.tables():
                if self._is_gone(table):
                    yield self._drop(table, dry=dry)
                else:
                    yield self._keep_up(table, dry=dry)

    def _keep_up(self, table: str, *, dry: bool) -> Upkeep:
        before = self._lake.files(table)
        months = [] if table in self._unmerged else self._mergeable(table)
        # First, so that what is merged now stays for its time.
        removed, freed = self._clean(table, dry=dry)
        if dry:
            merged = months
            after = len(before) - sum(len(self._lake.files(table, month)) - 1 for month in months)
        else:
            merged = [month for month in months if self._lake.compact(table, month)]
            self._checkpoint(table)
            after = len(self._lake.files(table))
        return Upkeep(table, len(before), after, tuple(month or "" for month in merged), removed, freed)

    def _is_gone(self, table: str) -> bool:
        """Whether nothing reads a table any more, for so long that an older version of the code has ended too."""
        if self.spares or not self._outdated(table):
            return False
        files = file_system(self._lake.path(table))
        log = files.get_file_info(pafs.FileSelector(LOG))
        return all(one.mtime and one.mtime <= datetime.now(UTC) - self._grace for one in log)

    def _drop(self, table: str, *, dry: bool) -> Upkeep:
        """Remove a whole table, first its log from the newest entry on: what is left is always a table, or none."""
        files = file_system(self._lake.path(table))
        found = [
            one for one in files.get_file_info(pafs.FileSelector("", recursive=True)) if one.type == pafs.FileType.File
        ]
        if not dry:
            for one in sorted(found, key=lambda one: (one.path.startswith(LOG), one.path), reverse=True):
                files.delete_file(one.path)
            if "://" not in self._lake.uri:
                shutil.rmtree(self._lake.path(table))
        return Upkeep(table, len(found), 0, (), len(found), sum(one.size for one in found))

    def _mergeable(self, table: str) -> list[str | None]:
        actions = pa.table(DeltaTable(self._lake.path(table)).get_add_actions(flatten=True)).to_pylist()
        small = Counter(
            action.get(f"partition.{PARTITION}") for action in actions if (action["num_records"] or 0) < GROUP_ROWS
        )
        return sorted(
            (month for month, number in small.items() if number >= SMALL_FILES), key=lambda month: month or ""
        )

    def _clean(self, table: str, *, dry: bool) -> tuple[int, int]:
        if self.spares:
            return 0, 0
        path = self._lake.path(table)
        hours = self._grace // timedelta(hours=1)
        # Replaced files by the time of the commit that did it, files of no commit by their own.
        unneeded = DeltaTable(path).vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
        kept, files = set(self._keep()), file_system(path)
        number = size = 0
        for info in files.get_file_info([one for one in unneeded if f"{path}/{one}" not in kept]):
            if info.type != pafs.FileType.File or info.mtime > datetime.now(UTC) - self._grace:
                continue
            number, size = number + 1, size + info.size
            if not dry:
                files.delete_file(info.path)
        return number, size

    def _checkpoint(self, table: str) -> None:
        path = self._lake.path(table)
        delta = DeltaTable(path)
        name = f"{LOG}/{delta.version():020d}.checkpoint.parquet"
        if file_system(path).get_file_info(name).type == pafs.FileType.NotFound:
            delta.create_checkpoint()
            if "://" not in path:
                sync_commits(Path(path), delta.version() - 1, delta.version())


def _listed(files: pafs.FileSystem, folder: str) -> list[pafs.FileInfo]:
    return list(files.get_file_info(pafs.FileSelector(folder, allow_not_found=True)))
