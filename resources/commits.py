"""Commits to Delta tables to which others write too: whole or not at all, tried again where another was faster."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import stamina
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from resources.errors import UserError
from resources.parts import PARTITION, arrow_schema

ATTEMPTS = 20
# delta-rs lets two commits that replace what was empty both succeed, which leaves the rows of both. But commits that
# move the same cursor exclude each other, so each month has one, and the table as a whole.
OVERWRITE = "knightshift.overwrite."
MARK = "knightshift.mark."
LAYOUT = "knightshift.layout"
_MONTH = f"partition.{PARTITION}"  # as delta-rs lists it

Actions = list[AddAction | RemoveAction]


@dataclass(frozen=True)
class Put:
    """What becomes of the rows of a month, or of all, and what the commit says of itself.

    Texts are gone once the log drops the entry of the commit; a mark of a month stays with the table.
    """

    month: str | None
    texts: dict[str, str]
    keeps_rows: bool = False
    mark: int | None = None
    changes_data: bool = True


class LostRace(Exception):
    """Somebody else replaced the same rows while this writer made its own."""


def attempts(on: type[Exception]) -> Iterable[stamina.Attempt]:
    """Tries of a commit, with short pauses of random length between them."""
    return stamina.retry_context(
        on=on, attempts=ATTEMPTS, timeout=None, wait_initial=0.02, wait_max=1.0, wait_jitter=0.1
    )


def with_columns(table: str, path: str, target: DeltaTable, schema: pl.Schema) -> DeltaTable:
    """The table, with the columns that are new in the schema. Raises UserError if a column has changed its type."""
    _check_split(table, path, target, schema)
    stored, wanted = _types(target.schema()), _types(delta_schema(schema))
    for name in stored.keys() & wanted.keys():
        if stored[name] != wanted[name]:  # a cast might fail, or cut 1.5 to 1
            raise UserError(
                f"{table} holds {name} as {stored[name]}, but this version writes {wanted[name]}: {_remedy(path)}"
            )
    new = [column for column in delta_schema(schema).fields if column.name not in stored]
    if not new:
        return target
    target.alter.add_columns(new)
    return DeltaTable(path)


def other_columns(table: str, path: str, target: DeltaTable, schema: pl.Schema) -> DeltaSchema | None:
    """The columns that a table is to have once all of it is replaced; None if it has them."""
    _check_split(table, path, target, schema)
    wanted = delta_schema(schema)
    return None if _types(target.schema()) == _types(wanted) else wanted


def append(target: DeltaTable, files: list[AddAction], cursors: list[Transaction]) -> None:
    """Add files and move cursors, in one commit. Raises CommitFailedError if another writer moved one of these."""
    _commit(target, [*files], CommitProperties(app_transactions=cursors))


def replace(path: str, before: DeltaTable, files: list[AddAction], put: Put) -> DeltaTable:
    """Put files into the place of a month's, or of all, or beside them, in one commit.

    Replaced are those of `before`, the table as it was when the new ones began to be made: what was appended since
    stays. A file may be among the old ones and the new ones. Raises LostRace if somebody else put other files there
    meanwhile. Commits to other months do not disturb, unlike with delta-rs's own overwrite.
    """
    keys = _keys(before, files, put.month)
    removals = [] if put.keeps_rows else _removals(before, put)
    stay = {removal.path for removal in removals} & {file.path for file in files}
    changes: Actions = [file for file in files if file.path not in stay]
    changes += [removal for removal in removals if removal.path not in stay]
    for attempt in attempts(CommitFailedError):
        with attempt:
            now = DeltaTable(path)
            if any(now.transaction_version(key) != before.transaction_version(key) for key in keys):
                raise LostRace(f"somebody else has overwritten {path}")
            _commit(now, changes, _properties(put, keys, now))
    return now


def replace_all(before: DeltaTable, files: list[AddAction], columns: DeltaSchema, texts: dict[str, str]) -> DeltaTable:
    """Put files into the place of all, and other columns into the place of the table's, in one commit.

    Raises LostRace if anything at all was committed meanwhile that is in the way.
    """
    properties = _properties(Put(None, texts), _keys(before, files, None), before)
    split = before.metadata().partition_columns
    try:
        before.create_write_transaction([*files], "overwrite", columns, split, commit_properties=properties)
    except CommitFailedError as error:
        raise LostRace(str(error)) from error
    return before


def reshape(before: DeltaTable, files: list[AddAction], columns: DeltaSchema, layout: int) -> None:
    """Put files into the place of all, and other columns into the place of the table's, in one commit.

    Raises LostRace if anything at all was committed meanwhile: its files would keep the old columns.
    """
    moves = [Transaction(key, before.version() + 1) for key in _keys(before, files, None)]
    properties = CommitProperties({}, max_commit_retries=0, app_transactions=[*moves, Transaction(LAYOUT, layout)])
    split = before.metadata().partition_columns
    try:
        before.create_write_transaction([*files], "overwrite", columns, split, commit_properties=properties)
    except CommitFailedError as error:
        raise LostRace(str(error)) from error


def widen(before: DeltaTable, columns: DeltaSchema, layout: int) -> None:
    """Add the columns that are new; no file changes. Raises LostRace if another process was faster."""
    stored = _types(before.schema())
    new = [column for column in columns.fields if column.name not in stored]
    properties = CommitProperties({}, max_commit_retries=0, app_transactions=[Transaction(LAYOUT, layout)])
    try:
        if new:
            before.alter.add_columns(new, commit_properties=properties)
        else:
            _commit(before, [], properties)
    except CommitFailedError as error:
        raise LostRace(str(error)) from error


def months_of(target: DeltaTable) -> list[str]:
    """The months that have rows."""
    return sorted(str(part[PARTITION]) for part in target.partitions()) if _is_split(target) else []


def paths_of(target: DeltaTable, month: str) -> set[str]:
    """The files of a month, below the table's folder."""
    return {removal.path for removal in _removals(target, Put(month, {}))}


def delta_schema(schema: pl.Schema) -> DeltaSchema:
    """The schema as Delta writes it down."""
    return DeltaSchema.from_arrow(arrow_schema(schema))


def _commit(target: DeltaTable, actions: Actions, properties: CommitProperties) -> None:
    split = target.metadata().partition_columns
    target.create_write_transaction(actions, "append", target.schema(), split, commit_properties=properties)


def _keys(before: DeltaTable, files: list[AddAction], month: str | None) -> list[str]:
    if month:
        return [OVERWRITE + month]
    written = {file.partition_values.get(PARTITION) or "" for file in files}
    return sorted(OVERWRITE + one for one in {"", *written, *months_of(before)})


def _properties(put: Put, keys: list[str], now: DeltaTable) -> CommitProperties:
    moves = [Transaction(key, now.version() + 1) for key in keys]
    if put.month and put.mark is not None:
        moves.append(Transaction(MARK + put.month, put.mark))
    return CommitProperties(put.texts, app_transactions=moves)


def _removals(before: DeltaTable, put: Put) -> list[RemoveAction]:
    now = time.time_ns() // 1_000_000
    files = pa.table(before.get_add_actions(flatten=True)).to_pylist()
    return [
        RemoveAction(
            file["path"],
            data_change=put.changes_data,
            deletion_timestamp=now,
            size=file["size_bytes"],
            partition_values={PARTITION: file[_MONTH]} if _MONTH in file else {},
        )
        for file in files
        if not put.month or file[_MONTH] == put.month
    ]


def _types(schema: DeltaSchema) -> dict[str, str]:
    return {column.name: column.type.to_json() for column in schema.fields}


def _is_split(target: DeltaTable) -> bool:
    return bool(target.metadata().partition_columns)


def _check_split(table: str, path: str, target: DeltaTable, schema: pl.Schema) -> None:
    if _is_split(target) != (PARTITION in schema):
        raise UserError(f"{table} is split by month, or was, unlike in this version: {_remedy(path)}")


def _remedy(path: str) -> str:
    return f"delete the folder {path} and materialize the table again"
