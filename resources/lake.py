"""The lake: Delta tables of Parquet files. The only code that writes them, and that knows where they lie."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake import DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from resources.commits import (
    LAYOUT,
    MARK,
    LostRace,
    Put,
    append,
    attempts,
    delta_schema,
    months_of,
    other_columns,
    paths_of,
    replace,
    replace_all,
    with_columns,
)
from resources.durability import make_folder, sync, sync_commits
from resources.errors import UserError
from resources.parts import PARTITION, Parts, add_action, file_system, group_rows

MONTH = PARTITION

# Keys of a commit's texts: those of its note, and its month.
PREFIX, NOTED_MONTH = "kshift.", "knightshift.month"

# The version up to which this process has synced each table, by its folder and id.
_synced: dict[tuple[Path, str], int] = {}

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
    """A durable commit: a version of the table that has it, and the number of rows that it added."""

    version: int
    n_rows: int


@dataclass(frozen=True)
class Staged:
    """A file of a month that is written and durable; `path` is the one below its table's folder."""

    path: str
    n_bytes: int
    n_rows: int


class Lake(dg.ConfigurableResource["Lake"]):
    """Tables under one root, a folder or s3://…; a table is named `schema.table` and may be split by month.

    Every commit is durable when the call returns: its files, its log entry and their folders are synced, since
    Delta itself never does that and a power cut would take an acknowledged commit with it. A column that the code
    has and the table has not is added by the next commit; rows from before read as null.
    """

    uri: str
    layout: int | None = None
    """The version of the tables that the code knows: it does not write to one of a later version. None: to any."""

    def overwrite(
        self,
        table: str,
        frames: Frames,
        schema: pl.Schema,
        month: str | None = None,
        note: dict[str, str] | None = None,
        mark: int | None = None,
    ) -> Written:
        """Replace a whole table, or one month of it, by the frames, in one atomic commit.

        `frames` is a function since they are made again if somebody else overwrote the same rows meanwhile: what they
        were made from may have changed too. They stream: memory holds one at a time. If making them raises, nothing is
        committed and that exception comes out. Rows that others append meanwhile stay. `note` is kept with the commit,
        see `note_of`; `mark`, a number of 63 bits, stays with the month, see `marks`.
        Raises LostRace if somebody else was faster every time.
        """
        return self._put(table, frames, schema, Put(month, _texts(month, note or {}), mark=mark))

    def extend(self, table: str, frames: Frames, schema: pl.Schema, month: str) -> Written:
        """Add the frames to a month of a table, in one atomic commit; its rows stay.

        As with `overwrite`, they are made again if somebody else overwrote or extended that month meanwhile: what was
        missing then is perhaps there now. No frames, no commit.
        """
        return self._put(table, frames, schema, Put(month, {NOTED_MONTH: month}, keeps_rows=True))

    def _put(self, table: str, frames: Frames, schema: pl.Schema, put: Put) -> Written:
        path = self.path(table)
        for attempt in attempts(LostRace):
            with attempt:
                before = self._opened(table, schema, keeps_rows=bool(put.month))
                columns = None if put.month else other_columns(table, path, before, schema)
                parts = Parts(path, schema, put.month)
                files = parts.write(frames())
                try:
                    if columns:
                        target = replace_all(before, files, columns, put.texts)
                    elif put.keeps_rows and not files:
                        target = before
                    else:
                        target = replace(path, before, files, put)
                except (LostRace, CommitFailedError):
                    parts.discard()
                    raise
        return self.acknowledged(table, target, parts.synced, parts.n_rows)

    def stage(
        self, table: str, frames: Iterable[pl.DataFrame], schema: pl.Schema, month: str, name: str
    ) -> Staged | None:
        """Write the frames into a new file of a month that no version has before `adopt`; None if there is no row.

        The file's name begins with `name`: files are read in the order of their names.
        """
        self._opened(table, schema, keeps_rows=True)
        parts = Parts(self.path(table), schema, month, name)
        files = parts.write(frames)
        return Staged(files[0].path, files[0].size, parts.n_rows) if files else None

    def adopt(
        self, table: str, staged: Sequence[Staged], schema: pl.Schema, month: str, note: dict[str, str]
    ) -> Written:
        """Make a month consist of staged files, in one atomic commit; without one if it does, with that note."""
        files = [add_action(one.path, one.n_bytes, month, one.n_rows) for one in staged]
        put = Put(month, _texts(month, note))
        for attempt in attempts(LostRace):
            with attempt:
                target = self._opened(table, schema, keeps_rows=True)
                if paths_of(target, month) != {file.path for file in files} or self.note_of(table, month) != note:
                    target = replace(self.path(table), target, files, put)
        return self.acknowledged(table, target, [], sum(one.n_rows for one in staged))

    def discard(self, table: str, staged: Staged) -> None:
        """Remove a staged file that nobody is to adopt."""
        file_system(self.path(table)).delete_file(staged.path)

    def present(self, table: str, month: str) -> set[str]:
        """The paths of all files of a month that are there, also of those that no version has."""
        folder = pafs.FileSelector(f"{MONTH}={month}", allow_not_found=True)
        return {info.path for info in file_system(self.path(table)).get_file_info(folder)}

    def is_whole(self, table: str, month: str) -> bool:
        """Whether all files of the newest version of a month are there."""
        delta = self._open(table)
        return delta is not None and paths_of(delta, month) <= self.present(table, month)

    def compact(self, table: str, month: str | None = None) -> bool:
        """Put one file in the place of all files of a month, or of a table that is not split: the same rows in order.

        Rows that others append meanwhile stay; notes too. Whether it was done: not if others overwrote it meanwhile.
        """
        path, schema = self.path(table), self.columns_of(table)
        before = DeltaTable(path)
        parts = Parts(path, schema, month)
        files = parts.write(groups(self.files(table, month, before.version()), schema, schema.names()))
        put = Put(month, {}, changes_data=False)
        try:
            target = replace(path, before, [dataclasses.replace(file, data_change=False) for file in files], put)
        except (LostRace, CommitFailedError):
            parts.discard()
            return False
        self.acknowledged(table, target, parts.synced, parts.n_rows)
        return True

    def append(self, table: str, frame: pl.DataFrame, schema: pl.Schema, cursor: Cursor | None = None) -> Written:
        """Add a page of rows and, in the same commit, move the cursor past it.

        Raises CursorMoved, with nothing stored, if the stored cursor is not `cursor.old` any more.
        """
        moves = [Transaction(cursor.name, cursor.new)] if cursor else []
        for attempt in attempts(CommitFailedError):
            with attempt:
                target = self._opened(table, schema, keeps_rows=True)
                if cursor and target.transaction_version(cursor.name) != cursor.old:
                    raise CursorMoved(f"{table}: the cursor {cursor.name} is no longer at {cursor.old}")
                parts = Parts(self.path(table), schema, None)
                files = parts.write([frame])
                try:
                    append(target, files, moves)
                except CommitFailedError:
                    parts.discard()
                    raise
        return self.acknowledged(table, target, parts.synced, parts.n_rows)

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
        return scan_files(self.files(table, months, version), schema)

    def batches(
        self,
        table: str,
        schema: pl.Schema,
        months: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        rows: int = 50_000,
        version: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Read a table piece by piece, in the order of its files, at most `rows` rows at a time."""
        for group in groups(self.files(table, months, version), schema, columns or schema.names()):
            yield from group.iter_slices(rows)

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

    def files_by_month(self, table: str) -> dict[str, list[str]]:
        """Month → the exact files of the newest version, for a table that is split by month."""
        delta = self._open(table)
        found: dict[str, list[str]] = {}
        for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist() if delta else ():
            found.setdefault(file[f"partition.{MONTH}"], []).append(f"{self.path(table)}/{unquote(file['path'])}")
        return {month: sorted(files) for month, files in sorted(found.items())}

    def relation_sql(self, table: str, schema: pl.Schema, months: str | Sequence[str] | None = None) -> str:
        """The same as a DuckDB table expression over explicit Parquet files, typed also where there is no file."""
        return parquet_sql(self.files(table, months), schema)

    def months(self, table: str) -> list[str]:
        """The months that have rows."""
        delta = self._open(table)
        return months_of(delta) if delta else []

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
            mask = pc.is_in(actions[f"partition.{MONTH}"].cast(pa.string()), value_set=wanted)
            actions = actions.filter(mask)
        return int(pc.sum(actions["num_records"]).as_py() or 0)

    def rows_by_month(self, table: str) -> dict[str, int]:
        """Month → rows of the newest version, from the log."""
        delta = self._open(table)
        if delta is None:
            return {}
        actions = pl.DataFrame(pl.from_arrow(pa.table(delta.get_add_actions(flatten=True))))
        rows = actions.group_by(f"partition.{MONTH}").agg(pl.col("num_records").sum()).sort(f"partition.{MONTH}")
        return {str(month): int(number) for month, number in rows.iter_rows()}

    def note_of(self, table: str, month: str) -> dict[str, str]:
        """The note of the newest overwrite of that month, of those that the log still has."""
        delta = self._open(table)
        for entry in delta.history(1_000) if delta else ():
            if entry.get(NOTED_MONTH) == month:
                return {key.removeprefix(PREFIX): str(text) for key, text in entry.items() if key.startswith(PREFIX)}
        return {}

    def marks(self, table: str, months: Iterable[str]) -> dict[str, int | None]:
        """Month → the mark of the newest overwrite of it that had one."""
        delta = self._open(table)
        return {month: delta.transaction_version(MARK + month) for month in months} if delta else {}

    def layout_of(self, table: str) -> int:
        """The number of the last migration that changed the table; 0 if none did."""
        delta = self._open(table)
        return (delta.transaction_version(LAYOUT) if delta else None) or 0

    def columns_of(self, table: str) -> pl.Schema:
        """The columns of a table that is there, its month last as everywhere."""
        arrow = pa.schema(DeltaTable(self.path(table)).schema().to_arrow())
        return pl.DataFrame(pl.from_arrow(arrow.empty_table())).schema

    def path(self, table: str) -> str:
        """Where a table lies."""
        schema, _, name = table.partition(".")
        return f"{self.uri.rstrip('/')}/{schema}/{name}"

    def _open(self, table: str, version: int | None = None) -> DeltaTable | None:
        try:
            return DeltaTable(self.path(table), version=version)
        except TableNotFoundError:
            return None

    def _refuse_newer(self, table: str, target: DeltaTable) -> None:
        if self.layout is not None and (layout := target.transaction_version(LAYOUT) or 0) > self.layout:
            raise UserError(
                f"{table} is of version {layout}, written by a newer KnightShift: this one knows version "
                f"{self.layout} at most, update it"
            )

    def _opened(self, table: str, schema: pl.Schema, *, keeps_rows: bool) -> DeltaTable:
        """The table, made if it is not there; with all columns of the schema if its old rows stay."""
        for attempt in attempts(CommitFailedError):
            with attempt:
                target = self._open(table) or self._create(table, schema)
                self._refuse_newer(table, target)
                if keeps_rows:
                    target = with_columns(table, self.path(table), target, schema)
        return target

    def acknowledged(self, table: str, target: DeltaTable, synced: Collection[Path], n_rows: int) -> Written:
        """Make the commits up to the newest durable; `synced`: files that are. `target` is brought up to date."""
        target.update_incremental()
        if self._is_local:
            self._make_durable(Path(self.path(table)), target, synced)
        return Written(target.version(), n_rows)

    def _create(self, table: str, schema: pl.Schema) -> DeltaTable:
        path = self.path(table)
        if self._is_local:
            make_folder(Path(path).parent)
        try:
            DeltaTable.create(
                path,
                schema=delta_schema(schema),
                mode="ignore",
                partition_by=[MONTH] if MONTH in schema else None,
            )
        except DeltaError:
            if self._open(table) is None:  # else another process has just made it
                raise
        return DeltaTable(path)

    @property
    def _is_local(self) -> bool:
        return "://" not in self.uri  # an object store answers only when the object is durable

    def _make_durable(self, root: Path, after: DeltaTable, files: Collection[Path]) -> None:
        version, identity = after.version(), (root, str(after.metadata().id))
        # A table that was put back from a copy may be older than what was synced before.
        sync_commits(root, min(_synced.get(identity, -1), version - 1), version, files)
        if identity not in _synced:  # another process may just have made the table
            for folder in (root, root.parent, Path(self.uri), Path(self.uri).parent):
                sync(folder)
        _synced[identity] = version


def _texts(month: str | None, note: dict[str, str]) -> dict[str, str]:
    return {f"{PREFIX}{key}": value for key, value in note.items()} | {NOTED_MONTH: month or ""}


def groups(files: Sequence[str], schema: pl.Schema, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows of files in their order, a row group at a time."""
    n_rows = group_rows(schema)
    for file in files:
        lazy = scan_files([file], schema).select(columns)
        for offset in count(step=n_rows):
            # Group by group: Polars's own batches read ahead, the more groups the more.
            group = lazy.slice(offset, n_rows).collect()
            yield group
            if group.height < n_rows:
                break


def scan_files(files: list[str], schema: pl.Schema) -> pl.LazyFrame:
    """Read exactly these files of a table lazily, with the schema's columns; empty if there are none."""
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


def parquet_sql(files: Sequence[str], schema: pl.Schema) -> str:
    """A DuckDB table expression over explicit Parquet files with the schema's columns and types, also for no files."""
    columns = {name: duckdb_type(dtype) for name, dtype in schema.items()}
    nothing = f"SELECT {', '.join(f'CAST(NULL AS {kind}) AS {name}' for name, kind in columns.items())} WHERE false"
    if not files:
        return f"({nothing})"
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    hive = f", hive_partitioning = true, hive_types = {{'{MONTH}': 'VARCHAR'}}" if MONTH in schema else ""
    # The union gives files from before a column was added that column; it costs nothing, filters still reach the files.
    return (
        f"(SELECT {', '.join(f'CAST({name} AS {kind}) AS {name}' for name, kind in columns.items())} "  # noqa: S608  # our own names
        f"FROM ({nothing} UNION ALL BY NAME "
        f"SELECT * FROM read_parquet([{listed}], union_by_name = true{hive})))"
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
