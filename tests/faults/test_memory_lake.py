"""The lake in memory behaves as the real one does, in all that ingestion uses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from faults.memory_lake import MemoryLake

from kshift_assets.chess.game_store import GAMES_SCHEMA
from resources.lake import Cursor, CursorMoved, Lake
from worlds import game_id

TABLE = "lichess.player_games"
MONTHS = ("2024-03", "2024-04", "2024-05")


def rows(chance: Random, number: int) -> pl.DataFrame:
    moment = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**6))
    found = [
        {
            "id_game": game_id(chance.randrange(50)),
            "id_user": "alice_a",
            "tm_created": moment,
            "val_document": f"{chance.random()}",
            "val_hash": "0",
            "id_fetch": "f",
            "tm_ingested": moment,
            "dt_month": chance.choice(MONTHS),
        }
        for _ in range(number)
    ]
    return pl.DataFrame(found, schema=GAMES_SCHEMA, orient="row")


def seen(lake: Any, months: Any = None) -> list[tuple[Any, ...]]:
    return sorted(lake.scan(TABLE, GAMES_SCHEMA, months).collect().rows())


def test_after_any_writes_both_lakes_hold_the_same(tmp_path: Path):
    chance = Random(5)  # seeded, so that it can be rerun
    real, memory = Lake(uri=str(tmp_path / "lake")), MemoryLake()
    assert seen(real) == seen(memory) == []
    for _ in range(40):
        name, position = chance.choice(("anna", "ben")), chance.randrange(1_000)
        old = memory.cursor(TABLE, name) if chance.random() < 0.8 else position
        cursor = Cursor(name, position, old) if chance.random() < 0.7 else None
        frame = rows(chance, chance.randint(0, 4))
        refused = []
        for lake in (real, memory):
            try:
                if cursor is None and position < 300:
                    lake.overwrite(TABLE, lambda part=frame: [part], GAMES_SCHEMA)
                else:
                    lake.append(TABLE, frame, GAMES_SCHEMA, cursor)
                refused.append(False)
            except CursorMoved:
                refused.append(True)
        assert refused in ([True, True], [False, False])
        assert real.cursor(TABLE, name) == memory.cursor(TABLE, name)
        assert seen(real) == seen(memory)
        assert seen(real, MONTHS[:2]) == seen(memory, MONTHS[:2])


def test_what_a_kill_prevents_is_not_stored_by_half():
    def killed(_: str) -> None:
        raise KeyboardInterrupt

    lake = MemoryLake(before_commit=killed)
    with pytest.raises(KeyboardInterrupt):
        lake.append(TABLE, rows(Random(1), 3), GAMES_SCHEMA, Cursor("anna", 5, None))  # seeded, so that it can be rerun
    assert (seen(lake), lake.cursor(TABLE, "anna"), lake.version(TABLE)) == ([], None, None)
    lake = MemoryLake(after_commit=killed)
    with pytest.raises(KeyboardInterrupt):
        lake.append(TABLE, rows(Random(1), 3), GAMES_SCHEMA, Cursor("anna", 5, None))  # seeded, so that it can be rerun
    assert (len(seen(lake)), lake.cursor(TABLE, "anna"), lake.version(TABLE)) == (3, 5, 1)
