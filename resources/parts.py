"""The Parquet files of a commit to come: written while the frames arrive, and on the disk before anybody names them."""

import contextlib
import json
import re
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

from resources.durability import sync
from resources.memory import give_back_memory

PARTITION = "dt_month"
# A row group is what a writer and a reader hold at least, twice at times; 20,000 games with their lists take 32 MB.
GROUP_ROWS, GROUP_ROWS_WITH_LISTS = 50_000, 20_000
# Columns by which a reader looks for few rows among many: a Bloom filter tells which row groups cannot have them.
_FILTERED = "id_user"
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass
class _Part:
    """A file that is being written: what it is called, and the frames that wait for a full row group."""

    path: str
    stream: pa.NativeFile
    writer: pq.ParquetWriter | None = None
    n_rows: int = 0
    waiting: list[pl.DataFrame] = field(default_factory=list)


class Parts:
    """Writes frames into new files below a table's folder, one file for each month that they hold.

    delta-rs could do it, but it takes frames faster than it writes them and keeps them all, it changes their order,
    and it names a file in the log before the file is on the disk.
    """

    def __init__(self, root: str, schema: pl.Schema, month: str | None, name: str = "part") -> None:
        """`month` is the only one that may come, None for any; files are called `name` and something unique."""
        self.n_rows = 0
        self.synced: list[Path] = []
        self._schema, self._month, self._name = schema, month, name
        self._group_rows = group_rows(schema)
        self._root = None if "://" in root else Path(root)
        self._files = file_system(root)
        self._parts: dict[str | None, _Part] = {}
        self._waiting = 0
        # One thread packs a row group while the caller makes the rows of the next.
        self._thread = ThreadPoolExecutor(1, "parts")
        self._packed: Future[None] | None = None

    @property
    def months(self) -> list[str]:
        """The months that have a file."""
        return sorted(month for month in self._parts if month)

    def write(self, frames: Iterable[pl.DataFrame]) -> list[AddAction]:
        """Write all frames; returns what a commit says of the files. If that fails, they are removed.

        Memory holds one frame, the rows that wait for a full row group, and the group that is being packed.
        """
        try:
            for frame in frames:
                self._take(frame.select(self._schema.names()).cast(self._schema))
            return [self._finish(month, part) for month, part in self._parts.items()]
        except BaseException:
            self.discard()
            raise
        finally:
            self._thread.shutdown()
            if self.n_rows >= self._group_rows:
                give_back_memory()

    def _take(self, frame: pl.DataFrame) -> None:
        self.n_rows += frame.height
        for month, rows in _by_month(frame):
            if self._month and month != self._month:
                raise ValueError(f"a row of {month} does not belong into {self._month}")
            if month not in self._parts:
                self._parts[month] = self._new(month)
            self._parts[month].waiting.append(rows)
            self._waiting += rows.height
        while self._waiting >= self._group_rows:
            self._flush(max(self._parts.values(), key=lambda part: sum(one.height for one in part.waiting)))

    def _new(self, month: str | None) -> _Part:
        folder = f"{PARTITION}={month}/" if month else ""
        if folder:
            self._files.create_dir(folder)
        path = f"{folder}{self._name}-{uuid.uuid4()}.zstd.parquet"
        return _Part(path, self._files.open_output_stream(path))

    def _writer(self, stream: pa.NativeFile, n_rows: int) -> pq.ParquetWriter:
        """A writer of a file whose first row group has so many rows; a full one has filters by user."""
        schema = arrow_schema(pl.Schema({name: kind for name, kind in self._schema.items() if name != PARTITION}))
        by_user = [name for name in schema.names if name.startswith(_FILTERED) and n_rows >= self._group_rows]
        return pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            compression_level=3,
            store_schema=False,
            bloom_filter_options={name: {"ndv": self._group_rows, "fpp": 0.01} for name in by_user} or None,
        )

    def _flush(self, part: _Part, *, is_last: bool = False) -> None:
        """Pack the rows that wait, whole row groups if there are any: the rest waits on."""
        waiting = pl.concat(part.waiting)
        n_whole = 0 if is_last else waiting.height // self._group_rows * self._group_rows
        rows, rest = waiting[: n_whole or waiting.height], waiting[n_whole or waiting.height :]
        part.waiting = [rest] if rest.height else []
        part.n_rows += rows.height
        self._waiting -= rows.height
        self._wait()
        part.writer = part.writer or self._writer(part.stream, rows.height)
        self._packed = self._thread.submit(_pack, part.writer, rows, self._group_rows)

    def _wait(self) -> None:
        """Wait until nothing is being packed; raises what went wrong with it."""
        packed, self._packed = self._packed, None
        if packed:
            packed.result()

    def _finish(self, month: str | None, part: _Part) -> AddAction:
        if part.waiting:
            self._flush(part, is_last=True)
        self._wait()
        if part.writer:
            part.writer.close()
        part.stream.close()
        if self._root:
            file = self._root / part.path
            sync(file)
            sync(file.parent)
            sync(self._root)
            self.synced.append(file)
        size = self._files.get_file_info(part.path).size
        return add_action(part.path, size, month, part.n_rows)

    def discard(self) -> None:
        """Remove the files: no commit names them."""
        self._thread.shutdown()  # a group that is being packed keeps its file open
        for part in self._parts.values():
            with contextlib.suppress(OSError, pa.ArrowException):  # the error that led here is the one to show
                if part.writer:
                    part.writer.close()
                part.stream.close()
            with contextlib.suppress(OSError):
                self._files.delete_file(part.path)


def _pack(writer: pq.ParquetWriter, rows: pl.DataFrame, group_rows: int) -> None:
    writer.write_table(rows.drop(PARTITION, strict=False).to_arrow(), row_group_size=group_rows)


def group_rows(schema: pl.Schema) -> int:
    """How many rows a row group of a table has."""
    return GROUP_ROWS_WITH_LISTS if any(kind.is_nested() for kind in schema.values()) else GROUP_ROWS


def add_action(path: str, n_bytes: int, month: str | None, n_rows: int) -> AddAction:
    """What a commit says of a file that it adds."""
    return AddAction(
        path=path,
        size=n_bytes,
        partition_values={PARTITION: month} if month else {},
        modification_time=time.time_ns() // 1_000_000,
        data_change=True,
        stats=json.dumps({"numRecords": n_rows}),
    )


def file_system(root: str) -> pafs.FileSystem:
    """The same calls for a folder, which says clearly what is wrong with the disk, and for an object store."""
    if "://" in root:
        return pafs.PyFileSystem(DeltaStorageHandler(root))
    return pafs.SubTreeFileSystem(root, pafs.LocalFileSystem())


def _by_month(frame: pl.DataFrame) -> list[tuple[str | None, pl.DataFrame]]:
    if PARTITION not in frame.columns:
        return [(None, frame)] if frame.height else []
    column = frame.get_column(PARTITION)
    if frame.height and column.n_unique() == 1:  # mostly so, and parting rows copies them
        months = {str(column[0]): frame}
    else:
        months = {str(month): rows for (month,), rows in frame.partition_by(PARTITION, as_dict=True).items()}
    if bad := [month for month in months if not _MONTH.fullmatch(month)]:  # it becomes a folder's name
        raise ValueError(f"{bad[0]!r} is not a month")
    return list(months.items())


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """The Arrow schema in which a table is written."""
    return pl.DataFrame(schema=schema).to_arrow().schema
