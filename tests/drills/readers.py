"""H12: consumers that read all the time while tables are overwritten, merged and cleaned up, published and rolled back.

Each reads in a process of its own and in one of the ways that `docs/consumption.md` shows.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random

import duckdb
import polars as pl
from drills.house import PER_GAME, House, house, look
from drills.killed import merging_all, without_grace
from drills.outcome import Outcome

from resources.snapshots import CATALOG, CURRENT, DATABASE

HELD_READS, HELD_SECONDS = 5, 0.3
PAUSE_SECONDS = 0.02
QUESTION = "SELECT (SELECT id_snapshot FROM snapshot) AS snapshot, " + ", ".join(
    f"(SELECT list(id_game) FROM {name}) AS t{number}" for number, name in enumerate(PER_GAME)
)


@dataclass
class Seen:
    """What a reader saw."""

    reads: int = 0
    contents: set[frozenset[str]] = field(default_factory=set)
    """Sets of games."""
    skewed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def take(self, tables: list[list[str]]) -> None:
        """One read of the tables that have a row for every game."""
        first = frozenset(tables[0])
        self.contents.add(first)
        if any(Counter(ids) != Counter(first) for ids in tables):
            self.skewed.append(f"tables of {', '.join(str(len(ids)) for ids in tables)} rows in one read")


def plain_duckdb(home: Path, seen: Seen) -> None:
    """Any DuckDB, read-only."""
    with duckdb.connect(str(home / "published" / DATABASE), read_only=True) as connection:
        snapshot, *tables = connection.execute(QUESTION).fetchall()[0]
        seen.take(tables)
        for _ in range(HELD_READS):  # who has it open keeps what he has
            time.sleep(HELD_SECONDS / HELD_READS)
            again, *_ = connection.execute(QUESTION).fetchall()[0]
            if again != snapshot:
                seen.skewed.append(f"{snapshot} became {again} under an open connection")


def catalog_and_files(home: Path, seen: Seen) -> None:
    """Another engine: the list of files in the catalog."""
    catalog = json.loads((home / "published" / CATALOG).read_bytes())
    tables = [
        pl.read_parquet(catalog["tables"][name]["files"], columns=["id_game"], glob=False)["id_game"].to_list()
        for name in PER_GAME
    ]
    seen.take(tables)
    if [len(ids) for ids in tables] != [catalog["tables"][name]["rows"] for name in PER_GAME]:
        seen.skewed.append(f"other numbers of rows than {CATALOG} of {catalog['snapshot']} says")


def both_files(home: Path, seen: Seen) -> None:
    """Database and catalog together, by the link `current`."""
    found = look(home / "published")
    seen.contents.add(found.ids)
    seen.skewed += found.skew
    if not (home / "published" / CURRENT).exists():
        seen.errors.append("the link is gone")


def command_line(home: Path, seen: Seen) -> None:
    """`kshift sql`, a process each time."""
    command = [sys.executable, "-m", "serving.cli", "sql", QUESTION, "--format", "json"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KSHIFT_", "DAGSTER_"))}
    done = subprocess.run(
        command, env=kept | {"KSHIFT_HOME": str(home)}, cwd=home, check=False, capture_output=True, text=True
    )
    if done.returncode:
        seen.errors.append(done.stderr)
    else:
        [row] = json.loads(done.stdout)
        seen.take([row[f"t{number}"] for number in range(len(PER_GAME))])


def by_glob(home: Path, seen: Seen) -> None:
    """What nobody should do: all files that lie in the folders of the tables."""
    seen.take(
        [
            [row[0] for row in duckdb.sql(f"SELECT id_game FROM '{home}/lake/{path}/**/*.parquet'").fetchall()]
            for path in (name.replace(".", "/") for name in PER_GAME)
        ]
    )


def read_until(stop: Event, read: Callable[[Path, Seen], None], home: Path, result: Connection) -> None:
    """Read again and again until told to stop."""
    seen = Seen()
    while not stop.is_set() or not seen.reads:
        try:
            read(home, seen)
        except Exception as error:  # noqa: BLE001  # whatever a consumer runs into is the finding
            seen.errors.append(repr(error))
        seen.reads += 1
        time.sleep(PAUSE_SECONDS)
    result.send(seen)


def readers(chance: Random, folder: Path, trials: int, *, control: bool = False) -> Outcome:
    """So many rounds of everything that changes files, with readers all the while. Control: they read by glob."""
    ways = [by_glob] if control else [plain_duckdb, catalog_and_files, both_files, command_line]
    with house(folder) as made:
        published = {made.look().ids}
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        pipes = [context.Pipe(duplex=False) for _ in ways]
        processes = [
            context.Process(target=read_until, args=(stop, way, made.home, theirs), daemon=True)
            for way, (_, theirs) in zip(ways, pipes, strict=True)
        ]
        for process in processes:
            process.start()
        for _ in range(trials):
            published |= set(_change_everything(made, chance))
        stop.set()
        found = Outcome()
        for process, (ours, _) in zip(processes, pipes, strict=True):
            seen: Seen = ours.recv()
            process.join(60)
            found += Outcome(trials=seen.reads, torn=len(seen.skewed), wrong=[*seen.skewed[:3], *seen.errors[:3]])
            if others := seen.contents - published:
                found.torn += len(others)
                found.wrong.append(f"games that were never published together: {[len(one) for one in others]}")
            if not control and len(seen.contents) < 2:
                found.wrong.append("a reader saw nothing change: it proves nothing")
    return found


def _change_everything(made: House, chance: Random) -> Iterator[frozenset[str]]:
    """Overwrite, publish, merge, clean up, roll back, publish again; gives what is published in between."""
    made.play()
    made.kshift("ingest")  # new pages, months overwritten, a new snapshot
    yield made.look().ids
    made.kshift("maintain", changes=(without_grace, merging_all))
    made.kshift("maintain", changes=(without_grace, merging_all))  # removes what the first replaced
    ids = sorted(path.name for path in (made.published / "snapshots").glob("[!.]*"))
    made.kshift("rollback", chance.choice(ids[:-1]))
    yield made.look().ids
    made.kshift("run", "published/snapshot")
    yield made.look().ids
