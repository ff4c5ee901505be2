"""Tables that are looked at again and again: what their logs say, read on from where the last look ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from resources.lake import Lake
from resources.parts import PARTITION

REOPEN_SECONDS = 600.0
"""After so long a table's log is read from its beginning: the table may have been put back from a copy meanwhile."""


@dataclass(frozen=True)
class File:
    """A file of a version: its month, if the table is split, its rows and its bytes."""

    month: str | None
    n_rows: int
    n_bytes: int


@dataclass(frozen=True)
class Content:
    """What a version of a table consists of, by the files' full paths."""

    version: int
    files: Mapping[str, File]

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return sum(file.n_rows for file in self.files.values())

    @property
    def n_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.n_bytes for file in self.files.values())

    def by_month(self) -> dict[str | None, list[str]]:
        """Month → files, sorted."""
        found: dict[str | None, list[str]] = {}
        for path, file in sorted(self.files.items()):
            found.setdefault(file.month, []).append(path)
        return found


@dataclass
class _Known:
    delta: DeltaTable
    opened: float
    content: Content | None = None


class TableLogs:
    """The newest versions of a lake's tables; a look costs what was committed since the one before.

    Several threads may look at the same time: they take turns.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._known: dict[str, _Known] = {}
        self._turn = Lock()

    def look(self, table: str) -> Content | None:
        """What the newest version of a table consists of; None if there is no such table."""
        with self._turn:
            return self._look(table)

    def _look(self, table: str) -> Content | None:
        known = self._known.get(table)
        try:
            if known is None or time.monotonic() - known.opened > REOPEN_SECONDS:
                known = _Known(DeltaTable(self.lake.path(table)), time.monotonic())
            else:
                known.delta.update_incremental()
        except TableNotFoundError:
            self._known.pop(table, None)
            return None
        except Exception:
            self._known.pop(table, None)  # the next look begins anew
            raise
        self._known[table] = known
        if known.content is None or known.content.version != known.delta.version():
            known.content = Content(known.delta.version(), self._files(table, known.delta))
        return known.content

    def _files(self, table: str, delta: DeltaTable) -> dict[str, File]:
        root = self.lake.path(table)
        return {
            f"{root}/{unquote(one['path'])}": File(
                one.get(f"partition.{PARTITION}"), one["num_records"] or 0, one["size_bytes"]
            )
            for one in pa.table(delta.get_add_actions(flatten=True)).to_pylist()
        }
