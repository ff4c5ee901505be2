"""H9: a disk with 0, 64 or 400 KB of room, and one that is read-only: told in a sentence, and nothing lost.

The disk is a real file system in memory, mounted where only this drill sees it, in a namespace of its own: for that one
must be root, or the system must let users make such namespaces. A process of its own does the work there:
`python -m drills.full_disk` is how the drill calls itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from drills.house import PER_GAME, PLAYER, House, house
from drills.outcome import Outcome

from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.ingestion import CURSOR
from resources.lake import Lake
from serving import cli

ROOMS: tuple[int | None, ...] = (0, 64, 400, None)
"""KB that are free; None where nothing can be written at all."""
PLENTY = "1g"
WORDS = ("No space left on device", "Read-only file system", "the disk takes nothing more", "cannot be written")
"""One of these names the cause."""


@dataclass(frozen=True)
class Trial:
    """What is called while there is no room where."""

    command: tuple[str, ...]
    place: str
    """`home`: everything lies on the disk; `lake`: the tables alone; `target`: backups alone."""
    room: int | None

    def __str__(self) -> str:
        """As a failure names it."""
        return f"{' '.join(self.command)}, {self.place} {'read-only' if self.room is None else f'{self.room} KB'}"


class Disk:
    """A file system of its own at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        _mount("-t", "tmpfs", "-o", f"size={PLENTY}", "tmpfs", str(folder))

    def leave(self, room: int | None) -> None:
        """Let so many KB be free; with None, make it read-only."""
        if room is None:
            _mount("-o", "remount,ro", str(self.folder))
            return
        now = os.statvfs(self.folder)
        used = (now.f_blocks - now.f_bfree) * now.f_frsize
        _mount("-o", f"remount,size={used + room * 1024}", str(self.folder))

    def give_room(self) -> None:
        """As it was."""
        _mount("-o", f"remount,rw,size={PLENTY}", str(self.folder))


def full_disk(chance: Random, folder: Path, trials: int, *, control: bool = False) -> Outcome:
    """Commands while their disk is full or read-only. Control: errors of the disk come out as they are."""
    apart = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        return Outcome(skipped="no mount namespace of one's own here: run it as root")
    command = [*apart, sys.executable, "-m", "drills.full_disk", str(chance.random()), str(folder), str(trials)]
    done = subprocess.run([*command, *["control"] * control], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def all_trials(chance: Random, number: int) -> list[Trial]:
    """Every command with every room, the ones that matter most first."""
    found = [Trial(("ingest", "--alert"), place, room) for place in ("lake", "home") for room in ROOMS]
    others = [
        Trial(command, "home", room) for command in (("run", "published/snapshot"), ("maintain",)) for room in ROOMS
    ]
    others += [Trial(("backup",), "target", room) for room in ROOMS]
    return [*found, *chance.sample(others, len(others))][:number]


def work(chance: Random, folder: Path, number: int, *, control: bool) -> Outcome:
    """All trials, in this namespace."""
    found = Outcome()
    for place, folder_of_disk in (("lake", "tables"), ("home", "home"), ("target", "backups")):
        trials = [one for one in all_trials(chance, number) if one.place == place]
        if control:
            trials = [Trial(("ingest",), "home", 0)] if place == "home" else []
        if not trials:
            continue
        below = folder / place
        disk = Disk(below / folder_of_disk)
        tables = {"KSHIFT_LAKE_URI": str(disk.folder / "lake"), "KSHIFT_DISK_FREE_GB": "0.01"}
        with house(below, **(tables if place == "lake" else {})) as made:
            for trial in trials:
                if place == "target":
                    found += _backup(trial, made, disk)
                else:
                    found += _one(trial, made, disk, (mute,) if control else ())
    return found


def _one(trial: Trial, made: House, disk: Disk, changes: tuple[Callable[[], None], ...]) -> Outcome:
    found, before = Outcome(trials=1), made.ids
    acknowledged = set(_stored(made))
    made.play()
    disk.leave(trial.room)
    process = made.start(*trial.command, changes=changes)
    code, told = process.wait(), process.told()
    found.wrong += _unsaid(trial, code, told)
    if "--alert" in trial.command and trial.place == "lake" and code:
        wanted = {"run"} if trial.room is None else {"run", "disk"}
        found.wrong += [f"{trial}: no alert of kind {one}" for one in wanted - _troubles(made)]
    found += _audit(made, [before, made.ids], acknowledged, f"{trial}, while there is no room")
    disk.give_room()
    again = ("ingest", "--alert") if "--alert" in trial.command else ("ingest",)
    try:
        found.recovery.append(made.heal(*again))
    except AssertionError as error:
        found.wrong.append(f"{trial}, once there is room: {error}")
        return found
    found += _audit(made, [made.ids], set(made.ids), f"{trial}, once there is room")
    if left := made.leftovers():
        found.wrong.append(f"{trial}: left behind: {left}")
    if "--alert" in trial.command and trial.place == "lake" and (open_still := _troubles(made)):
        found.wrong.append(f"{trial}: never recovered: {open_still}")
    return found


def _backup(trial: Trial, made: House, disk: Disk) -> Outcome:
    """A backup without room: told, the backups before it stay whole, and so is the next one."""
    found, target = Outcome(trials=1), str(disk.folder / "here")
    made.kshift("backup", target)
    made.play()
    made.kshift("ingest")
    disk.leave(trial.room)
    process = made.start(*trial.command, target)
    found.wrong += _unsaid(trial, process.wait(), process.told())
    found += _verified(made, target, f"{trial}, while there is no room")
    disk.give_room()
    found.recovery.append(made.heal("backup", target))
    return found + _verified(made, target, f"{trial}, once there is room")


def _verified(made: House, target: str, when: str) -> Outcome:
    process = made.start("verify", target)
    return Outcome(wrong=[f"{when}: {process.told()}"]) if process.wait() else Outcome()


def _unsaid(trial: Trial, code: int, told: str) -> list[str]:
    """What is wrong with how a command that found no room ended, and with what it said."""
    if "Traceback" in told or code not in (0, 1, 2):
        return [f"{trial}: exit code {code}, told: {told[-600:]}"]
    if code and not any(word in told for word in WORDS):
        return [f"{trial}: the cause is not told: {told[-600:]}"]
    if code == 0 and trial.room in (0, None):
        return [f"{trial}: it says that all is well: {told[-300:]}"]
    return []


def _troubles(made: House) -> set[str]:
    """The kinds of incidents that are open, by the file of alerts."""
    file = made.home / "alerts.jsonl"
    letters = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    last = {(one["kind"], one["subject"]): one["severity"] for one in letters}
    return {kind for (kind, _), severity in last.items() if severity == "trouble"}


def _stored(made: House) -> list[str]:
    lake = Lake(uri=made.settings.get("KSHIFT_LAKE_URI", str(made.home / "lake")))
    rows = lake.scan(PER_GAME[0], GAMES_SCHEMA).collect()["id_game"].to_list()
    assert all(isinstance(one, str) for one in rows)
    return rows


def _audit(made: House, wanted: list[frozenset[str]], acknowledged: set[str], when: str) -> Outcome:
    """Nothing that was stored is gone, the cursor is not ahead, and consumers see one whole snapshot."""
    found = Outcome()
    try:
        stored, seen = _stored(made), made.look()
    except Exception as broken:  # noqa: BLE001  # whatever a consumer runs into is the finding
        return Outcome(lost=len(wanted[0]), wrong=[f"{when}: {broken}"])
    found.lost += len(acknowledged - set(stored))
    found.torn += len(stored) - len(set(stored)) + len(seen.skew)
    lake = Lake(uri=made.settings.get("KSHIFT_LAKE_URI", str(made.home / "lake")))
    cursor = lake.cursor(PER_GAME[0], CURSOR.format(PLAYER)) or 0
    games = made.server.world.games.values()
    found.lost += len({one["id"] for one in games if one["createdAt"] <= cursor} - set(stored))
    if seen.ids not in wanted:
        found.wrong.append(f"{when}: {len(seen.ids)} games are published, neither the old ones nor the new ones")
    return found


def mute() -> None:
    """Nobody looks whether an error comes from the disk."""
    cli.disk_trouble = lambda _: None


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    seed, where, how_many = sys.argv[1:4]
    outcome = work(Random(seed), Path(where), int(how_many), control="control" in sys.argv[4:])
    sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
