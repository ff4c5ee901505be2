"""A lake in memory for thousands of simulated trials; test_memory_lake.py compares it with the real one."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from resources.lake import MONTH, Cursor, CursorMoved, Written


@dataclass
class MemoryLake:
    """The part of a lake that ingestion uses. A commit happens as a whole or not at all, as on the disk."""

    before_commit: Callable[[str], None] = lambda _: None
    """Called with the table's name; what it raises leaves nothing stored."""
    after_commit: Callable[[str], None] = lambda _: None
    """Called once all is stored, before the caller hears of it."""
    _frames: dict[str, dict[str, list[pl.DataFrame]]] = field(default_factory=lambda: defaultdict(dict))
    _cursors: dict[tuple[str, str], int] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)

    def append(self, table: str, frame: pl.DataFrame, schema: pl.Schema, cursor: Cursor | None = None) -> Written:
        """Add a page of rows and move the cursor, or raise CursorMoved."""
        if cursor and self.cursor(table, cursor.name) != cursor.old:
            raise CursorMoved(f"{table}: the cursor {cursor.name} is no longer at {cursor.old}")
        self.before_commit(table)
        rows = frame.select(schema.names()).cast(schema)
        self._store(table, rows)
        if cursor:
            self._cursors[table, cursor.name] = cursor.new
        self._versions[table] = self._versions.get(table, 0) + 1
        self.after_commit(table)
        return Written(self._versions[table], rows.height)

    def overwrite(
        self,
        table: str,
        frames: Callable[[], Iterable[pl.DataFrame]],
        schema: pl.Schema,
        month: str | None = None,
        note: dict[str, str] | None = None,  # noqa: ARG002  # the real one keeps it; ingestion gives none
    ) -> Written:
        """Replace a whole table, or one month of it."""
        rows = [frame.select(schema.names()).cast(schema) for frame in frames()]
        self.before_commit(table)
        if month is None:
            self._frames[table].clear()
        self._frames[table].pop(month or "", None)
        for frame in rows:
            self._store(table, frame)
        self._versions[table] = self._versions.get(table, 0) + 1
        self.after_commit(table)
        return Written(self._versions[table], sum(frame.height for frame in rows))

    def cursor(self, table: str, name: str) -> int | None:
        """Where the cursor stands."""
        return self._cursors.get((table, name))

    def scan(self, table: str, schema: pl.Schema, months: str | Sequence[str] | None = None) -> pl.LazyFrame:
        """All rows, or those of some months."""
        there = self._frames[table]
        wanted = there.keys() if months is None else [months] if isinstance(months, str) else months
        frames = [frame for month in wanted for frame in there.get(month, ())]
        return pl.concat(frames).lazy() if frames else pl.LazyFrame(schema=schema)

    def version(self, table: str) -> int | None:
        """The number of the newest commit; None before the first."""
        return self._versions.get(table)

    def _store(self, table: str, rows: pl.DataFrame) -> None:
        parts = rows.partition_by(MONTH, as_dict=True) if MONTH in rows.columns else {("",): rows}
        for (month,), part in parts.items():
            self._frames[table].setdefault(str(month), []).append(part)
