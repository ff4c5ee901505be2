"""Engines for tests: a scripted one that can be told to break, and the real Stockfish where there is one."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from resources.engine import FOLDERS

SCRIPT = Path(__file__).with_name("scripted.py")
STOCKFISH = shutil.which("stockfish") or shutil.which("stockfish", path=":".join(FOLDERS))

needs_stockfish = pytest.mark.skipif(STOCKFISH is None, reason="Stockfish is not installed (apt-get install stockfish)")


@dataclass(frozen=True)
class Scripted:
    """The scripted engine in a folder of its own."""

    path: Path

    def order(self, *lines: str) -> None:
        """What it does wrong from now on, e.g. `crash 4k3/`: see scripted.py."""
        self.path.with_suffix(".orders").write_text("\n".join(lines), encoding="utf-8")

    @property
    def log(self) -> list[str]:
        log = self.path.with_suffix(".log")
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    @property
    def searched(self) -> list[str]:
        """The positions that it was asked about, as FEN, in order."""
        return [line.removeprefix("go ") for line in self.log if line.startswith("go ")]

    @property
    def n_starts(self) -> int:
        return self.log.count("start")


def scripted(folder: Path) -> Scripted:
    """An executable of the scripted engine in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "engine"
    path.write_text(f"#!{sys.executable}\n{SCRIPT.read_text(encoding='utf-8')}", encoding="utf-8")
    path.chmod(0o755)
    return Scripted(path)
