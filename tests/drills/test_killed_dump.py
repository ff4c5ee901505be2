"""A month's dump that is killed while it is read, and two runs that read it at once: `kshift` as separate processes."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from web import environment

from commands import Processes
from kshift_assets.chess.dump_units import DUMP_UNITS, UNITS_SCHEMA
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.tables import polars_schema
from lakehouse import pgn
from packed import frames
from resources.lake import Lake

MONTH = "2024-01"
N_UNITS, UNIT_GAMES = 60, 50
DATA = ["".join(pgn(f"g{number:03}{game:04}") for game in range(UNIT_GAMES)).encode() for number in range(N_UNITS)]
# The console command, with units of a frame each.
SMALL_UNITS = "import resources.dump_units as u; u.UNIT_BYTES = 1; from serving.cli import main; main()"


class Scene(Processes):
    """A dump, and processes that read it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        (folder / "dumps").mkdir()
        (folder / "dumps" / f"lichess_db_standard_rated_{MONTH}.pgn.zst").write_bytes(frames(*DATA))
        self.settings = {"KSHIFT_HOME": str(folder / "home"), "KSHIFT_DUMP_DIR": str(folder / "dumps")}
        self.lake = Lake(uri=str(folder / "home" / "lake"))

    def start(self) -> subprocess.Popen[str]:
        program = ["-c", SMALL_UNITS, "run", "lichess/dump_games", "--partition", MONTH]
        return self.begin(program, environment(self.settings))

    def finish(self, process: subprocess.Popen[str]) -> None:
        printed, _ = process.communicate(timeout=200)
        assert process.returncode == 0, printed
        assert f"lichess/dump_games {MONTH}: {N_UNITS * UNIT_GAMES:,} rows" in printed

    def wait_for_units(self, number: int) -> pl.DataFrame:
        """The journal, once it has so many units."""
        while self.lake.n_rows(DUMP_UNITS.full_name) < number:
            assert self.processes[-1].poll() is None, self.processes[-1].communicate()
            time.sleep(0.02)
        return self.journal()

    def journal(self) -> pl.DataFrame:
        return self.lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA, MONTH).collect().sort("n_byte_begin")

    def games(self) -> pl.DataFrame:
        return self.lake.scan(DUMP_GAMES.full_name, polars_schema(DUMP_GAMES.model), MONTH).collect()

    def assert_all_is_there_once(self) -> None:
        wanted = pl.concat(read_games([b"".join(DATA)]))
        assert_frame_equal(self.games().select(wanted.columns), wanted)
        assert self.games().get_column("tm_ingested").n_unique() == 1
        assert self.journal().height == N_UNITS


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.end()


@pytest.mark.timeout(600)  # three processes that import Dagster
def test_a_run_after_two_that_were_killed_reads_what_is_left(scene: Scene) -> None:
    for number in (5, 25):
        process = scene.start()
        scene.wait_for_units(number)
        process.kill()
        process.communicate()
        assert scene.games().height == 0
        assert scene.journal().height < N_UNITS, "killed too late to prove anything"
    stored = scene.journal()
    scene.finish(scene.start())
    # What was stored was not stored again: the same rows, at the same time, in the same files.
    assert_frame_equal(scene.journal().join(stored, on=stored.columns, how="semi", nulls_equal=True), stored)
    scene.assert_all_is_there_once()


@pytest.mark.timeout(600)  # two processes that import Dagster
def test_two_at_once_are_one_result(scene: Scene) -> None:
    first, second = scene.start(), scene.start()
    scene.finish(first)
    scene.finish(second)
    scene.assert_all_is_there_once()
    assert set(scene.journal().get_column("val_path")) == scene.lake.present(DUMP_GAMES.full_name, MONTH)
