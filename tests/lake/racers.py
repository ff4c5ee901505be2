"""Processes that write to one lake at the same moment: started once, and let loose together round by round."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import polars as pl
import stamina
from lake_rows import SCHEMA, TABLE, rows

from resources.lake import Cursor, CursorMoved, Lake, Written

PATIENCE_SECONDS = 60
ROWS = 100


@dataclass(frozen=True)
class Racer:
    """One of the processes, as its round sees it."""

    lake: Lake
    number: int
    round: int


def _counted(frame: pl.DataFrame) -> tuple[list[int], Callable[[], Iterator[pl.DataFrame]]]:
    calls: list[int] = []

    def frames() -> Iterator[pl.DataFrame]:
        calls.append(1)
        yield frame

    return calls, frames


def fill_month(racer: Racer) -> Written:
    """Fill the same new month: ten of one table, then ten of another."""
    month = f"2013-{racer.round % 10 + 1:02}"
    frame = rows(racer.round * ROWS, ROWS, month, str(racer.number))
    return racer.lake.overwrite(f"round.t{racer.round // 10}", lambda: [frame], SCHEMA, month)


def fill_table(racer: Racer) -> Written:
    """Fill the same table, all of it; every fifth round begins a new one, every other round gives it other columns."""
    schema = pl.Schema({**SCHEMA, f"n_{racer.round // 2}": pl.Int16})
    frame = rows(0, ROWS, text=str(racer.number)).with_columns(pl.lit(racer.number).alias(f"n_{racer.round // 2}"))
    return racer.lake.overwrite(f"round.t{racer.round // 5}", lambda: [frame], schema)


def add_column(racer: Racer) -> Written:
    """Append rows with a column that the table has not yet."""
    frame = rows((4 * racer.round + racer.number) * ROWS, ROWS).with_columns(
        pl.lit(racer.number).alias(f"n_{racer.round}")
    )
    return racer.lake.append(TABLE, frame, pl.Schema({**SCHEMA, f"n_{racer.round}": pl.Int16}))


def fill_own_month(racer: Racer) -> int:
    """Fill a month that nobody else touches; returns how often it was written."""
    month = f"2013-0{racer.number + 1}"
    calls, frames = _counted(rows(racer.number * ROWS, ROWS, month, str(racer.round)))
    racer.lake.overwrite(TABLE, frames, SCHEMA, month)
    return len(calls)


def add_page(racer: Racer) -> bool:
    """Add the page of this round and move the cursor; whether this process was the one."""
    position = racer.round + 1
    page = rows(racer.round * ROWS, ROWS, text=str(racer.number))
    try:
        racer.lake.append(TABLE, page, SCHEMA, Cursor("anna", position, racer.round or None))
    except CursorMoved:
        return False
    return True


class Racers:
    """Several processes; `race` runs one function in all of them, `rounds` times, each round behind a barrier."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    def race(self, work: Callable[[Racer], Any], lake: Lake, rounds: int, first: int = 0) -> list[list[Any]]:
        """What each round gave in each process."""
        for connection in self._connections:
            connection.send((work, lake.uri, range(first, first + rounds)))
        columns = [connection.recv() for connection in self._connections]
        assert all(isinstance(column, list) for column in columns), columns
        return [list(one) for one in zip(*columns, strict=True)]


@contextmanager
def racers(count: int) -> Iterator[Racers]:
    """Start the processes; they end with the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["duckdb", "resources.lake"])  # imported once, not by each of them
    barrier = context.Barrier(count)
    pipes = [context.Pipe() for _ in range(count)]
    processes = [
        context.Process(target=_run, args=(number, barrier, theirs), daemon=True)
        for number, (_, theirs) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    for _, theirs in pipes:
        theirs.close()
    try:
        yield Racers([ours for ours, _ in pipes])
    finally:
        for ours, _ in pipes:
            ours.close()
        for process in processes:
            process.join(PATIENCE_SECONDS)


def _run(number: int, barrier: Barrier, connection: Connection) -> None:
    stamina.instrumentation.set_on_retry_hooks([])
    while True:
        try:
            work, uri, rounds = connection.recv()
        except EOFError:
            return
        lake, results = Lake(uri=uri), []
        try:
            for turn in rounds:
                barrier.wait(PATIENCE_SECONDS)
                results.append(work(Racer(lake, number, turn)))
        except Exception as error:  # noqa: BLE001  # the test shows it
            barrier.abort()
            results = repr(error)
        connection.send(results)
