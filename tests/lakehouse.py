"""A lakehouse for tests: dump files are written into it, assets run in it, tables and events are read from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster import DagsterInstance

from kshift_assets.chess.tables import DUMP_GAMES, PLAYER_GAMES
from kshift_assets.definitions import build, consumer_tables, find_plugins
from kshift_assets.reporting import Table
from kshift_assets.runs import Outcome, Runner
from plugins import Plugin
from plugins.chess.largest_swing import plugin as largest_swing
from plugins.chess.move_count import plugin as move_count
from plugins.chess.opening import plugin as opening
from resources.lake import Lake
from resources.settings import Settings, load_settings
from resources.snapshots import Snapshots

SOURCES = {DUMP_GAMES.key, PLAYER_GAMES.key}
SEVERAL = [move_count, largest_swing, opening]
"""Analytics of which most marts are made."""
MOVES = (
    "1. e4 { [%eval 0.3] [%clk 0:03:00] } 1... e5 { [%eval 0.2] [%clk 0:03:00] } "
    "2. Nf3 { [%eval 0.25] [%clk 0:02:58] } 2... f6? { [%eval 2.1] [%clk 0:02:50] } "
    "3. Nxe5 { [%eval 1.8] [%clk 0:02:55] } "
)


def pgn(
    game_id: str,
    day: str = "2024.01.05",
    white: str = "Amber",
    black: str = "Basil",
    result: str = "1-0",
    moves: str = MOVES,
) -> str:
    """A game as a monthly dump writes it."""
    return (
        f'[Event "Rated Blitz game"]\n[Site "https://lichess.org/{game_id}"]\n[Date "{day}"]\n[Round "-"]\n'
        f'[White "{white}"]\n[Black "{black}"]\n[Result "{result}"]\n[UTCDate "{day}"]\n[UTCTime "12:00:00"]\n'
        f'[WhiteElo "1500"]\n[BlackElo "1480"]\n[WhiteRatingDiff "+6"]\n[BlackRatingDiff "-6"]\n'
        f'[ECO "C40"]\n[Opening "King\'s Knight Opening: Damiano Defense"]\n'
        f'[TimeControl "180+0"]\n[Termination "Normal"]\n\n'
        f"{moves}{result}\n\n"
    )


@dataclass
class Lakehouse:
    """Settings, graph and instance, with the few verbs that tests need."""

    folder: Path
    instance: DagsterInstance
    plugins: Sequence[Plugin] | None = None
    _built: tuple[Settings, Sequence[Plugin] | None, dg.Definitions] | None = None

    @property
    def settings(self) -> Settings:
        (self.folder / "dumps").mkdir(exist_ok=True)
        return load_settings(home=self.folder / "home", dump_dir=self.folder / "dumps")

    @property
    def definitions(self) -> dg.Definitions:
        """The graph, built anew only where settings or plugins are others: it takes longer than most assets."""
        settings, plugins = self.settings, None if self.plugins is None else list(self.plugins)
        if self._built is None or self._built[:2] != (settings, plugins):
            self._built = settings, plugins, build(settings, plugins)
        return self._built[2]

    def forget_definitions(self) -> None:
        """Have the graph built anew: something else that it is made from is another now."""
        self._built = None

    @property
    def runner(self) -> Runner:
        return Runner(self.definitions, self.instance)

    @property
    def lake(self) -> Lake:
        return Lake(uri=self.settings.lake_uri)

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(folder=str(self.settings.published))

    def write_dump(self, month: str, *games: str) -> None:
        (self.folder / "dumps").mkdir(exist_ok=True)
        (self.folder / "dumps" / f"lichess_db_standard_rated_{month}.pgn").write_text("".join(games))

    def make(self, selection: str, *months: str) -> list[Outcome]:
        """Run a selection as `kshift run` does."""
        runner = self.runner
        return runner.run_all(runner.plan(runner.select(selection), months or None), lambda *_: None)

    def carry_on(self) -> list[Outcome]:
        """Make everything anew that is behind its sources, as `kshift ingest` does."""
        return self.runner.carry_on(SOURCES, timedelta(hours=26), lambda *_: None)

    def tables(self) -> list[Table]:
        """Every table that consumers may read."""
        return consumer_tables(find_plugins())

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the published database, as any consumer may."""
        with duckdb.connect(str(self.settings.published / "latest.duckdb"), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def failed_checks(self) -> set[str]:
        """`asset:check` of every check whose newest result, in any month, is a failure."""
        graph = self.definitions.resolve_asset_graph()
        keys = [key for asset in graph.get_all_asset_keys() for key in graph.get(asset).check_keys]
        states = self.instance.event_log_storage.get_asset_check_state(
            [(key, graph.get(key).partitions_def) for key in keys]
        )
        return {
            f"{key.asset_key.to_user_string()}:{key.name}"
            for key, state in states.items()
            for status, subset in state.subsets.items()
            if status.value == "FAILED" and not subset.is_empty
        }
