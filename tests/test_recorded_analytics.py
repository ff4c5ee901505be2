"""The analytics equal Lichess's own numbers on every recorded game that carries them."""

import pytest

from tests.conformance import openings
from tests.conformance.__main__ import END, PAGE, table
from tests.conformance.metrics import MUST_BE_EQUAL, Metric, report
from tests.recordings import needs_recordings

pytestmark = needs_recordings

FEWEST = {
    "judgment of a move": 222_000,
    "number of inaccuracies": 6_000,
    "number of mistakes": 6_000,
    "number of blunders": 6_000,
    "average centipawn loss": 6_000,
    "accuracy": 100,
    "division into phases": 490,
    "same games as PGN: counts and ACPL": 400,
    "same games as PGN: accuracy": 100,
}
"""So many answers of Lichess there are at least: that nothing is compared must not look like success."""


@pytest.fixture(scope="module")
def metrics() -> dict[str, Metric]:
    return {metric.name: metric for metric in report()}


@pytest.mark.parametrize("name", sorted(MUST_BE_EQUAL))
def test_ours_are_lichess_own_numbers(metrics: dict[str, Metric], name: str) -> None:
    assert metrics[name].unexplained == []
    assert metrics[name].n_compared >= FEWEST[name]


def test_every_difference_of_any_metric_has_its_reason(metrics: dict[str, Metric]) -> None:
    # Openings differ in the same few ways again and again: their reasons stand in a table of their own.
    others = [metric for metric in metrics.values() if not metric.name.startswith("opening")]
    assert [(metric.name, metric.unexplained) for metric in others if metric.unexplained] == []
    assert openings.differences().get_column("val_reason").null_count() == 0


def test_the_page_shows_the_report_of_today(metrics: dict[str, Metric]) -> None:
    page = PAGE.read_text(encoding="utf-8").partition(END)[0]
    assert table(metrics.values()) in page, "write it anew with `python -m tests.conformance --write`"
