"""The fast part of the fault matrix: a few trials of each row and one of each removed guard. `make faults` runs all."""

from pathlib import Path

import pytest
from faults import sockets
from faults.guards import GUARDS
from faults.matrix import LOCK_TRIALS, REAL_ROWS, guard_trial
from faults.trial import Trial
from faults.weather import ROWS

SIMULATED = 3
SEED = 20261122
"""The same trials each time: `make faults` draws new ones."""
MOST_GUARD_TRIALS = 24


@pytest.mark.parametrize("name", ROWS)
def test_simulated_trials_lose_double_and_invent_nothing(name: str, tmp_path: Path):
    row = ROWS[name]
    for number in range(SIMULATED):
        seed = f"{SEED}-{number}"
        tally = Trial(row, seed, tmp_path / seed).run()
        assert tally.is_green, f"{tally}; python -m faults.matrix --only {row.name} --trial {seed}"


@pytest.mark.parametrize("name", REAL_ROWS)
def test_the_same_trials_over_sockets_and_with_a_lake_on_the_disk(name: str, tmp_path: Path):
    seed = f"{SEED}-1"
    tally = Trial(ROWS[name], seed, tmp_path, is_real=True).run()
    assert tally.is_green, f"{tally}; python -m faults.matrix --kind real --only {name} --trial {seed}"


@pytest.mark.parametrize(
    ("trial", "number"),
    [
        (sockets.killed, 1),
        pytest.param(sockets.together, 1, marks=pytest.mark.drill),
        pytest.param(sockets.wrong_clocks, 1, marks=pytest.mark.drill),
        (sockets.refused_then_there, 1),
        (sockets.stalled, 1),
    ],
)
def test_real_processes_that_are_killed_and_crowd_each_other_lose_nothing(trial, number: int, tmp_path: Path):
    for repetition in range(number):
        seed = f"{SEED + repetition}"
        (tmp_path / seed).mkdir()
        outcome = trial(seed, tmp_path / seed)
        assert outcome.tally.is_green, f"{outcome}, seed {seed}"


def test_a_line_of_fifty_megabytes_costs_no_game(tmp_path: Path):
    assert sockets.long_line(tmp_path).tally.is_green


def test_what_an_ingest_has_acknowledged_survives_a_power_cut(tmp_path: Path):
    assert sockets.power_cut(tmp_path).tally.is_green


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_matrix_turns_red_without(guard, tmp_path: Path):
    trials = (
        guard_trial(guard.name, f"fast-{number}", tmp_path / str(number), is_removed=True)
        for number in range(MOST_GUARD_TRIALS)
    )
    assert any(not outcome.tally.is_green for outcome in trials)


@pytest.mark.parametrize("name", LOCK_TRIALS)
def test_the_matrix_turns_red_on_real_processes_without(name: str, tmp_path: Path):
    number, trial = LOCK_TRIALS[name]
    for index in range(number):
        (tmp_path / str(index)).mkdir()
        if not trial(f"fast-{index}", tmp_path / str(index)).tally.is_green:
            return
    pytest.fail("green without it")
