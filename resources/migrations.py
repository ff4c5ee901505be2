"""Migrations: how tables of an older lake become those of this code, in numbered steps that the lake itself remembers.

What belongs here: the mechanism. Which migrations there are stands with the graph, in kshift_assets/migrations.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from deltalake.exceptions import DeltaError

from resources.errors import UserError
from resources.lake import Cursor, CursorMoved, Lake
from resources.redaction import redact
from resources.rewriting import Rewriting, stored_files
from resources.table_changes import Change

FIRST = 1
"""The version of a lake that remembers none: every lake before there were migrations."""
LEDGER = "ops.migrations"
# The number of the migration, what it did, and when it was done (UTC).
LEDGER_SCHEMA = pl.Schema({"n_version": pl.Int32(), "val_text": pl.String(), "tm_migrated": pl.Datetime("us", "UTC")})
_CURSOR = "knightshift.version"


@dataclass(frozen=True)
class Migration:
    """What brings a lake to the version `number` from the one before; `text` says it in a sentence."""

    number: int
    text: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Pending:
    """What a migration will do to a table: its steps in words, and the files, with their rows, to write anew."""

    migration: Migration
    change: Change
    steps: tuple[str, ...]
    files: int
    rows: int
    n_bytes: int


class Migrations:
    """The migrations that the code knows, in their order, held against what a lake remembers."""

    def __init__(self, lake: Lake, known: Sequence[Migration]) -> None:
        self._lake, self._known = lake, known

    @property
    def newest(self) -> int:
        """The version that the code writes."""
        return newest(self._known)

    def version(self) -> int:
        """The version of the lake. Raises UserError if the lake cannot be opened."""
        try:
            return self._lake.cursor(LEDGER, _CURSOR) or FIRST
        except (DeltaError, OSError) as error:
            reason = redact(str(error).partition("\n")[0])
            raise UserError(f"the lake {self._lake.uri} cannot be opened: {reason}") from error

    def check(self) -> None:
        """Raise UserError if the lake is of a newer version, or of an older one that takes `kshift migrate`."""
        self.refuse_newer()
        if pending := [one for one in self.pending() if one.files]:
            raise UserError(
                f"the tables in {self._lake.uri} are of version {self.version()}, this KnightShift writes version "
                f"{self.newest}: run `kshift migrate` ({_counted(pending)} to write anew; --dry-run tells more)"
            )

    def open(self) -> None:
        """Bring an older lake up to date where no file has to be written anew for it. Raises UserError as `check`."""
        self.check()
        list(self.run())

    def refuse_newer(self) -> None:
        """Raise UserError if a newer KnightShift has changed the tables."""
        if (version := self.version()) > self.newest:
            raise UserError(
                f"the tables in {self._lake.uri} are of version {version}, written by a newer KnightShift: this one "
                f"knows version {self.newest} at most, update it"
            )

    def pending(self) -> list[Pending]:
        """What is to be done, in its order; empty for a lake that is up to date or has none of these tables."""
        found, version = [], self.version()
        columns: dict[str, pl.Schema] = {}
        for migration in self._known:
            for change in migration.changes if migration.number > version else ():
                stored = self._lake.version(change.table) is not None
                if not stored or self._lake.layout_of(change.table) >= migration.number:
                    continue
                before = columns.get(change.table) or self._lake.columns_of(change.table)
                columns[change.table] = change.schema_after(before)
                if told := change.told(before):
                    files = stored_files(self._lake, change.table) if change.rewrites(before) else []
                    rows, size = sum(one.n_rows for one in files), sum(one.n_bytes for one in files)
                    found.append(Pending(migration, change, told, len(files), rows, size))
        return found

    def run(self, listen: Callable[[int], None] = lambda _: None) -> Iterator[Migration]:
        """Bring the lake up to date, migration by migration; `listen` hears of the rows that were written anew.

        A killed one goes on with the file in hand when it is called again. Several processes may do it at the same
        time. Raises UserError if a value cannot be converted, with that table as it was.
        """
        self.refuse_newer()
        for migration in self._known:
            if migration.number <= self.version():
                continue
            for change in migration.changes:
                Rewriting(self._lake, change, migration.number).run(listen)
            self._remember(migration)
            yield migration

    def _remember(self, migration: Migration) -> None:
        row = {"n_version": migration.number, "val_text": migration.text, "tm_migrated": datetime.now(UTC)}
        known = self._lake.cursor(LEDGER, _CURSOR)
        if known is None or known < migration.number:
            try:
                cursor = Cursor(_CURSOR, migration.number, known)
                self._lake.append(LEDGER, pl.DataFrame([row], LEDGER_SCHEMA), LEDGER_SCHEMA, cursor)
            except CursorMoved:  # another process was faster
                self._remember(migration)


def newest(known: Sequence[Migration]) -> int:
    """The version of a lake that all these migrations have changed."""
    return max((migration.number for migration in known), default=FIRST)


def _counted(pending: Sequence[Pending]) -> str:
    rows, tables = sum(one.rows for one in pending), sorted({one.change.table for one in pending})
    return f"{rows:,} rows of {', '.join(tables)}"
