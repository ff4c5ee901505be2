"""The whole fault matrix: thousands of simulated trials, real sockets, real kills, and each guard removed in turn.

`python -m faults.matrix` (with this folder's parent on the path) prints the table and ends with 1 if anything is red
that must be green, or green that must be red. A trial that failed is run alone, with its name and its seed, by
`python -m faults.matrix --only H3 --trial 4711-12`.
"""

import argparse
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import SystemRandom

import stamina.instrumentation
from faults import sockets
from faults.books import Tally
from faults.guards import GUARDS, without
from faults.sockets import Outcome
from faults.trial import Trial
from faults.weather import ROWS

SIMULATED = 195
"""Trials a row."""
DISK_EVERY = 10
"""Every so many simulated trials have the real lake, in memory where the system has such a folder."""
REAL_OF_A_ROW = 8
GUARD_TRIALS = 24
FEWEST_SIMULATED, FEWEST_REAL, FEWEST_KILLS = 2_000, 100, 60

REAL_ROWS = ("H1", "H2", "H3", "H4", "H5", "H6", "H7", "H11")
"""Rows whose trials also run over sockets."""
PROCESS_TRIALS: dict[str, tuple[str, int, Callable[[str, Path], Outcome]]] = {
    "killed": ("H8", 20, sockets.killed),
    "together": ("H10", 14, sockets.together),
    "wrong clocks": ("H11", 8, sockets.wrong_clocks),
    "refused": ("H2", 6, sockets.refused_then_there),
    "stalled": ("H3", 8, sockets.stalled),
    "long line": ("H5", 2, lambda _, folder: sockets.long_line(folder)),
    "asked at once": ("H10", 2, lambda _, folder: sockets.asked_at_once(folder)),
    "added at once": ("H10", 2, lambda _, folder: sockets.added_at_once(folder)),
    "power cut": ("H8", 2, lambda _, folder: sockets.power_cut(folder)),
}
"""Kind → row, trials, and how one goes."""
LOCK_TRIALS: dict[str, tuple[int, Callable[[str, Path], Outcome]]] = {
    "lock at the gate": (2, lambda _, folder: sockets.asked_at_once(folder, is_gated=False)),
    "lock around look and add": (2, lambda _, folder: sockets.added_at_once(folder, is_locked=False)),
    "fsync": (2, lambda _, folder: sockets.power_cut(folder, syncs=False)),
}
"""Guards that only real processes and a real disk miss → trials without them."""


@dataclass(frozen=True)
class Task:
    """One trial of the matrix."""

    kind: str
    """`simulated`, `real`, a kind of process trial, `guard`, `control` or `lock`."""
    name: str
    seed: str


@dataclass
class Result:
    """What a number of trials showed."""

    tally: Tally = field(default_factory=Tally)
    n_simulated: int = 0
    n_real: int = 0
    n_kills: int = 0
    red: list[Task] = field(default_factory=list)

    def add(self, task: Task, outcome: Outcome) -> None:
        """One more."""
        is_simulated = task.kind in ("simulated", "guard", "control")
        self.n_simulated += is_simulated
        self.n_real += not is_simulated
        self.n_kills += outcome.n_kills
        self.tally += outcome.tally
        if not outcome.tally.is_green:
            self.red.append(task)


def perform(task: Task) -> Outcome:
    """Run one trial in a folder of its own."""
    with _folder(in_memory=task.kind in ("simulated", "guard", "control")) as folder:
        match task.kind:
            case "simulated":
                has_disk = int(task.seed.rsplit("-", 1)[1]) % DISK_EVERY == 0 and "kills" not in ROWS[task.name].turns
                return Outcome(Trial(ROWS[task.name], task.seed, folder, has_disk=has_disk).run())
            case "real":
                return Outcome(Trial(ROWS[task.name], task.seed, folder, is_real=True).run())
            case "guard" | "control":
                return guard_trial(task.name, task.seed, folder, is_removed=task.kind == "guard")
            case "lock":
                return LOCK_TRIALS[task.name][1](task.seed, folder)
            case kind:
                return PROCESS_TRIALS[kind][2](task.seed, folder)


def guard_trial(name: str, seed: str, folder: Path, *, is_removed: bool) -> Outcome:
    """A trial without what would heal the guard's absence: and, if `is_removed`, without the guard."""
    guard = next(one for one in GUARDS if one.name == name)
    removals = (*guard.healers, *((guard.removal,) if is_removed and guard.removal else ()))
    used = timedelta() if is_removed and guard.removal is None else guard.used_lookback
    with without(*removals):
        return Outcome(Trial(guard.row, seed, folder, used=used, only_months=guard.only_months).run())


def quiet() -> None:
    """Trials that fail on purpose say nothing: the table does."""
    logging.disable(logging.CRITICAL)
    stamina.instrumentation.set_on_retry_hooks([])


@contextmanager
def _folder(*, in_memory: bool) -> Iterator[Path]:
    memory = Path("/dev/shm")  # noqa: S108  # a new folder in it, as tempfile makes them
    where = memory if in_memory and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where, prefix="kshift-faults-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def all_tasks(base: str) -> list[Task]:
    """The matrix."""
    tasks = [Task("simulated", name, f"{base}-{number}") for name in ROWS for number in range(SIMULATED)]
    tasks += [Task("real", name, f"{base}-{number}") for name in REAL_ROWS for number in range(REAL_OF_A_ROW)]
    for kind, (row, number_of, _) in PROCESS_TRIALS.items():
        tasks += [Task(kind, row, f"{base}-{number}") for number in range(number_of)]
    for guard in GUARDS:
        for kind in ("guard", "control"):
            tasks += [Task(kind, guard.name, f"{base}-{number}") for number in range(GUARD_TRIALS)]
    for name, (number_of, _) in LOCK_TRIALS.items():
        tasks += [Task("lock", name, f"{base}-{number}") for number in range(number_of)]
    return tasks


def run(tasks: Iterable[Task], say: Callable[[str], None]) -> dict[tuple[str, str], Result]:
    """Run trials in two processes; results by (`matrix`, `guard`, `control` or `lock`; name)."""
    results: dict[tuple[str, str], Result] = defaultdict(Result)
    context = multiprocessing.get_context("spawn")
    n_done, told = 0, time.monotonic()
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1), mp_context=context, initializer=quiet) as pool:
        futures = {pool.submit(perform, task): task for task in tasks}
        for future in as_completed(futures):
            task = futures[future]
            group = task.kind if task.kind in ("guard", "control", "lock") else "matrix"
            results[group, task.name].add(task, future.result())
            n_done += 1
            if time.monotonic() - told > 60:
                told = time.monotonic()
                say(f"… {n_done} of {len(futures)} trials\n")
    return results


HEAD = ("id", "fault", "simulated", "real", "kills", "lost", "duplicated", "invented", "ahead", "together", "early")
FORM = "{:<6}{:<36}{:>10}{:>6}{:>7}{:>6}{:>12}{:>10}{:>7}{:>10}{:>7}{:>12}  {}\n"


def report(results: dict[tuple[str, str], Result], say: Callable[[str], None]) -> bool:
    """Print the matrix; whether everything is as it must be."""
    say(FORM.format(*HEAD, "unfinished", "verdict"))
    total = Result()
    for name, row in ROWS.items():
        result = results["matrix", name]
        _say_row(name, row.fault, result, say)
        total.tally += result.tally
        total.red += result.red
        total.n_simulated, total.n_real = total.n_simulated + result.n_simulated, total.n_real + result.n_real
        total.n_kills += result.n_kills
    _say_row("total", "", total, say)
    is_well = not total.red
    for found, fewest, what in (
        (total.n_simulated, FEWEST_SIMULATED, "simulated trials"),
        (total.n_real, FEWEST_REAL, "trials with sockets"),
        (total.n_kills, FEWEST_KILLS, "kills"),
    ):
        if found < fewest:
            is_well = False
            say(f"too few {what}: {found}, wanted {fewest}\n")
    say("\nM: each guard removed, with what would heal its absence off; beside it the same with the guard in place\n")
    for (group, name), result in results.items():
        if group in ("guard", "lock"):
            number, n_red = result.n_simulated + result.n_real, len(result.red)
            control = results.get(("control", name), Result())
            is_right = n_red > 0 and not control.red
            is_well = is_well and is_right
            beside = (
                f"with it {len(control.red)} of {control.n_simulated}" if control.n_simulated else "with it: see above"
            )
            verdict = "red, as it must be" if is_right else "NOT AS IT MUST BE"
            say(f"M     {name:<28} without it red in {n_red:>2} of {number:>2}, {beside:<20} {verdict}\n")
            total.red += control.red
    for task in total.red:
        say(f"red: --kind '{task.kind}' --only '{task.name}' --trial {task.seed}\n")
    return is_well


def _say_row(name: str, fault: str, result: Result, say: Callable[[str], None]) -> None:
    counts = result.tally.counts()
    verdict = "green" if not result.red else f"RED in {len(result.red)}"
    say(FORM.format(name, fault, result.n_simulated, result.n_real, result.n_kills, *counts, verdict))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="faults.matrix", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", default=str(SystemRandom().randrange(10**6)), help="base of all seeds")
    parser.add_argument("--only", help="one row, or one guard")
    parser.add_argument("--kind", default="simulated", help="simulated, real, guard, control, lock, killed, together …")
    parser.add_argument("--trial", help="one trial of that kind and row alone, by its seed")
    given = parser.parse_args()
    say = sys.stdout.write
    quiet()
    if given.trial:
        outcome = perform(Task(given.kind, given.only, given.trial))
        say(f"{outcome}\n")
        return int(not outcome.tally.is_green)
    say(f"seed {given.seed}\n")
    started = time.monotonic()
    tasks = [task for task in all_tasks(given.seed) if given.only in (None, task.name)]
    is_well = report(run(tasks, say), say)
    say(f"\n{time.monotonic() - started:.0f} s; {'all as it must be' if is_well else 'NOT as it must be'}\n")
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main())
