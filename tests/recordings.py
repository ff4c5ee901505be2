"""Where the private recordings of real responses and dumps lie, for the tests that judge by them."""

from pathlib import Path

import pytest

RECORDINGS = Path(__file__).parents[2] / "shared" / "data"

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason=f"the private recordings are not beside this checkout ({RECORDINGS.name}/)"
)
