"""A process for each asset makes what one process makes: the command line with KSHIFT_EXECUTOR=multiprocess."""

import os
import re
import subprocess
import sys

import polars as pl
from dagster import DagsterInstance

from kshift_assets.chess.tables import GAMES
from kshift_assets.tables import polars_schema
from lakehouse import Lakehouse, pgn
from resources.lake import Lake

GAMES_OF_DUMPS = 'key:"lichess/dump_games" or key:"chess/games"'


def test_a_process_for_each_asset_makes_what_one_process_makes(lakehouse: Lakehouse):
    lakehouse.write_dump("2024-01", *(pgn(f"abcdef{number:02}") for number in range(5)))
    outcomes = lakehouse.make(GAMES_OF_DUMPS, "2024-01")
    home = lakehouse.folder / "spread"
    settings = {
        "KSHIFT_HOME": str(home),
        "KSHIFT_DUMP_DIR": str(lakehouse.folder / "dumps"),
        "KSHIFT_EXECUTOR": "multiprocess",
    }

    command = [sys.executable, "-m", "serving.cli", "run", GAMES_OF_DUMPS, "--partition", "2024-01"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)

    assert all(one.succeeded for one in outcomes)
    assert done.returncode == 0, done.stdout + done.stderr
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        (run,) = instance.get_runs()
        told = [event.message or "" for event in instance.all_logs(run.run_id)]
    assert {found[1] for text in told if (found := re.search(r"Executing step \"(\w+)\" in subprocess", text))} == {
        "lichess__dump_games",
        "clean_games",
    }
    assert rows(str(home / "lake")).equals(rows(lakehouse.settings.lake_uri))


def rows(lake: str) -> pl.DataFrame:
    found = Lake(uri=lake).scan(GAMES.full_name, polars_schema(GAMES.model)).collect()
    return found.drop("tm_ingested").sort("id_game")
