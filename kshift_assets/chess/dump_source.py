"""The monthly dumps: a month's files are read unit by unit, and stored as one commit."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import cycle

import dagster as dg
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.chess.dump_units import GAMES_SCHEMA, READER, Journal, ReadUnit
from kshift_assets.chess.late_finishers import note_unfinished_of_dump
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.chess.tracking import tracked
from kshift_assets.partitions import MONTHS
from kshift_assets.progress import Meter, Progress
from kshift_assets.reporting import (
    OWNER,
    AuditFailed,
    Finding,
    Metadata,
    Report,
    check,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import summary
from resources.dump_units import Unit
from resources.dumps import DumpDamaged, DumpFile, Dumps
from resources.errors import UserError
from resources.following import Following
from resources.lake import Lake
from resources.source_errors import SourceError


@dg.asset(
    key=DUMP_GAMES.key,
    partitions_def=MONTHS,
    group_name="lichess/sources",
    description=summary(DUMP_GAMES.model),
    kinds={"python", "lichess", "deltalake"},
    owners=[OWNER],
    tags={"layer": "source", "domain": "chess"},
    metadata=table_metadata(DUMP_GAMES, read_games),
    code_version=READER,
    check_specs=[
        schema_check(DUMP_GAMES),
        check(
            DUMP_GAMES, "damaged_games", "No game of the file is damaged; damaged ones keep their text.", blocking=False
        ),
    ],
)
def dump_games(context: dg.AssetExecutionContext, lake: Lake, dumps: Dumps, following: Following) -> Iterator[Report]:
    """A month's dump files, stored as one commit; a damaged file stores nothing, a killed run goes on where it was."""
    month, progress = context.partition_key, Progress(context)
    try:
        files = dumps.find(month, Arrival(progress).tell)
        reading = Reading(lake, dumps, files, month, progress)
        n_rows = reading.run()
    except AuditFailed as failed:
        yield from refuse(DUMP_GAMES.key, failed.finding)
        return
    except (UserError, SourceError, DumpDamaged) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    stored = lake.scan(DUMP_GAMES.full_name, GAMES_SCHEMA, month).filter(pl.col("val_error").is_not_null())
    n_damaged = stored.select(pl.len()).collect().item()
    metadata = reading.metadata()
    if following.dump_pending != "none":
        users = None if following.dump_pending == "all" else list(tracked(lake, following.players))
        metadata["unfinished, to be asked for"] = note_unfinished_of_dump(lake, month, datetime.now(UTC), users)
    findings = [Finding("schema", passed=True, metadata={"rows": n_rows}), damaged_games(n_damaged)]
    yield from report(context, DUMP_GAMES.key, n_rows, findings, metadata)


class Arrival:
    """Tells of files that are downloaded."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._meters = progress, dict[str, Meter]()

    def tell(self, name: str, n_here: int, n_bytes: int | None) -> None:
        """So many bytes of a file are here; those that the first call tells of were here before."""
        if name not in self._meters:
            self._meters[name] = Meter(n_bytes)
            self._meters[name].skip(n_here)
        self._meters[name].n_here = n_here
        self._progress.tell(name, self._meters[name], {"file": name})


class Reading:
    """A run over the dump files of a month: units that an earlier run stored are kept, the others are read."""

    def __init__(self, lake: Lake, dumps: Dumps, files: list[DumpFile], month: str, progress: Progress) -> None:
        self._lake, self._dumps, self._files, self._month, self._progress = lake, dumps, files, month, progress
        self._units = [(file, unit) for file in files for unit in dumps.units(file)]
        self._meter = Meter(sum(file.n_bytes for file in files))
        # Games so far, those before the file in hand, and those that this run read.
        self._n_games = self._n_before = self._n_games_read = 0
        self._n_kept = 0

    def run(self) -> int:
        """Make the month consist of the games of the files, in one commit; how many these are.

        Raises AuditFailed where a rule is broken and DumpDamaged where a file is, with the month as it was.
        """
        sums = ",".join(file.sha256 for file in self._files)
        note = self._lake.note_of(DUMP_GAMES.full_name, self._month)
        is_read = (note.get("sha256"), note.get("reader")) == (sums, READER)
        if is_read and self._lake.is_whole(DUMP_GAMES.full_name, self._month):
            self._n_kept = len(self._units)
            return self._lake.n_rows(DUMP_GAMES.full_name, self._month)
        journal, moments = Journal(self._lake, self._month), first_reads(note)
        units = [self._read(journal, number, moments) for number in range(len(self._units))]
        times = [(journal.ingested(file) or datetime.now(UTC)).isoformat() for file in self._files]
        note = {"sha256": sums, "ingested": ",".join(times), "reader": READER}
        staged = [unit.staged for unit in units if unit.staged]
        if not staged:  # every month has games: a file without any is one that somebody else failed to write
            raise DumpDamaged(f"{', '.join(file.name for file in self._files)} holds no game: get it anew")
        return self._lake.adopt(DUMP_GAMES.full_name, staged, GAMES_SCHEMA, self._month, note).n_rows

    def metadata(self) -> Metadata:
        """What was read, how fast, and what was there already."""
        metadata: Metadata = {
            "files": ", ".join(file.name for file in self._files),
            "bytes": sum(file.n_bytes for file in self._files),
            "units": len(self._units),
            "units kept": self._n_kept,
            "units read": len(self._units) - self._n_kept,
        }
        if self._n_games_read:
            metadata["MB/s"] = round(self._meter.mb_per_second, 1)
            metadata["games/s"] = round(self._n_games_read / self._meter.seconds)
        return metadata

    def _read(self, journal: Journal, number: int, moments: Mapping[str, datetime]) -> ReadUnit:
        file, unit = self._units[number]
        if unit.number == 0:
            self._n_before = self._n_games
        read = journal.find(file, unit)
        if read:
            self._n_kept += 1
            self._meter.skip(unit.end - unit.begin)
        else:
            moment = moments.get(file.sha256, datetime.now(UTC))
            read = journal.add(file, unit, f"part-{number:05}", moment, partial(self._frames, file, unit))
            self._n_games_read += read.n_games
        self._n_games += read.n_games
        return read

    def _frames(self, file: DumpFile, unit: Unit, ingested: datetime) -> Iterator[pl.DataFrame]:
        """The games of a unit, each with its number in the file, and with where and when it was read."""
        begin, n_games = self._meter.n_here, self._n_games

        def come_to(n_bytes: int) -> None:
            self._meter.n_here = begin + min(n_bytes, unit.end - unit.begin)

        for frame in Audit(DUMP_GAMES.model).watch(
            games.with_columns(
                pl.col("n_game") + (self._n_games - self._n_before),
                val_file=pl.lit(file.name),
                val_file_sha256=pl.lit(file.sha256),
                tm_ingested=pl.lit(ingested),
                dt_month=pl.lit(self._month),
            )
            for games in read_games(self._dumps.chunks(file, unit, come_to))
        ):
            n_games += frame.height
            numbers: Metadata = {"games": n_games, "units": len(self._units)}
            self._progress.tell(f"{n_games:,} games", self._meter, numbers)
            yield frame
        come_to(unit.end - unit.begin)


def first_reads(note: Mapping[str, str]) -> dict[str, datetime]:
    """When the files of a month's note were first read into the lake: reading them again changes no row."""
    sums, times = note.get("sha256", "").split(","), note.get("ingested", "").split(",")
    # Notes of earlier versions have one time for all files.
    return {sha256: datetime.fromisoformat(time) for sha256, time in zip(sums, cycle(times), strict=False) if time}


def damaged_games(number: int) -> Finding:
    """A warning where games of a dump could not be read: they are in chess.rejected_games, with their text."""
    text = f"damaged games: {number}, see chess.rejected_games" if number else ""
    return Finding(
        "damaged_games", passed=not number, metadata={"damaged": number}, text=text, severity=dg.AssetCheckSeverity.WARN
    )
