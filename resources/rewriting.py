"""A table with other columns: its files are written anew, then one commit puts them in the place of the old ones."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from resources.commits import LostRace, attempts, delta_schema, reshape, widen
from resources.lake import Lake, groups
from resources.parts import PARTITION, Parts, add_action, file_system
from resources.table_changes import Change

JOURNAL = "ops.migrated_files"
# For which migration which file was written anew, and as which.
JOURNAL_SCHEMA = pl.Schema(
    {
        "n_version": pl.Int32,
        "val_table": pl.String,
        "val_path_old": pl.String,
        "val_path": pl.String,
        "n_bytes": pl.Int64,
    }
)
_UNIQUE = re.compile(r"-[0-9a-f]{8}-[0-9a-f-]{27}\..*$")


@dataclass(frozen=True)
class StoredFile:
    """A file of a table; `path` is the one below the table's folder."""

    path: str
    month: str | None
    n_rows: int
    n_bytes: int


def stored_files(lake: Lake, table: str, version: int | None = None) -> list[StoredFile]:
    """The files of a version of a table that is there, in the order in which they are read."""
    target = DeltaTable(lake.path(table), version)
    listed = pa.table(target.get_add_actions(flatten=True)).to_pylist()
    files = [
        StoredFile(file["path"], file.get(f"partition.{PARTITION}"), file["num_records"], file["size_bytes"])
        for file in listed
    ]
    return sorted(files, key=lambda file: file.path)


def clear_if_retyped(lake: Lake, table: str, schema: pl.Schema) -> bool:
    """Remove all rows of a table that has a column of another type than in the schema; for rows that are made anew.

    Its cursors stay. Whether it was done.
    """
    for attempt in attempts(LostRace):
        with attempt:
            if lake.version(table) is None:
                return False
            target, before = DeltaTable(lake.path(table)), lake.columns_of(table)
            if all(before.get(name, dtype) == dtype for name, dtype in schema.items()):
                return False
            reshape(target, [], delta_schema(schema), lake.layout_of(table))
    lake.acknowledged(table, DeltaTable(lake.path(table)), [], 0)
    return True


class Rewriting:
    """A change of one table. Files that are written anew are noted in the lake: after a kill only the others are."""

    def __init__(self, lake: Lake, change: Change, number: int) -> None:
        self._lake, self._change, self._number = lake, change, number
        self._table, self._path = change.table, lake.path(change.table)

    def run(self, listen: Callable[[int], None]) -> None:
        """Change the table, unless it is changed, or not there; `listen` hears of the rows that were written anew.

        What others commit meanwhile is changed too. Raises UserError if a value cannot be converted.
        """
        for attempt in attempts(LostRace):
            with attempt:
                if self._lake.version(self._table) is None or self._lake.layout_of(self._table) >= self._number:
                    return
                target, before = DeltaTable(self._path), self._lake.columns_of(self._table)
                after = delta_schema(schema := self._change.schema_after(before))
                files: list[AddAction] = []
                if self._change.rewrites(before):
                    old = stored_files(self._lake, self._table, target.version())
                    files = self._written_anew(old, before, schema, listen)
                if self._change.empties or self._change.rewrites(before):
                    reshape(target, files, after, self._number)
                else:
                    widen(target, after, self._number)
        self._lake.acknowledged(self._table, DeltaTable(self._path), [], 0)

    def _written_anew(
        self, files: Sequence[StoredFile], before: pl.Schema, schema: pl.Schema, listen: Callable[[int], None]
    ) -> list[AddAction]:
        journal, place = self._journal(), file_system(self._path)
        made = []
        for file in files:
            path, n_bytes = journal.get(file.path, ("", 0))
            if not path or place.get_file_info(path).size != n_bytes:
                path, n_bytes = self._write(file, before, schema)
                listen(file.n_rows)
            made.append(add_action(path, n_bytes, file.month, file.n_rows))
        return made

    def _write(self, file: StoredFile, before: pl.Schema, schema: pl.Schema) -> tuple[str, int]:
        def frames() -> Iterator[pl.DataFrame]:
            for group in groups([f"{self._path}/{file.path}"], before, before.names()):
                yield self._change.rows(group)

        # Files are read in the order of their names.
        name = _UNIQUE.sub("", file.path.rpartition("/")[2])
        parts = Parts(self._path, schema, file.month, name)
        (made,) = parts.write(frames())
        if parts.n_rows != file.n_rows:
            parts.discard()
            raise ValueError(f"{self._table}: {file.path} has {parts.n_rows} rows, its log says {file.n_rows}")
        row = {
            "n_version": self._number,
            "val_table": self._table,
            "val_path_old": file.path,
            "val_path": made.path,
            "n_bytes": made.size,
        }
        self._lake.append(JOURNAL, pl.DataFrame([row], JOURNAL_SCHEMA), JOURNAL_SCHEMA)
        return made.path, made.size

    def _journal(self) -> dict[str, tuple[str, int]]:
        mine = (pl.col("n_version") == self._number) & (pl.col("val_table") == self._table)
        rows = self._lake.scan(JOURNAL, JOURNAL_SCHEMA).filter(mine)
        return {
            old: (new, size) for old, new, size in rows.select("val_path_old", "val_path", "n_bytes").collect().rows()
        }
