"""A small lakehouse that a drill breaks: a replay server, `kshift` in processes of its own, and a look at the result.

Processes fork from a server that has imported everything, so that each begins at once; what runs in them is the command
line itself, with one analytic instead of all, and with a death or a missing guard where a drill asks for it.
"""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from kshift_assets import definitions
from plugins.chess.move_count import plugin as move_count
from resources.snapshots import CATALOG, CURRENT, DATABASE
from serving.cli import main
from serving.replay import ReplayServer
from serving.replay_world import World
from worlds import DAY, MARCH, game

PLAYER = "alice_a"
LONGEST = 300.0
"""Seconds that a command may take before a drill gives it up."""
PER_GAME = ("lichess.player_games", "chess.games", "analytics.move_count")
"""Tables with one row for every game."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["drills.house"])


@dataclass(frozen=True)
class Death:
    """Where a process dies: `module:name`, just before or after that is called for the n-th time."""

    at: str
    when: str = "before"
    countdown: int = 1

    def __str__(self) -> str:
        """As a failure names it."""
        return f"{self.when} {self.at.rpartition(':')[2]} (call {self.countdown})"


@dataclass(frozen=True)
class Call:
    """A command, and what is wrong with the process that runs it."""

    arguments: tuple[str, ...]
    settings: Mapping[str, str]
    log: Path
    death: Death | None = None
    changes: tuple[Callable[[], None], ...] = ()
    """Run in the process before the command: they take a guard away, or turn a clock."""


def perform(call: Call) -> None:
    """The command line, in this process."""
    for name in [name for name in os.environ if name.startswith(("KSHIFT_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(call.settings)
    os.chdir(call.log.parent)  # no `.env` of the tester
    out = os.open(call.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    definitions.find_plugins = lambda: [move_count]
    for change in call.changes:
        change()
    if call.death:
        arm(call.death)
    sys.argv = ["kshift", *call.arguments]
    main()


def arm(death: Death) -> None:
    """Make the process die there."""
    place, _, path = death.at.partition(":")
    target: Any = importlib.import_module(place)
    *parents, name = path.split(".")
    for parent in parents:
        target = getattr(target, parent)
    real, calls = getattr(target, name), count(1)

    def dying(*arguments: Any, **more: Any) -> Any:
        is_due = next(calls) == death.countdown
        if is_due and death.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments, **more)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(target, name, dying)


class Process:
    """A command under way."""

    def __init__(self, call: Call) -> None:
        self.call, self.began = call, time.monotonic()
        self._process = _context.Process(target=perform, args=(call,), daemon=True)
        self._process.start()

    def wait(self) -> int:
        """Its exit code; -9 where it was killed."""
        self._process.join(LONGEST)
        if self._process.exitcode is None:
            self.kill()
            raise AssertionError(f"{self.call.arguments} did not end: {self.told()}")
        return self._process.exitcode

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.join(LONGEST)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.exitcode is not None

    def told(self) -> str:
        """What it printed so far."""
        return self.call.log.read_text(errors="replace") if self.call.log.exists() else ""


@dataclass(frozen=True)
class Look:
    """What a consumer found."""

    snapshot: str
    ids: frozenset[str]
    """Of the games."""
    skew: tuple[str, ...]
    """What does not fit together, in words."""


def look(published: Path, per_game: Sequence[str] = PER_GAME) -> Look:
    """Read the latest snapshot as any consumer may, with plain DuckDB and the catalog beside it.

    `per_game`: tables that have each game once.
    """
    folder = (published / CURRENT).resolve()
    catalog = json.loads((folder / CATALOG).read_bytes())
    skew = []
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        (snapshot,) = connection.execute("SELECT id_snapshot FROM snapshot").fetchall()[0]
        if catalog["snapshot"] != snapshot:
            skew.append(f"{CATALOG} is of {catalog['snapshot']}, {DATABASE} of {snapshot}")
        for name, table in catalog["tables"].items():
            if table["rows"] is not None:
                (rows,) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0]
                if rows != table["rows"]:
                    skew.append(f"{name} shows {rows} rows of {table['rows']}")
        found = {name: _ids(connection, name) for name in per_game}
    first = found[per_game[0]]
    for name, ids in found.items():
        if ids != first or max(ids.values(), default=1) > 1:
            skew.append(f"{name} has other games than {per_game[0]}, or some twice")
    return Look(snapshot, frozenset(first), tuple(skew))


def _ids(connection: duckdb.DuckDBPyConnection, table: str) -> Counter[str]:
    return Counter(row[0] for row in connection.execute(f"SELECT id_game FROM {table}").fetchall())


@dataclass
class House:
    """One lakehouse, its server, and the games that its server has: the oracle."""

    folder: Path
    server: ReplayServer
    settings: dict[str, str]
    n_games: int = 0
    n_calls: int = 0
    snapshots: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def ids(self) -> frozenset[str]:
        """Every game that the source has."""
        return frozenset(self.server.world.games)

    def play(self, number: int = 3) -> None:
        """The player plays some more games, one a day, over several months."""
        for _ in range(number):
            self.server.world.add(game(self.n_games, MARCH + self.n_games * DAY, white=PLAYER))
            self.n_games += 1

    def start(
        self, *arguments: str, death: Death | None = None, changes: tuple[Callable[[], None], ...] = (), **settings: str
    ) -> Process:
        """Begin a command."""
        self.n_calls += 1
        log = self.folder / f"{self.n_calls:04}.log"
        return Process(Call(arguments, self.settings | settings, log, death, changes))

    def kshift(self, *arguments: str, **more: Any) -> str:
        """Run a command to its good end; what it printed."""
        process = self.start(*arguments, **more)
        code = process.wait()
        assert code == 0, f"{arguments}: exit code {code}: {process.told()}"
        return process.told()

    def heal(self, *arguments: str, changes: tuple[Callable[[], None], ...] = ()) -> float:
        """The next run of its kind, after which everything must be there: how many seconds that took."""
        began = time.monotonic()
        self.kshift(*(arguments or ("ingest",)), changes=changes)
        return time.monotonic() - began

    def named(self) -> set[str]:
        """Every file that a snapshot names."""
        catalogs = [json.loads(path.read_bytes()) for path in self.published.glob(f"snapshots/[!.]*/{CATALOG}")]
        return {file for catalog in catalogs for table in catalog["tables"].values() for file in table["files"]}

    def look(self, per_game: Sequence[str] = PER_GAME) -> Look:
        """What consumers see."""
        return look(self.published, per_game)

    def leftovers(self) -> list[str]:
        """Drafts and links that a killed publisher left behind."""
        hidden = [*(self.published / "snapshots").glob(".*"), *self.published.glob(".*.*")]
        return sorted(str(path.relative_to(self.published)) for path in hidden)


@contextmanager
def house(folder: Path, games: int = 6, **settings: str) -> Iterator[House]:
    """A lakehouse with a first snapshot of so many games; its commands end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with ReplayServer(World()) as server:
        usual = {
            "KSHIFT_HOME": str(folder / "home"),
            "KSHIFT_LICHESS_URL": server.url,
            "KSHIFT_PLAYERS": PLAYER,
            "KSHIFT_PAGE_GAMES": "2",
            "KSHIFT_PROFILE_BUDGET": "0",
            "KSHIFT_DATA_AGE_DAYS": "36600",
            "KSHIFT_DISK_FREE_GB": "0",
            "COLUMNS": "200",
        }
        made = House(folder, server, usual | settings)
        made.play(games)
        made.kshift("ingest")
        made.snapshots.append(made.look().snapshot)
        yield made
