"""H8: `kill -9` while a snapshot is published, while another is made the latest again, and during upkeep."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random

from drills.house import PER_GAME, Death, House, Process, house
from drills.outcome import Outcome

from kshift_assets.chess.game_store import GAMES_SCHEMA
from resources import maintenance, snapshots
from resources.lake import Lake
from resources.retention import Retention
from resources.snapshots import Snapshots

PUBLISHING = (
    Death("resources.snapshots:_write_database"),
    Death("resources.snapshots:_write_database", "after"),
    Death("resources.snapshots:_catalog"),
    Death("resources.snapshots:sync_tree"),
    Death("resources.snapshots:sync_tree", "after"),
    Death("resources.snapshots:sync"),
    Death("resources.snapshots:Snapshots.point_to"),
    Death("resources.snapshots:_swap_link", "after"),
    Death("kshift_assets.published:report"),
)
ROLLING_BACK = (
    Death("resources.snapshots:Snapshots.point_to"),
    Death("resources.snapshots:_swap_link"),
    Death("pathlib:Path.replace"),
    Death("pathlib:Path.replace", "after"),
    Death("resources.snapshots:sync"),
)
UPKEEP = (
    Death("resources.lake:Lake.compact"),
    Death("resources.parts:Parts.write", "after"),
    Death("resources.lake:replace"),
    Death("resources.lake:replace", "after"),
    Death("resources.lake:Lake.compact", "after", 2),
    Death("resources.maintenance:file_system", "after", 4),
    Death("resources.maintenance:Maintenance._clean", "after", 3),
    Death("resources.maintenance:Maintenance._checkpoint", "before", 2),
    Death("resources.maintenance:sync_commits", "before", 2),
)


def publishing(chance: Random, folder: Path, trials: int, *, control: bool = False) -> Outcome:
    """An ingest that is killed while it publishes; the next one publishes the same. Control: links are not renamed."""
    found = Outcome()
    changes = (swap_without_rename,) if control else ()
    deaths: list[Death | None] = [*chance.sample(PUBLISHING, len(PUBLISHING)), *[None] * trials]
    if control:
        deaths = [Death("pathlib:Path.symlink_to", countdown=1)]
    with house(folder) as made:
        for death in deaths[:trials]:
            before = made.ids
            made.play()
            process = made.start("ingest", death=death, changes=changes)
            if death is None:
                _kill_soon(process, chance, lambda: any((made.published / "snapshots").glob(".*")))
            found += _ended(process, death)
            found += _audit(made, [before, made.ids], f"killed {death or 'at random'}")
            found.recovery.append(made.heal())
            found += _audit(made, [made.ids], "after the next run")
            if left := made.leftovers():
                found.wrong.append(f"left behind: {left}")
    return found


def rolling_back(chance: Random, folder: Path, trials: int, *, control: bool = False) -> Outcome:
    """`kshift rollback` that is killed. Control: links are not renamed."""
    found = Outcome()
    changes = (swap_without_rename,) if control else ()
    deaths: list[Death | None] = [*ROLLING_BACK, *[None] * trials][:trials]
    if control:
        deaths = [Death("pathlib:Path.symlink_to", countdown=1)]
    with house(folder) as made:
        contents = {made.look().snapshot: made.look().ids}
        for _ in range(2):
            made.play()
            made.kshift("ingest")
            contents[made.look().snapshot] = made.look().ids
        for death in deaths:
            now = made.look().snapshot
            wanted = chance.choice([one for one in contents if one != now])
            process = made.start("rollback", wanted, death=death, changes=changes)
            if death is None:
                time.sleep(chance.uniform(0, 0.1))
                process.kill()
            found += _ended(process, death)
            found += _audit(made, [contents[now], contents[wanted]], f"killed {death or 'at random'}")
            found.recovery.append(made.heal("rollback", wanted))
            found += _audit(made, [contents[wanted]], "after the next rollback")
            if left := made.leftovers():
                found.wrong.append(f"left behind: {left}")
    return found


def keeping_up(chance: Random, folder: Path, trials: int, *, control: bool = False) -> Outcome:
    """`kshift maintain` that is killed: it merges what it can, removes at once. Control: snapshots are not spared."""
    found = Outcome()
    changes = (without_grace, merging_all, *((sparing_nothing,) if control else ()))
    deaths: list[Death | None] = [*chance.sample(UPKEEP, len(UPKEEP)), *[None] * trials][:trials]
    with house(folder) as made:
        for death in deaths:
            made.play(4)
            made.kshift("ingest")
            process = made.start("maintain", death=death, changes=changes)
            if death is None:
                time.sleep(chance.uniform(0.1, 0.8))
                process.kill()
            found += _ended(process, death)
            found += _audit(made, [made.ids], f"killed {death or 'at random'}")
            found.recovery.append(made.heal("maintain", changes=changes))
            found += _audit(made, [made.ids], "after the next upkeep")
            made.kshift("maintain", changes=changes)  # what the last one merged is removed by this one
            if forgotten := _forgotten(made):
                found.wrong.append(f"files that nobody needs are still there: {forgotten}")
            if control and not found.is_green:
                break
    return found


def _kill_soon(process: Process, chance: Random, is_at_work: Callable[[], bool]) -> None:
    """At a random moment of the work."""
    while not is_at_work() and not process.is_over:
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.3))
    process.kill()


def _ended(process: Process, death: Death | None) -> Outcome:
    """A trial whose process is over; who was to die at a step and did not come to it is wrong."""
    code = process.wait()
    wrong = [f"it never came to {death}: exit code {code}"] if death and code != -9 else []
    return Outcome(trials=1, kills=int(code == -9), wrong=wrong)


def _audit(made: House, wanted: list[frozenset[str]], when: str) -> Outcome:
    """The latest snapshot is one of those, whole; all snapshots have their files; the lake has every game once."""
    found = Outcome()
    try:
        seen = made.look()
    except Exception as broken:  # noqa: BLE001  # whatever a consumer runs into is the finding
        return Outcome(lost=len(wanted[0]), wrong=[f"{when}: {broken}"])
    if seen.ids not in wanted:
        found.lost += len(wanted[0] - seen.ids)
        found.wrong.append(f"{when}: neither the old snapshot nor the new one, {len(seen.ids)} games")
    found.torn += len(seen.skew)
    found.wrong += [f"{when}: {one}" for one in seen.skew]
    found.lost += sum(not Path(file).exists() for file in made.named())
    if when.startswith("after"):
        stored = Lake(uri=str(made.home / "lake")).scan(PER_GAME[0], GAMES_SCHEMA).collect()["id_game"].to_list()
        found.lost += len(made.ids - set(stored))
        found.torn += len(stored) - len(set(stored))
    return found


def _forgotten(made: House) -> list[str]:
    """Parquet files below the lake that neither a table nor a snapshot names."""
    lake = Lake(uri=str(made.home / "lake"))
    on_disk = {str(path) for path in (made.home / "lake").rglob("*.parquet") if "_delta_log" not in path.parts}
    tables = [".".join(log.parts[-3:-1]) for log in (made.home / "lake").glob("*/*/_delta_log")]
    named = {file for table in tables for file in lake.files(table)} | made.named()
    return sorted(on_disk - named)


def swap_without_rename() -> None:
    """The link is removed and made again."""

    def swap(link: Path, target: str) -> None:
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    snapshots._swap_link = swap


def without_grace() -> None:
    """All that is old enough goes at once, as if the days had passed."""
    Retention.grace = property(lambda _: timedelta(0))  # type: ignore[method-assign,assignment]


def merging_all() -> None:
    """Two small files are worth merging."""
    maintenance.SMALL_FILES = 2


def sparing_nothing() -> None:
    """Upkeep does not ask what snapshots name."""
    Snapshots.ids = lambda _: []  # type: ignore[method-assign]
