"""Measures work in processes of its own: seconds, processor seconds, peak memory; medians, tables, results as JSON.

A piece of work is a function of a script here, named `script:function`. Called in a new process it prepares, and hands
back what is to be measured: a function whose answer is kept, or a second function that finds the answer out after the
clock has stopped. Imports and compiled code are loaded by then; the seconds of the whole process are kept as well.
"""

import argparse
import atexit
import importlib
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PEERS = Path(sys.prefix) / "peers"
"""Where `make bench` puts what it compares with: apart from the environment, since Dagster is slower beside pandas."""
ROUNDS = 5
PACKAGES = ("dagster", "deltalake", "duckdb", "numba", "numpy", "polars", "pyarrow", "chess", "zstandard")

console = Console(width=None if sys.stdout.isatty() else 120)
Work = tuple[str, Sequence[object]]
"""`script:function` and its arguments, which JSON must be able to tell."""


@dataclass
class Measured:
    """Several runs of one piece of work; the numbers are medians, the memory is the most of all runs."""

    all_seconds: list[float] = field(default_factory=list)
    all_cpu_s: list[float] = field(default_factory=list)
    all_process_s: list[float] = field(default_factory=list)
    all_peak_mb: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall time of the work."""
        return statistics.median(self.all_seconds)

    @property
    def cpu_s(self) -> float:
        """Processor time of the work, all threads and ended children together."""
        return statistics.median(self.all_cpu_s)

    @property
    def peak_mb(self) -> float:
        """The largest resident memory of the process or of one of its children, in 10^6 bytes."""
        return max(self.all_peak_mb)

    @property
    def rows(self) -> int:
        """How many rows every run gave; runs that differ are no measurement."""
        (rows,) = {answer["rows"] if isinstance(answer, dict) else int(answer) for answer in self.answers}
        return rows

    def as_record(self) -> dict[str, object]:
        """What the results keep."""
        return {
            "seconds": round(self.seconds, 4),
            "seconds_of_each_run": [round(seconds, 4) for seconds in self.all_seconds],
            "cpu_s": round(self.cpu_s, 4),
            "process_s": round(statistics.median(self.all_process_s), 3),
            "peak_mb": round(self.peak_mb),
        }


def fresh(name: str, *arguments: object, into: Measured | None = None) -> Measured:
    """Run a piece of work in a new process."""
    measured = Measured() if into is None else into
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        command = [sys.executable, str(Path(__file__)), name, json.dumps(arguments), str(told)]
        start = time.perf_counter()
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)  # noqa: S603  # ourselves
        process_s = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        one = json.loads(told.read_text())
    measured.all_seconds.append(one["seconds"])
    measured.all_cpu_s.append(one["cpu_s"])
    measured.all_process_s.append(process_s)
    measured.all_peak_mb.append(one["peak_mb"])
    measured.answers.append(one["answer"])
    return measured


def side_by_side(works: Mapping[str, Work], rounds: int) -> dict[str, Measured]:
    """Run every piece of work so many times, in turn: what slows the machine down for a while slows all alike."""
    found = {label: Measured() for label in works}
    for _ in range(rounds):
        for label, (name, arguments) in works.items():
            fresh(name, *arguments, into=found[label])
    return found


def _child(name: str, arguments: str, target: str) -> None:
    module, _, function = name.partition(":")
    sys.path[:0] = [str(HERE.parent)]
    work = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    cpu, start = _cpu_s(), time.perf_counter()
    answer = work()
    seconds, cpu_s = time.perf_counter() - start, _cpu_s() - cpu
    peak = _peak_bytes()
    answer = answer() if callable(answer) else answer
    told = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak / 1e6, "answer": answer}
    Path(target).write_text(json.dumps(told, default=str))


def _peak_bytes() -> int:
    """The most memory of this process, or of one of its ended children.

    ru_maxrss begins with the size of the process that started this one, VmHWM does not: it counts where it is known.
    """
    unit = 1 if platform.system() == "Darwin" else 1024  # ru_maxrss is in bytes there, else in kilobytes
    own, children = (
        resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        own = int(found[1]) * 1024
    return max(own, children)


def _cpu_s() -> float:
    """Of this process, all its threads together, and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass(frozen=True)
class Target:
    """A number that is to be reached, and what was measured."""

    what: str
    measured: float
    limit: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        """One line for the terminal."""
        sign = "≥" if self.at_least else "≤"
        verdict = "[green]met[/]" if self.is_met else "[red]MISSED[/]"
        return f"{self.what}: {number(self.measured)} ({sign} {number(self.limit)}: {verdict})"


@dataclass(frozen=True)
class Options:
    """What the command line of every benchmark asks for."""

    quick: bool
    rounds: int
    results: Path | None

    def sizes(self, *whole: int, quick: Sequence[int]) -> list[int]:
        """How many games to measure on."""
        return list(quick if self.quick else whole)


def options(doc: str | None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few games, one round: to see that it works")
    parser.add_argument("--rounds", type=int, help=f"runs of each piece, {ROUNDS} without it")
    parser.add_argument("--results", type=Path, help="folder of the results; quick ones are not kept without it")
    asked = parser.parse_args()
    results = asked.results or (None if asked.quick else HERE / "results")
    return Options(asked.quick, asked.rounds or (1 if asked.quick else ROUNDS), results)


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: a name, then numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    for row in rows:
        table.add_row(*(value if isinstance(value, str) else number(value) for value in row))
    console.print(table)


def number(value: float | None) -> str:
    """A number with as many digits as say something."""
    if value is None:
        return ""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004  # digits


def conclude(name: str, asked: Options, result: Mapping[str, object], targets: Sequence[Target] = ()) -> None:
    """Print which targets are met, and keep everything in <name>.json."""
    for target in targets:
        console.print(str(target), highlight=False, soft_wrap=True)
    if asked.results is None:
        return
    asked.results.mkdir(parents=True, exist_ok=True)
    kept = {
        "machine": machine(),
        "versions": versions(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "rounds": asked.rounds,
        **result,
        "targets": [
            {
                "what": one.what,
                "measured": one.measured,
                "limit": one.limit,
                "at_least": one.at_least,
                "met": one.is_met,
            }
            for one in targets
        ],
    }
    (asked.results / f"{name}.json").write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def machine() -> dict[str, object]:
    """What it was measured on."""
    cpu, memory = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    return {
        "cpu": model or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(int(memory.read_text().split()[1]) * 1024 / 1e9, 1) if memory.exists() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_of_the_last_15_minutes": round(os.getloadavg()[2], 1),
    }


def versions() -> dict[str, str]:
    """Of the libraries, and of the peers that are there."""
    return {package: version(package) for package in PACKAGES} | {
        peer.name: peer.version for peer in distributions(path=[str(PEERS)])
    }


def run_program(environment: Mapping[str, str], *command: str) -> Callable[[], None]:
    """Work that is a program; what it says is shown only if it fails."""

    def work() -> None:
        done = subprocess.run(  # noqa: S603  # our own command
            command, check=False, capture_output=True, text=True, env=os.environ | environment
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    return work


def temporary_folder() -> Path:
    """A folder that goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="kshift-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


if __name__ == "__main__":
    _child(*sys.argv[1:])
