"""The lake: Delta tables of Parquet files. The only code that writes them, and that knows where they lie."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Full, Queue
from threading import Event
from typing import Any
from urllib.parse import unquote

import dagster as dg
import polars as pl
import pyarrow as pa
import stamina
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

MONTH = "dt_month"
COMMIT_ATTEMPTS = 20
ZSTD = WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=100_000)

Frames = Callable[[], Iterable[pl.DataFrame]]


class CursorMoved(Exception):
    """Another writer moved the cursor since it was read: read it again and ask the source anew."""


@dataclass(frozen=True)
class Cursor:
    """Where an incremental source goes on: stored by the commit that stores the page up to it."""

    name: str
    new: int
    old: int | None


@dataclass(frozen=True)
class Written:
    """A durable commit: its version of the table and the number of rows that it added."""

    version: int
    n_rows: int


class Lake(dg.ConfigurableResource["Lake"]):
    """Tables under one root, a folder or s3://…; a table is named `schema.table` and may be split by month.

    Every commit is durable when the call returns: its files, its log entry and their folders are synced, since
    Delta itself never does that and a power cut would take an acknowledged commit with it.
    """

    uri: str

    def overwrite(
        self,
        table: str,
        frames: Frames,
        schema: pl.Schema,
        month: str | None = None,
        note: dict[str, str] | None = None,
    ) -> Written:
        """Replace a whole table, or one month of it, by the frames, in one atomic commit.

        `frames` is a function since a commit that lost a race is written again. The frames stream: memory holds one
        at a time. If making them raises, nothing is committed and that exception comes out. `note` is kept with the
        commit, see `note_of`.
        """
        predicate = f"{MONTH} = '{month}'" if month else None

        def write(target: DeltaTable) -> int:
            stream = _Stream(frames(), schema)
            stream.write(
                target,
                mode="overwrite",
                predicate=predicate,
                commit_properties=CommitProperties(
                    custom_metadata={
                        f"kshift.{key}": value for key, value in ((note or {}) | {"month": month or ""}).items()
                    }
                ),
            )
            return stream.n_rows

        return self._commit(table, schema, write)

    def append(self, table: str, frame: pl.DataFrame, schema: pl.Schema, cursor: Cursor | None = None) -> Written:
        """Add a page of rows and, in the same commit, move the cursor past it.

        Raises CursorMoved, with nothing stored, if the stored cursor is not `cursor.old` any more.
        """
        moves = [Transaction(cursor.name, cursor.new)] if cursor else None

        def write(target: DeltaTable) -> int:
            if cursor and target.transaction_version(cursor.name) != cursor.old:
                raise CursorMoved(f"{table}: the cursor {cursor.name} is no longer at {cursor.old}")
            stream = _Stream([frame], schema)
            stream.write(target, mode="append", commit_properties=CommitProperties(app_transactions=moves))
            return stream.n_rows

        return self._commit(table, schema, write)

    def cursor(self, table: str, name: str) -> int | None:
        """The position that the last page under this name stored; None before the first."""
        delta = self._open(table)
        return delta.transaction_version(name) if delta else None

    def scan(
        self,
        table: str,
        schema: pl.Schema,
        months: str | Sequence[str] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        """Read a table lazily, pruned to months and to columns; of an older version if asked; empty if not there."""
        files = self.files(table, months, version)
        if not files:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet(
            files,
            schema=schema,
            hive_schema={MONTH: pl.String} if MONTH in schema else None,
            hive_partitioning=MONTH in schema,
            missing_columns="insert",
            extra_columns="ignore",
            glob=False,
        )

    def batches(
        self,
        table: str,
        schema: pl.Schema,
        months: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        rows: int = 50_000,
    ) -> Iterator[pl.DataFrame]:
        """Read a table piece by piece, in the order of its files: memory holds one piece of about `rows` rows."""
        for file in self.files(table, months):
            lazy = pl.scan_parquet(
                file,
                schema=schema,
                hive_schema={MONTH: pl.String} if MONTH in schema else None,
                hive_partitioning=MONTH in schema,
                missing_columns="insert",
                extra_columns="ignore",
                glob=False,
            )
            yield from (lazy.select(columns) if columns else lazy).collect_batches(chunk_size=rows)

    def files(self, table: str, months: str | Sequence[str] | None = None, version: int | None = None) -> list[str]:
        """The exact files of a version, sorted: never list a table's folder, dead files lie in it too."""
        delta = self._open(table, version)
        if delta is None:
            return []
        if months is None:
            return sorted(map(unquote, delta.file_uris()))
        wanted = ", ".join(f"'{month}'" for month in ([months] if isinstance(months, str) else months))
        if not wanted:
            return []
        return sorted(map(unquote, delta.file_uris(file_pruning_predicate=f"{MONTH} IN ({wanted})")))

    def relation_sql(self, table: str, schema: pl.Schema, months: str | Sequence[str] | None = None) -> str:
        """The same as a DuckDB table expression over explicit Parquet files, typed also where there is no file."""
        return parquet_sql(self.files(table, months), schema)

    def months(self, table: str) -> list[str]:
        """The months that have rows."""
        delta = self._open(table)
        return sorted({str(part[MONTH]) for part in delta.partitions()}) if delta else []

    def version(self, table: str) -> int | None:
        """The newest version; None if there is no such table."""
        delta = self._open(table)
        return delta.version() if delta else None

    def n_rows(self, table: str, months: str | Sequence[str] | None = None, version: int | None = None) -> int:
        """Rows of a version, from the log: no file is opened."""
        delta = self._open(table, version)
        if delta is None:
            return 0
        actions = pa.table(delta.get_add_actions(flatten=True))
        if months is not None:
            wanted = pa.array([months] if isinstance(months, str) else list(months), pa.string())
            mask = pa.compute.is_in(actions[f"partition.{MONTH}"].cast(pa.string()), value_set=wanted)
            actions = actions.filter(mask)
        return int(pa.compute.sum(actions["num_records"]).as_py() or 0)

    def note_of(self, table: str, month: str) -> dict[str, str]:
        """The note of the newest overwrite of that month, of those that the log still has."""
        delta = self._open(table)
        for entry in delta.history(1_000) if delta else ():
            if entry.get("kshift.month") == month:
                return {
                    key.removeprefix("kshift."): str(value) for key, value in entry.items() if key.startswith("kshift.")
                }
        return {}

    def path(self, table: str) -> str:
        """Where a table lies."""
        schema, _, name = table.partition(".")
        return f"{self.uri.rstrip('/')}/{schema}/{name}"

    def _open(self, table: str, version: int | None = None) -> DeltaTable | None:
        try:
            return DeltaTable(self.path(table), version=version)
        except TableNotFoundError:
            return None

    def _commit(self, table: str, schema: pl.Schema, write: Callable[[DeltaTable], int]) -> Written:
        for attempt in stamina.retry_context(
            on=CommitFailedError,
            attempts=COMMIT_ATTEMPTS,
            timeout=None,
            wait_initial=0.02,
            wait_max=1.0,
            wait_jitter=0.1,
        ):
            with attempt:
                target = self._open(table) or self._create(table, schema)
                before = target.version()
                n_rows = write(target)
                self._make_durable(table, range(before + 1, target.version() + 1))
        return Written(target.version(), n_rows)

    def _create(self, table: str, schema: pl.Schema) -> DeltaTable:
        path = self.path(table)
        try:
            DeltaTable.create(
                path,
                schema=DeltaSchema.from_arrow(arrow_schema(schema)),
                mode="ignore",
                partition_by=[MONTH] if MONTH in schema else None,
            )
        except DeltaError:
            if self._open(table) is None:  # else another process has just made it
                raise
        self._make_durable(table, range(1))
        return DeltaTable(path)

    def _make_durable(self, table: str, versions: range) -> None:
        if "://" in self.uri:
            return  # an object store answers only when the object is durable
        root = Path(self.path(table))
        log = root / "_delta_log"
        folders = {log, root, root.parent, Path(self.uri)}
        for version in versions:
            entry = log / f"{version:020d}.json"
            for line in entry.read_bytes().splitlines():
                if added := json.loads(line).get("add"):
                    file = root / unquote(added["path"])
                    _sync(file)
                    folders.add(file.parent)
            _sync(entry)
        for extra in (log / "_last_checkpoint", *log.glob(f"{versions.stop - 1:020d}.checkpoint*.parquet")):
            if extra.exists():
                _sync(extra)
        for folder in folders:
            _sync(folder)


class _Stream:
    """Frames on their way into a commit: cast to the schema, counted, made in the caller's thread.

    delta-rs pulls a stream from inside its own runtime, where no other table can be opened: so the commit runs in a
    second thread, and takes from a short queue what the caller's thread makes.
    """

    def __init__(self, frames: Iterable[pl.DataFrame], schema: pl.Schema) -> None:
        self.n_rows = 0
        self._frames, self._schema = frames, schema
        self._queue: Queue[pl.DataFrame | None] = Queue(maxsize=2)
        self._is_broken = Event()

    def write(self, target: DeltaTable, **options: Any) -> None:  # noqa: ANN401  # passed on to delta-rs
        """Commit all frames; an exception of their maker comes out as it was, and nothing is committed."""
        reader = pa.RecordBatchReader.from_batches(arrow_schema(self._schema), self._batches())
        with ThreadPoolExecutor(1, "commit") as thread:
            commit = thread.submit(partial(write_deltalake, target, reader, writer_properties=ZSTD, **options))
            try:
                for frame in self._frames:
                    self.n_rows += frame.height
                    self._put(frame.select(self._schema.names()).cast(self._schema), commit)
            except BaseException:
                self._is_broken.set()
                self._put(None, commit)
                wait([commit])
                raise
            self._put(None, commit)
            commit.result()

    def _put(self, frame: pl.DataFrame | None, commit: "Future[None]") -> None:
        while not commit.done():  # a commit that failed takes nothing any more
            try:
                self._queue.put(frame, timeout=0.1)
            except Full:
                continue
            return

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (frame := self._queue.get()) is not None:
            yield from frame.to_arrow().to_batches()
        if self._is_broken.is_set():
            raise InterruptedError("the frames could not be made")


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """The Arrow schema in which a table is written."""
    return pl.DataFrame(schema=schema).to_arrow().schema


def parquet_sql(files: Sequence[str], schema: pl.Schema) -> str:
    """A DuckDB table expression over explicit Parquet files with the schema's columns and types, also for no files."""
    columns = {name: duckdb_type(dtype) for name, dtype in schema.items()}
    if not files:
        return f"(SELECT {', '.join(f'CAST(NULL AS {kind}) AS {name}' for name, kind in columns.items())} WHERE false)"
    listed = ", ".join(f"'{file}'" for file in files)
    hive = f", hive_partitioning = true, hive_types = {{'{MONTH}': 'VARCHAR'}}" if MONTH in schema else ""
    return (
        f"(SELECT {', '.join(f'CAST({name} AS {kind}) AS {name}' for name, kind in columns.items())} "  # noqa: S608  # our own names
        f"FROM read_parquet([{listed}], union_by_name = true{hive}))"
    )


def duckdb_type(dtype: pl.DataType) -> str:
    """The DuckDB type that holds a Polars type."""
    match dtype:
        case pl.List():
            return f"{duckdb_type(dtype.inner)}[]"  # type: ignore[arg-type]  # an instance, since it comes from a schema
        case pl.Datetime():
            return "TIMESTAMP WITH TIME ZONE" if dtype.time_zone else "TIMESTAMP"
        case _:
            return _DUCKDB_TYPES[dtype.base_type()]


_DUCKDB_TYPES: dict[type[pl.DataType], str] = {
    pl.String: "VARCHAR",
    pl.Boolean: "BOOLEAN",
    pl.Int8: "TINYINT",
    pl.Int16: "SMALLINT",
    pl.Int32: "INTEGER",
    pl.Int64: "BIGINT",
    pl.Float32: "FLOAT",
    pl.Float64: "DOUBLE",
    pl.Date: "DATE",
}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
