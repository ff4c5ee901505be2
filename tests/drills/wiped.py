"""H14: a lakehouse that is wiped comes back from its backup, and what is derived comes back from its sources."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import polars as pl
from drills.house import House, house
from drills.outcome import Outcome

from resources import backup_store
from resources.backup_store import BackupStore, Entry, Part
from resources.lake import Lake

DERIVED = ("chess", "analytics", "marts")
"""Schemas whose tables are made from others, or from code."""


def wiped(chance: Random, folder: Path, trials: int, *, control: bool = False) -> Outcome:
    """Back up, wipe, restore; wipe what is derived, make it anew. Control: bytes of a backup are not checked."""
    found = Outcome()
    with house(folder) as made:
        target = folder / "backup"
        for _ in range(trials):
            made.play()
            made.kshift("ingest")
            found += _damaged(made, target, chance, (believing,)) if control else _one(made, target, chance)
            if control:
                break
    return found


def _one(made: House, target: Path, chance: Random) -> Outcome:
    found = Outcome(trials=1)
    before, acknowledged = rows_of(made), made.look()
    made.kshift("backup", str(target))
    made.kshift("verify", str(target))
    shutil.rmtree(made.home)
    made.play()  # meanwhile
    began = time.monotonic()
    made.kshift("restore", str(target))
    restored, there = rows_of(made), made.look()
    found += _compared(before, restored, "restored")
    found.lost += len(acknowledged.ids - there.ids)
    if there.snapshot != acknowledged.snapshot:
        found.wrong.append(f"the latest snapshot is {there.snapshot}, not {acknowledged.snapshot}")
    made.kshift("ingest")
    found.recovery.append(time.monotonic() - began)
    found += _published(made, "after the next ingest")
    everything = rows_of(made)
    for schema in DERIVED:
        shutil.rmtree(made.home / "lake" / schema)
    for selection in ('group:"chess/*"', "published/snapshot"):
        made.kshift("run", selection)
    found += _compared(everything, rows_of(made), "made anew")
    found += _published(made, "made anew")
    return found + _damaged(made, target, chance, ())


def _damaged(made: House, target: Path, chance: Random, changes: tuple[Callable[[], None], ...]) -> Outcome:
    """One byte of a backup is another one: that is told, by both commands, and what was stored is not mixed up."""
    found = Outcome(trials=1)
    copy = target.with_name("damaged")
    made.kshift("backup", str(copy))
    plain = sorted(path for path in copy.glob("objects/*/*") if path.suffix != ".zst" and path.stat().st_size)
    chosen = chance.choice(plain)
    content = bytearray(chosen.read_bytes())
    content[len(content) // 2] ^= 1
    chosen.write_bytes(content)
    elsewhere = str(made.folder / "elsewhere")
    for command in ("verify", "restore"):
        process = made.start(command, str(copy), changes=changes, KSHIFT_HOME=elsewhere)
        code, told = process.wait(), process.told()
        if code != 1 or chosen.name not in told or "Traceback" in told:
            found.wrong.append(f"{command} of a damaged backup: exit code {code}, told: {told[-400:]}")
    shutil.rmtree(copy)
    shutil.rmtree(elsewhere, ignore_errors=True)
    return found


def rows_of(made: House) -> dict[str, pl.DataFrame]:
    """Table → its rows in one order; what ran (`ops`) aside, which every command adds to."""
    lake = Lake(uri=str(made.home / "lake"))
    return {table: _rows(lake, table) for table in _tables(made.home / "lake")}


def _tables(lake: Path) -> Iterator[str]:
    for log in sorted(lake.glob("*/*/_delta_log")):
        table = ".".join(log.parts[-3:-1])
        if not table.startswith("ops."):
            yield table


def _rows(lake: Lake, table: str) -> pl.DataFrame:
    frame = lake.scan(table, lake.columns_of(table)).collect()
    texts = frame.select(pl.struct(pl.all()).map_elements(str, pl.String).alias("text"))["text"]
    return frame[texts.arg_sort()]


def _compared(before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame], when: str) -> Outcome:
    """Every row of every table, with every column."""
    found = Outcome()
    for table, rows in before.items():
        now = after.get(table, rows.clear())
        if not now.equals(rows):
            found.lost += max(rows.height - now.height, 0)
            found.torn += 1
            found.wrong.append(f"{when}: {table} has {now.height} rows, not the same {rows.height}")
    return found


def _published(made: House, when: str) -> Outcome:
    seen = made.look()
    found = Outcome(lost=len(made.ids - seen.ids), torn=len(seen.skew))
    if found.lost or found.torn:
        found.wrong.append(f"{when}: {found.lost} games are missing, {seen.skew}")
    return found


def believing() -> None:
    """What a backup holds is taken as it is."""

    def read(self: BackupStore, part: Part) -> bytes:
        assert self.folder
        stored = (self.folder / backup_store._key(part.name)).read_bytes()
        return backup_store._unpacked(stored, part.name) if part.name.endswith(".zst") else stored

    def contents(self: BackupStore, entry: Entry) -> Iterator[bytes]:
        for part in entry.parts:
            yield self.read(part)

    BackupStore.read, BackupStore.contents = read, contents  # type: ignore[method-assign]
