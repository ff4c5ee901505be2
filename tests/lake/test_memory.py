"""Memory does not grow with the data: a table three times larger than its writer may hold is written and read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hoard import FRAME_ROWS, FRAMES, LIST_LENGTH

BOUND_MB = 600


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's own peak is read from /proc")
def test_a_table_three_times_larger_than_the_process_may_hold_is_written_and_read(tmp_path: Path):
    # The peak is measured, not limited: RLIMIT_AS counts address space, of which allocators reserve gigabytes at once.
    program = Path(__file__).with_name("hoard.py")
    ran = subprocess.run([sys.executable, program, tmp_path / "lake"], check=True, capture_output=True, timeout=250)
    said = json.loads(ran.stdout)
    rows = FRAMES * FRAME_ROWS
    numbers, elements = rows * (rows - 1) // 2, rows * LIST_LENGTH * (LIST_LENGTH - 1) // 2

    assert said["n_rows"] == rows
    assert set(said["sums"].values()) == {numbers + elements}
    assert said["table_mb"] > 1_500
    assert {way: peak for way, peak in said["peaks_mb"].items() if peak > BOUND_MB}.keys() == {"held"}
