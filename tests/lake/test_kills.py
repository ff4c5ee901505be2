"""`kill -9` at any moment: what was acknowledged is there, and nothing is there by half."""

import multiprocessing
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import polars as pl
import pytest
from kill_writer import GENERATIONS, MONTH_ROWS, PAGE_ROWS, READY, write
from lake_rows import FEBRUARY, JANUARY, MARCH, SCHEMA, TABLE, numbers

from resources.lake import Lake

KILLS = 15  # in each of two lakes

Acknowledged = int | tuple[str, int]


@pytest.mark.parametrize("lake_number", [0, pytest.param(1, marks=pytest.mark.drill)])
def test_kills_lose_nothing_that_was_acknowledged_and_tear_nothing(tmp_path: Path, lake_number: int):
    seed = random.SystemRandom().randrange(2**32)
    print(f"lake {lake_number}, seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    chance = random.Random(seed)
    lake = Lake(uri=str(tmp_path / "lake"))
    cursor, generations = 0, {FEBRUARY: -1, MARCH: -1}

    for life in range(KILLS):
        acknowledged = _live_and_be_killed(lake.uri, life, chance)
        for one in acknowledged:
            if isinstance(one, int):
                cursor = one
            else:
                generations[one[0]] = one[1]

        stored = lake.cursor(TABLE, "anna") or 0
        assert cursor <= stored <= cursor + 1, "the page in hand may be stored without its acknowledgement"
        assert numbers(lake.scan(TABLE, SCHEMA, JANUARY).collect()) == list(range(stored * PAGE_ROWS))
        cursor = stored
        for month, generation in tuple(generations.items()):
            generations[month] = _generation(lake, month, generation, life)

    assert cursor > KILLS / 5, "killed too early to prove anything"
    assert max(generations.values()) > 0


def _live_and_be_killed(uri: str, life: int, chance: random.Random) -> list[Acknowledged]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["duckdb", "resources.lake"])
    ours, theirs = context.Pipe(duplex=False)
    writer = context.Process(target=write, args=(uri, life, chance.randrange(2**32), theirs), daemon=True)
    writer.start()
    theirs.close()
    assert ours.recv() == READY
    acknowledged, started = [], time.monotonic()
    wanted = chance.randrange(4)
    while len(acknowledged) < wanted:
        acknowledged.append(ours.recv())
    # At any moment of the next two commits, however long they take on this machine.
    time.sleep(chance.uniform(0, 2 * (time.monotonic() - started) / wanted if wanted else 0.2))
    writer.kill()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL, "it ended by itself"
    return acknowledged + _rest(ours)


def _rest(connection: Connection) -> list[Acknowledged]:
    rest = []
    try:
        while True:
            rest.append(connection.recv())
    except EOFError:
        return rest


def _generation(lake: Lake, month: str, acknowledged: int, life: int) -> int:
    """The one generation that a month holds, whole: the acknowledged one, or the one that was in hand."""
    frame = lake.scan(TABLE, SCHEMA, month).collect()
    if acknowledged < 0 and frame.height == 0:
        return acknowledged
    assert numbers(frame) == list(range(MONTH_ROWS))
    (generation,) = frame.get_column("val_text").cast(pl.Int64).unique()
    assert generation == acknowledged or generation in range(
        max(acknowledged, life * GENERATIONS), (life + 1) * GENERATIONS
    )
    return generation
