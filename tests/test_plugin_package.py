"""Analytics that another package brings: built, installed by pip, and found by a real run of `kshift`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse import pgn

ROOT = Path(__file__).parents[1]
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "strange-analytics"
version = "3.1"

[project.entry-points."kshift.plugins"]
first_word = "strange_analytics.columns:plugin"
last_square = "strange_analytics.games:plugin"
"""
COLUMNS = '''"""First words."""

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin


class FirstWord(pa.DataFrameModel):
    """First words."""

    id_game: str = pa.Field(description="Game id")
    val_first_word: str = pa.Field(nullable=True, description="First word of the moves")


def compute(games):
    return games.select("id_game", val_first_word=pl.col("val_moves").str.split(" ").list.first())


plugin = ColumnPlugin(
    name="first_word", version="7", description="First words.", schema=FirstWord,
    reads=("id_game", "val_moves"), compute=compute,
)
'''
GAMES = '''"""Last squares."""

import chess
import pandera.polars as pa

from plugins import GamePlugin


class LastSquare(pa.DataFrameModel):
    """Last squares."""

    id_game: str = pa.Field(description="Game id")
    val_last_square: str = pa.Field(nullable=True, description="Where the last move went")


def compute(game):
    return {"val_last_square": chess.square_name(game.end().move.to_square)}


plugin = GamePlugin(
    name="last_square", version="2", description="Last squares.", schema=LastSquare,
    reads=("id_game", "val_moves", "val_initial_fen", "val_variant"), compute=compute,
)
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder into which pip installed the package that it built from a source tree."""
    source = tmp_path / "source"
    package = source / "src" / "strange_analytics"
    package.mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "columns.py").write_text(COLUMNS, encoding="utf-8")
    (package / "games.py").write_text(GAMES, encoding="utf-8")
    site = tmp_path / "site"
    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, "--target", site, source], check=True)
    return site


def test_the_analytics_of_an_installed_package_become_assets_and_published_tables(tmp_path: Path, site: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    # More than one worker's portion, so that worker processes import the strange package too.
    games = "".join(pgn(f"aaaaa{number:03}") for number in range(300))
    (dumps / "lichess_db_standard_rated_2024-01.pgn").write_text(games, encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)]),
        "KSHIFT_HOME": str(tmp_path / "home"),
        "KSHIFT_DUMP_DIR": str(dumps),
        "KSHIFT_WORKERS": "2",
        "COLUMNS": "200",
    }

    def kshift(*arguments: str) -> str:
        command = [sys.executable, "-m", "serving.cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "lichess/dump_games" in kshift("run", "lichess/dump_games", "--partition", "2024-01")
    selection = 'key:"chess/games" or key:"analytics/first_word" or key:"analytics/last_square"'
    made = kshift("run", selection, "--partition", "2024-01")
    assert "analytics/first_word 2024-01: 300 rows" in made
    assert "analytics/last_square 2024-01: 300 rows" in made
    query = f"""
    SELECT count(*), min(val_last_square), max(val_last_square), min(val_plugin_version), count(val_error)
    FROM '{tmp_path}/home/lake/analytics/last_square/*/*.parquet'
    """
    script = "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())"
    found = subprocess.run([sys.executable, "-c", script, query], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[(300, 'e5', 'e5', '2', 0)]"
