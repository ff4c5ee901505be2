"""The lake: Delta tables of Parquet files. The only code that writes them, and that knows where they lie."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import stamina
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from resources.durability import make_folder, sync, sync_commits
from resources.errors import UserError
from resources.frame_stream import FrameStream, arrow_schema

MONTH = "dt_month"
COMMIT_ATTEMPTS = 20
WHOLE = "kshift.whole"

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
    """A durable commit: its version of the table and the number of rows that it added."""

    version: int
    n_rows: int


class Lake(dg.ConfigurableResource["Lake"]):
    """Tables under one root, a folder or s3://…; a table is named `schema.table` and may be split by month.

    Every commit is durable when the call returns: its files, its log entry and their folders are synced, since
    Delta itself never does that and a power cut would take an acknowledged commit with it. A column that the code
    has and the table has not is added by the next commit; rows from before read as null.
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
        texts = {f"kshift.{key}": value for key, value in ((note or {}) | {"month": month or ""}).items()}

        def write(target: DeltaTable) -> int:
            stream = FrameStream(frames(), schema)
            stream.write(
                target,
                mode="overwrite",
                predicate=f"{MONTH} = '{month}'" if month else None,
                schema_mode=_schema_mode(table, target, schema, is_whole=month is None),
                commit_properties=CommitProperties(
                    custom_metadata=texts,
                    # delta-rs lets two overwrites of a whole table both succeed, which leaves the rows of both; two
                    # commits that move the same cursor exclude each other.
                    app_transactions=None if month else [Transaction(WHOLE, target.version() + 1)],
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
            stream = FrameStream([frame], schema)
            stream.write(
                target,
                mode="append",
                schema_mode=_schema_mode(table, target, schema, is_whole=False),
                commit_properties=CommitProperties(app_transactions=moves),
            )
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
                n_rows = write(target)
                self._make_durable(table, target)
        return Written(target.version(), n_rows)

    def _create(self, table: str, schema: pl.Schema) -> DeltaTable:
        path = self.path(table)
        if self._is_local:
            make_folder(Path(path).parent)
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
        return DeltaTable(path)

    @property
    def _is_local(self) -> bool:
        return "://" not in self.uri  # an object store answers only when the object is durable

    def _make_durable(self, table: str, target: DeltaTable) -> None:
        if not self._is_local:
            return
        root, version = Path(self.path(table)), target.version()
        identity = (root, str(target.metadata().id))
        # A table that was put back from a copy may be older than what was synced before.
        sync_commits(root, min(_synced.get(identity, -1), version - 1), version)
        if identity not in _synced:  # another process may just have made the table
            for folder in (root.parent, Path(self.uri), Path(self.uri).parent):
                sync(folder)
        _synced[identity] = version


def _schema_mode(table: str, target: DeltaTable, schema: pl.Schema, *, is_whole: bool) -> str | None:
    """How a commit changes the table's columns: not at all, by adding some, or, if no old row stays, in any way."""
    stored = {field.name: field.type for field in target.schema().fields}
    wanted = {field.name: field.type for field in DeltaSchema.from_arrow(arrow_schema(schema)).fields}
    if stored == wanted:
        return None
    if is_whole:
        return "overwrite"
    for name in stored.keys() & wanted.keys():
        if stored[name] != wanted[name]:  # delta-rs would cast, and cut 1.5 to 1
            raise UserError(
                f"{table} holds {name} as {stored[name].to_json()}, but this version writes {wanted[name].to_json()}: "
                f"delete the folder {unquote(target.table_uri).removeprefix('file://')} and materialize the table again"
            )
    return "merge"


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
