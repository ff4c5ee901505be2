"""Writes what the results say into docs/performance.md, between its markers: the machine, and every target."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measuring import HERE, number

PAGE = HERE.parent / "docs" / "performance.md"
NAMES = ("dumps", "documents", "end_to_end", "questions", "framework", "analytics", "increment", "positions")
Result = dict[str, Any]


def results() -> dict[str, Result]:
    """The results that there are, by their benchmark; those that do not say when are left out."""
    paths = {name: HERE / "results" / f"{name}.json" for name in NAMES}
    found = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}
    return {name: result for name, result in found.items() if "measured_at" in result}


def machines(found: dict[str, Result]) -> Iterator[str]:
    """Where each was measured, and with what."""
    yield "| benchmark | measured | rounds | processor | cores | memory, GB | Python | load beforehand |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, result in found.items():
        one = result["machine"]
        yield (
            f"| `{name}` | {result['measured_at']} | {result['rounds']} | {one['cpu']} | {one['cores']} | "
            f"{one['memory_gb']} | {one['python']} | {one['load_of_the_last_15_minutes']} |"
        )


def targets(found: dict[str, Result]) -> Iterator[str]:
    """Every target with what was measured."""
    yield "| benchmark | what | measured | target | |"
    yield "|---|---|---|---|---|"
    for name, result in found.items():
        for one in result["targets"]:
            sign = "≥" if one["at_least"] else "≤"
            verdict = "met" if one["met"] else "**missed**"
            limit = f"{sign} {number(one['limit'])}"
            yield f"| `{name}` | {one['what']} | {number(one['measured'])} | {limit} | {verdict} |"


def peers(found: dict[str, Result]) -> Iterator[str]:
    """What stands side by side."""
    yield "| benchmark | way | games/s | games per CPU second | peak MB |"
    yield "|---|---|---|---|---|"
    for name, result in found.items():
        for way, one in result.get("side_by_side", {}).items():
            games = one.get("games", result.get("games"))
            speed, per_cpu = float(one["games_per_s"]), games / max(one["cpu_s"], 1e-3)
            yield f"| `{name}` | {way} | {number(speed)} | {number(per_cpu)} | {one['peak_mb']} |"


def assets(found: dict[str, Result]) -> Iterator[str]:
    """Seconds of each asset, end to end."""
    runs = found.get("end_to_end", {}).get("runs", {})
    yield f"| asset | {' | '.join(runs)} |"
    yield "|---|" + "---|" * len(runs)
    steps = {step: None for run in reversed(runs.values()) for step in run["assets"]}
    for step in sorted(steps, key=lambda step: -max(run["assets"].get(step, 0) for run in runs.values())):
        seconds = (run["assets"].get(step) for run in runs.values())
        yield f"| `{step}` | {' | '.join('' if one is None else f'{one:.2f}' for one in seconds)} |"


def main() -> None:
    """Write the page anew."""
    found, text = results(), PAGE.read_text(encoding="utf-8")
    for part in (machines, targets, peers, assets):
        marked = rf"(<!-- begin: {part.__name__} -->\n).*?(<!-- end -->)"
        lines = "\n".join(part(found))
        text = re.sub(marked, lambda mark, lines=lines: f"{mark[1]}{lines}\n{mark[2]}", text, flags=re.DOTALL)
    Path(PAGE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
