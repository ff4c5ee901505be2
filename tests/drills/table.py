"""The recovery drills: what is killed, filled up, read, changed and wiped on purpose, and how it comes back.

`python -m drills.table` (with this folder's parent on the path) prints a line for each drill and ends with 1 if one is
red, or if its control is green: each drill is also done with a guard taken away, and must then find something.
One of them alone: `python -m drills.table --only 'H8 rollback' --seed 4711`.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from typing import Protocol

from drills.drift import DRIFTS, drift
from drills.full_disk import full_disk
from drills.killed import keeping_up, publishing, rolling_back
from drills.outcome import Outcome
from drills.readers import readers
from drills.wiped import wiped


class Work(Protocol):
    """How a drill is done: so many trials in a folder of its own, or its control."""

    def __call__(self, chance: Random, folder: Path, trials: int, *, control: bool) -> Outcome:
        """Do it."""


@dataclass(frozen=True)
class Drill:
    """A line of the table."""

    name: str
    fault: str
    work: Work
    trials: int
    control: str
    """What is taken away in its control."""


DRILLS = (
    Drill("H8 publish", "kill -9 while a snapshot is published", publishing, 14, "links are swapped without a rename"),
    Drill("H8 rollback", "kill -9 of `kshift rollback`", rolling_back, 15, "links are swapped without a rename"),
    Drill("H8 upkeep", "kill -9 of `kshift maintain`", keeping_up, 12, "files of snapshots are not spared"),
    Drill(
        "H9",
        "no room, or read-only: ingest, publish, maintain, backup",
        full_disk,
        20,
        "errors of the disk are passed on",
    ),
    Drill("H12", "readers during all that changes files", readers, 3, "readers take all files of a folder"),
    Drill("H13", "the source's answers change", drift, len(DRIFTS), "a month of rejected games stops nothing"),
    Drill("H14", "backup, wipe, restore, make anew; a damaged backup", wiped, 2, "bytes of a backup are believed"),
)


@dataclass(frozen=True)
class Task:
    """A drill, or its control, with its seed."""

    number: int
    is_control: bool
    trials: int
    seed: str


def perform(task: Task) -> Outcome:
    """Do it in a folder that is gone afterwards."""
    drill = DRILLS[task.number]
    with tempfile.TemporaryDirectory(prefix="kshift-drill-", ignore_cleanup_errors=True) as folder:
        try:
            return drill.work(Random(task.seed), Path(folder), task.trials, control=task.is_control)
        except Exception:  # noqa: BLE001  # a drill that cannot go on is red
            return Outcome(wrong=[traceback.format_exc()])


def run(tasks: Sequence[Task], say: Callable[[str], None]) -> dict[tuple[int, bool], Outcome]:
    """Do all of them, two at a time."""
    found = {}
    with ProcessPoolExecutor(
        min(2, os.cpu_count() or 1), mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        futures = {pool.submit(perform, task): task for task in tasks}
        for future in as_completed(futures):
            task = futures[future]
            found[task.number, task.is_control] = future.result()
            say(f"… {DRILLS[task.number].name}{', control' if task.is_control else ''} done\n")
    return found


FORM = "{:<13}{:<58}{:>7}{:>7}{:>6}{:>6}{:>18}  {:<60}{}\n"
HEAD = ("drill", "fault", "trials", "kills", "lost", "torn", "recovery, s", "control", "verdict")


def report(found: dict[tuple[int, bool], Outcome], say: Callable[[str], None]) -> bool:
    """Print the table; whether everything is as it must be."""
    say(FORM.format(*HEAD))
    is_well = True
    for number, drill in enumerate(DRILLS):
        if (number, False) not in found:
            continue
        outcome, control = found[number, False], found[number, True]
        if outcome.skipped:
            say(FORM.format(drill.name, drill.fault, *"----", "-", "-", f"skipped: {outcome.skipped}"))
            continue
        is_right = outcome.is_green and outcome.trials > 0 and not control.is_green
        is_well = is_well and is_right
        if not is_right:
            verdict = "RED" if not outcome.is_green or not outcome.trials else "ITS CONTROL IS GREEN"
        else:
            verdict = "green"
        counts = (outcome.trials, outcome.kills, outcome.lost, outcome.torn)
        shown = f"red without: {drill.control}" if not control.is_green else f"green without: {drill.control}"
        say(FORM.format(drill.name, drill.fault, *counts, _recovery(outcome.recovery), shown, verdict))
    say("recovery: from the end of the fault until the next run had everything again, median and longest\n")
    for (number, is_control), outcome in sorted(found.items()):
        if not is_control:
            for text in outcome.wrong:
                say(f"\n{DRILLS[number].name}: {text}\n")
    return is_well


def _recovery(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f} / {max(seconds):.1f}" if seconds else "-"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="drills.table", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", default=str(SystemRandom().randrange(10**6)), help="of all that is left to chance")
    parser.add_argument("--trials", type=int, help="how many of each drill, instead of its own number")
    parser.add_argument("--only", help="drills whose name begins so")
    given = parser.parse_args()
    say = sys.stdout.write
    say(f"seed {given.seed}\n")
    started = time.monotonic()
    tasks = [
        Task(number, is_control, given.trials or drill.trials, f"{given.seed} {drill.name}")
        for number, drill in enumerate(DRILLS)
        if drill.name.startswith(given.only or "")
        for is_control in (False, True)
    ]
    is_well = bool(tasks) and report(run(tasks, say), say)
    say(f"\n{time.monotonic() - started:.0f} s; {'all as it must be' if is_well else 'NOT as it must be'}\n")
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main())
