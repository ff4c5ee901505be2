"""`python -m tests.conformance`, from the root of the project: prints the report as Markdown.

With `--write`, the table and the differences also go into docs/conformance.md. Ends with 1 if a metric that must be
equal is not, and nobody knows why.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.conformance import openings
from tests.conformance.metrics import MUST_BE_EQUAL, Metric, report
from tests.conformance.recorded import LICHESS

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- begin: `make conformance` -->", "<!-- end: `make conformance` -->"


def table(metrics: Iterable[Metric]) -> str:
    """The report: one row a metric."""
    lines = ["| metric | games | compared | equal | different |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.name} | {one.n_games:,} | {one.n_compared:,} {one.unit} | {one.n_equal:,}{_share(one)} "
        f"| {len(one.differences):,} |"
        for one in metrics
    ]
    return "\n".join(lines)


def _share(one: Metric) -> str:
    return f" ({100 * one.n_equal / one.n_compared:.2f} %)" if one.differences else ""


def differences(metrics: Iterable[Metric]) -> str:
    """Every difference, with ids of games, which are public, and no names of players."""
    lines = [
        f"| {one.name} | [{id_game}](https://lichess.org/{id_game}) | {what} | {_shown(ours)} | {_shown(theirs)} "
        f"| {one.why(id_game) or '**not known**'} |"
        for one in metrics
        if not one.name.startswith("opening")
        for id_game, what, ours, theirs in one.differences
    ]
    return "\n".join(["| metric | game | of it | ours | theirs | why |", "|---|---|---|---|---|---|", *lines])


def other_openings() -> str:
    """Every opening that differs in code or name, with all its games: most differ in the same way."""
    lines = [
        f"| {_opening(eco, name)} | {_opening(eco_by_moves, name_by_moves)} | {reason} | {number} | {' '.join(ids)} |"
        for eco, name, eco_by_moves, name_by_moves, reason, number, ids in openings.differences().iter_rows()
    ]
    return "\n".join(["| theirs | ours | why | games | their ids |", "|---|---|---|---|---|", *lines])


def other_plies() -> str:
    """Every opening to which Lichess counts another number of plies, with all its games."""
    lines = [
        f"| {_opening(eco, name)} | {plies} | {_shown(plies_by_moves)} | {reason} | {number} | {' '.join(ids)} |"
        for eco, name, plies, plies_by_moves, reason, number, ids in openings.ply_differences().iter_rows()
    ]
    head = ["| their opening | their plies | our plies | why | games | their ids |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *lines])


def _opening(eco: str | None, name: str | None) -> str:
    return " ".join(part for part in (eco, name) if part) or "none"


def _shown(answer: object) -> str:
    return "none" if answer is None else str(answer)


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write it into docs/{PAGE.name} as well")
    arguments = parser.parse_args()
    if not LICHESS.is_dir():
        sys.stdout.write("the private recordings are not beside this checkout: nothing to compare with\n")
        return 0
    metrics = report()
    text = f"{table(metrics)}\n\nEvery difference:\n\n{differences(metrics)}\n"
    text += f"\nEvery difference of openings (code alone where the file has no name):\n\n{other_openings()}\n"
    text += f"\nEvery difference in the plies of an opening:\n\n{other_plies()}\n"
    sys.stdout.write(text)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")
    broken = [one.name for one in metrics if one.name in MUST_BE_EQUAL and one.unexplained]
    if broken:
        sys.stdout.write(f"\nnot equal, but must be: {', '.join(broken)}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
