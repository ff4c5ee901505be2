"""The journal of units: which parts of a month's dump are read and lie in the lake, so that a killed run goes on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.chess.vocabulary import MONTH, Utc
from kshift_assets.reporting import Table
from kshift_assets.tables import polars_schema
from resources.dump_units import Unit
from resources.dumps import DumpFile
from resources.lake import Cursor, CursorMoved, Lake, Staged

READER = "1"
"""Version of what turns a dump into rows: raise it when rows change, and every unit is read anew."""


class DumpUnits(pa.DataFrameModel):
    """Units of monthly dumps whose games lie in a file of lichess.dump_games, which may not belong to it yet."""

    val_file_sha256: str = pa.Field(description="SHA-256 of the dump file")
    n_byte_begin: pl.Int64 = pa.Field(ge=0, description="Where the unit begins in the dump file, as packed")
    n_byte_end: pl.Int64 = pa.Field(ge=0, description="Where the next one begins")
    val_reader: str = pa.Field(description="Version of what read it; another version reads it anew")
    n_games: pl.Int64 = pa.Field(ge=0, description="Games that begin in the unit, damaged ones included")
    n_damaged: pl.Int64 = pa.Field(ge=0, description="Damaged games")
    val_path: str = pa.Field(nullable=True, description="File with the games, in the table's folder; null for no game")
    n_path_bytes: pl.Int64 = pa.Field(nullable=True, ge=0, description="Size of that file")
    tm_ingested: Utc = pa.Field(description="When the dump file was first read into the lake, as the games say it")
    tm_stored: Utc = pa.Field(description="When the unit was stored")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: month of the dump")


DUMP_UNITS = Table("lichess", "dump_units", DumpUnits, consumer=False)
UNITS_SCHEMA = polars_schema(DumpUnits)
GAMES_SCHEMA = polars_schema(DUMP_GAMES.model)

Frames = Iterator[pl.DataFrame]


@dataclass(frozen=True)
class ReadUnit:
    """A unit that lies in the lake: how many games it has, and their file if there is any."""

    n_games: int
    staged: Staged | None


class Journal:
    """The units of a month that are read. Several processes may read the same month: each unit is stored once."""

    def __init__(self, lake: Lake, month: str) -> None:
        self._lake, self._month = lake, month
        self._cursor = f"units.{month}"
        self._at: int | None = None
        self._units: dict[tuple[str, int, int], ReadUnit] = {}
        self._times: dict[str, datetime] = {}
        self._load()

    def find(self, file: DumpFile, unit: Unit) -> ReadUnit | None:
        """A unit that is read and whose games are still there."""
        return self._units.get((file.sha256, unit.begin, unit.end))

    def ingested(self, file: DumpFile) -> datetime | None:
        """When a dump file was first read, as its games say it."""
        return self._times.get(file.sha256)

    def add(
        self, file: DumpFile, unit: Unit, name: str, ingested: datetime, frames: Callable[[datetime], Frames]
    ) -> ReadUnit:
        """Store the games of a unit; if another process was faster, take what that one stored.

        `frames` gets the time that the games are to carry: `ingested`, unless another process read a part of the file
        before. The name of the games' file begins with `name`.
        """
        while True:
            moment = self.ingested(file) or ingested
            count = _Count()
            staged = self._lake.stage(
                DUMP_GAMES.full_name, count.watch(frames(moment)), GAMES_SCHEMA, self._month, name
            )
            row = {
                "val_file_sha256": file.sha256,
                "n_byte_begin": unit.begin,
                "n_byte_end": unit.end,
                "val_reader": READER,
                "n_games": count.n_games,
                "n_damaged": count.n_damaged,
                "val_path": staged and staged.path,
                "n_path_bytes": staged and staged.n_bytes,
                "tm_ingested": moment,
                "tm_stored": datetime.now(UTC),
                "dt_month": self._month,
            }
            while self.find(file, unit) is None and self.ingested(file) in (None, moment):
                self._store(row)
            found = self.find(file, unit)
            if staged and (found is None or found.staged != staged):
                self._lake.discard(DUMP_GAMES.full_name, staged)
            if found:
                return found

    def _store(self, row: dict[str, Any]) -> None:
        cursor = Cursor(self._cursor, (self._at or 0) + 1, self._at)
        try:
            self._lake.append(DUMP_UNITS.full_name, pl.DataFrame([row], UNITS_SCHEMA), UNITS_SCHEMA, cursor)
        except CursorMoved:
            self._load()
        else:
            self._at = cursor.new
            self._take(row)

    def _load(self) -> None:
        # The cursor first: a unit that is stored in between is then noticed by the next commit.
        self._at = self._lake.cursor(DUMP_UNITS.full_name, self._cursor)
        rows = self._lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA, self._month).sort("tm_stored", "val_path").collect()
        present = self._lake.present(DUMP_GAMES.full_name, self._month)
        self._units, self._times = {}, {}
        for row in rows.iter_rows(named=True):
            if row["val_path"] is None or row["val_path"] in present:
                self._take(row)
            self._times.setdefault(row["val_file_sha256"], row["tm_ingested"])

    def _take(self, row: dict[str, Any]) -> None:
        self._times.setdefault(row["val_file_sha256"], row["tm_ingested"])
        if row["val_reader"] == READER:
            staged = Staged(row["val_path"], row["n_path_bytes"], row["n_games"]) if row["val_path"] else None
            key = (row["val_file_sha256"], row["n_byte_begin"], row["n_byte_end"])
            self._units.setdefault(key, ReadUnit(row["n_games"], staged))


class _Count:
    """Counts games on their way."""

    def __init__(self) -> None:
        self.n_games = self.n_damaged = 0

    def watch(self, frames: Frames) -> Frames:
        for frame in frames:
            self.n_games += frame.height
            self.n_damaged += frame.height - frame.get_column("val_error").null_count()
            yield frame
