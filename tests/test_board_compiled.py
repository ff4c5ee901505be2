"""What is compiled is kept on disk; where it cannot be kept, or the cache is damaged, it is made anew."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from plugins.chess_rules.compiled import compiled_once, stamp

def made(stamp):
    def twice(number):
        return 2 * number if stamp else 0
    return twice

twice = compiled_once(made(stamp([__file__])))
print(twice(21))
"""


def answer(module: Path, cache: Path) -> str:
    """What the module says in a process of its own, whose cache of numba lies there."""
    root = Path(__file__).parents[1]
    environment = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(root), "HOME": str(module.parent / "nobody")}
    done = subprocess.run([sys.executable, module], env=environment, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    file = tmp_path / "kept.py"
    file.write_text(MODULE, encoding="utf-8")
    return file


def test_the_code_is_kept_and_a_file_that_a_power_cut_left_empty_stops_nobody(module: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert answer(module, cache) == "42"
    kept = sorted(cache.rglob("*.nb[ic]"))
    assert len(kept) == 2
    for file in kept:
        file.write_bytes(b"")
    assert answer(module, cache) == "42"
    assert [file for file in cache.rglob("*.nb[ic]") if file.stat().st_size == 0] == []


def test_without_a_place_to_keep_it_it_is_compiled_all_the_same(module: Path, tmp_path: Path) -> None:
    (tmp_path / "nobody").write_text("a file where folders would have to be", encoding="utf-8")
    (tmp_path / "__pycache__").write_text("the same", encoding="utf-8")
    assert answer(module, tmp_path / "nobody") == "42"
    assert not list(tmp_path.rglob("*.nb[ic]"))
