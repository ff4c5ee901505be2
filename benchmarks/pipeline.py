"""The pipeline as work to measure: real assets, run the way `kshift run` runs them, in a lakehouse of their own."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from dagster import DagsterInstance
from measuring import HERE, run_program, temporary_folder
from tiled_documents import documents
from tiled_dumps import MONTH, write

from kshift_assets.chess.tables import DUMP_GAMES, GAMES, PLAYER_GAMES
from kshift_assets.definitions import build, find_plugins
from kshift_assets.runs import Batch, Runner
from kshift_assets.tables import polars_schema
from plugins import GamePlugin
from resources.lake import Lake
from resources.settings import load_settings
from serving.home import open_instance, prepare

EVERYTHING = 'key:"lichess/dump_games"+'
"""Selection of the dumps and of everything that is made from them as a matter of course."""
WARM_MONTH = "2023-12"
BLOCK_ROWS = 50_000
Answer = dict[str, Any]
Work = Callable[[], Callable[[], Answer]]


class Lakehouse:
    """A lakehouse in a temporary folder, with a small month of some assets, so that their code is loaded."""

    def __init__(self, *assets: dg.AssetKey) -> None:
        self._folder = temporary_folder()
        self._instance = DagsterInstance.ephemeral()
        warm = self._folder / "warm"
        write(200, warm / f"lichess_db_standard_rated_{WARM_MONTH}.pgn.zst", WARM_MONTH)
        for key in assets:
            self.run(key, warm, WARM_MONTH)
        self.lake = Lake(uri=load_settings(home=self._folder / "home").lake_uri)

    def _runner(self, dumps: Path) -> Runner:
        return Runner(build(load_settings(home=self._folder / "home", dump_dir=dumps)), self._instance)

    def run(self, key: dg.AssetKey, dumps: Path, month: str = MONTH, runner: Runner | None = None) -> int:
        """Make an asset, with a graph of its own if there is none yet; tells how many rows it has."""
        runner = runner or self._runner(dumps)
        outcome = runner.run(Batch(tuple(runner.select(key.to_user_string())), month))
        if not outcome.succeeded:
            sys.exit(f"{key.to_user_string()} failed: {outcome.problems}")
        return outcome.rows[f"{key.to_user_string()} {month}"]

    def answer(self, rows: int) -> Answer:
        """How many rows there were, and what the asset of the last run took by itself, without Dagster around it."""
        run_id = self._instance.get_run_records(limit=1)[0].dagster_run.run_id
        return {"rows": rows, "asset_s": sum(step_seconds(self._instance, run_id).values())}

    def measured(self, key: dg.AssetKey, dumps: Path) -> Work:
        """Making an asset, as work, in a process that has loaded its graph."""
        runner = self._runner(dumps)

        def work() -> Callable[[], Answer]:
            rows = self.run(key, dumps, runner=runner)
            return lambda: self.answer(rows)

        return work


def dump_to_lake(dumps: str) -> Work:
    """A dump into lichess.dump_games: unpacked, read, checked, written, on the disk, committed."""
    return Lakehouse(DUMP_GAMES.key).measured(DUMP_GAMES.key, Path(dumps))


def dump_rows_to_games(dumps: str) -> Work:
    """From lichess.dump_games to chess.games: cleaned, checked, committed."""
    house = Lakehouse(DUMP_GAMES.key, GAMES.key)
    house.run(DUMP_GAMES.key, Path(dumps))
    return house.measured(GAMES.key, Path(dumps))


def documents_to_games(number: int) -> Work:
    """From lichess.player_games to chess.games: documents read, cleaned, checked, committed."""
    house, schema = Lakehouse(DUMP_GAMES.key, GAMES.key), polars_schema(PLAYER_GAMES.model)
    now, block = datetime.now(UTC), []
    for row, (game_id, created, document) in enumerate(documents(number), start=1):
        digest = hashlib.sha256(document.encode()).hexdigest()
        block.append((game_id, "somebody", created, document, digest, "0" * 32, now, MONTH))
        if len(block) == BLOCK_ROWS or row == number:
            house.lake.append(PLAYER_GAMES.full_name, pl.DataFrame(block, schema=schema, orient="row"), schema)
            block = []
    return house.measured(GAMES.key, temporary_folder())


def publish(dumps: str, home: str | None = None) -> Work:
    """A dump to the published snapshot in a new lakehouse, in this process, with every plugin but GamePlugins."""
    folder = Path(home) if home else temporary_folder() / "home"
    shutil.rmtree(folder, ignore_errors=True)
    settings = load_settings(home=folder, dump_dir=Path(dumps))
    prepare(settings)
    plugins = [plugin for plugin in find_plugins() if not isinstance(plugin, GamePlugin)]

    def work() -> Callable[[], Answer]:
        runner = Runner(build(settings, plugins), open_instance(settings.dagster_home))
        outcomes = runner.run_all(runner.plan(runner.select(EVERYTHING), [MONTH]), lambda *_: None)
        if problems := [problem for outcome in outcomes for problem in outcome.problems]:
            sys.exit(f"it failed: {problems}")
        return lambda: told_by(folder)

    return work


def kshift_run(dumps: str) -> Work:
    """The same as a user types it, with every plugin, from the start of `kshift run` to its end."""
    folder = temporary_folder() / "home"
    environment = {"KSHIFT_HOME": str(folder), "KSHIFT_DUMP_DIR": dumps, "PYTHONPATH": str(HERE.parent)}
    program = run_program(environment, sys.executable, "-m", "serving.cli", "run", EVERYTHING, "--partition", MONTH)

    def work() -> Callable[[], Answer]:
        program()
        return lambda: told_by(folder)

    return work


def told_by(home: Path) -> Answer:
    """What the assets of a lakehouse took by themselves, and how many games it has."""
    settings = load_settings(home=home)
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        seconds: dict[str, float] = {}
        for record in instance.get_run_records():
            for step, took in step_seconds(instance, record.dagster_run.run_id).items():
                seconds[step] = seconds.get(step, 0.0) + took
    rows = Lake(uri=settings.lake_uri).n_rows(GAMES.full_name)
    return {
        "rows": rows,
        "asset_s": sum(seconds.values()),
        "assets": dict(sorted(seconds.items(), key=lambda one: -one[1])),
    }


def step_seconds(instance: DagsterInstance, run_id: str) -> dict[str, float]:
    """Seconds of each step of a run, from its start to its success."""
    return {
        stats.step_key: stats.end_time - stats.start_time
        for stats in instance.get_run_step_stats(run_id)
        if stats.start_time and stats.end_time
    }
