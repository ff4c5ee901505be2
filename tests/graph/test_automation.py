"""A month that changed is carried through to published, old months included, and only past checks that passed."""

from dataclasses import replace

import dagster as dg
import pandera.polars as pa
import polars as pl

from kshift_assets.chess.tables import DUMP_GAMES, GAMES
from lakehouse import SEVERAL, Lakehouse, pgn
from plugins import ColumnPlugin
from plugins.chess.move_count import plugin as move_count

MOVE_COUNT = dg.AssetKey(["analytics", "move_count"])
SUMMARY = dg.AssetKey(["marts", "player_summary"])
SNAPSHOT = dg.AssetKey(["published", "snapshot"])


class Daemon:
    """Evaluates the conditions as the daemon does, tick by tick, and runs what they ask for."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self.lakehouse = lakehouse
        self.cursor = None
        self.tick()

    def tick(self) -> dict[str, set[str | None]]:
        """Asset → months (None for a whole table) that this tick asks for."""
        definitions = self.lakehouse.definitions
        result = dg.evaluate_automation_conditions(
            defs=definitions, instance=self.lakehouse.instance, cursor=self.cursor
        )
        self.cursor = result.cursor
        keys = definitions.resolve_asset_graph().materializable_asset_keys
        asked = {key.to_user_string(): set(result.get_requested_partitions(key)) for key in keys}
        return {name: months for name, months in asked.items() if months}

    def run(self, asked: dict[str, set[str | None]]) -> None:
        """Run what was asked for, each month in one run, as the daemon groups it."""
        months = {month for wanted in asked.values() for month in wanted}
        for month in sorted(months, key=str):
            names = [name for name, wanted in asked.items() if month in wanted]
            self.lakehouse.make(" or ".join(f"key:{name}" for name in names), *([month] if month else []))


def test_a_changed_month_is_carried_to_the_published_snapshot(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = SEVERAL
    daemon = Daemon(lakehouse)
    assert daemon.tick() == {}
    lakehouse.write_dump("2013-02", pgn("aaaaaaa1", day="2013.02.03"))
    lakehouse.make("lichess/dump_games", "2013-02")
    asked = daemon.tick()
    assert asked["chess/games"] == {"2013-02"}
    assert asked["analytics/move_count"] == {"2013-02"}
    assert "published/snapshot" not in asked
    daemon.run(asked)
    asked = daemon.tick()
    frontier = "lichess/players_frontier"
    of_games, of_frontier = marts_apart(lakehouse, frontier)
    assert of_games > {"marts/player_summary", "marts/opening_results"}
    assert asked == {name: {None} for name in {*of_games, frontier}}
    daemon.run(asked)
    asked = daemon.tick()
    assert of_frontier >= {"marts/opponent_nodes"}
    assert asked == {name: {None} for name in of_frontier}
    daemon.run(asked)
    asked = daemon.tick()
    assert asked == {"published/snapshot": {None}}
    daemon.run(asked)
    assert daemon.tick() == {}
    assert lakehouse.query("SELECT count(*) FROM chess.games") == [(1,)]


def marts_apart(lakehouse: Lakehouse, source: str) -> tuple[set[str], set[str]]:
    """The marts that are not made from this source, and those that are."""
    graph = lakehouse.definitions.resolve_asset_graph()
    marts = {key for key in graph.materializable_asset_keys if key.path[0] == "marts"}
    parts = {key for key in marts if dg.AssetKey(source.split("/")) in graph.get(key).parent_keys}
    return {key.to_user_string() for key in marts - parts}, {key.to_user_string() for key in parts}


def test_a_month_that_never_had_a_dump_does_not_wait_for_one(lakehouse: Lakehouse) -> None:
    """chess/games has two sources: whichever brings a month is enough."""
    daemon = Daemon(lakehouse)
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert daemon.tick()["chess/games"] == {"2024-01"}


class Short(pa.DataFrameModel):
    """Games of at most one ply."""

    id_game: str = pa.Field(description="Game id")
    n_length: pl.Int16 = pa.Field(nullable=True, le=1, description="Plies, at most 1")


def test_nothing_follows_a_blocking_check_that_failed(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = [
        ColumnPlugin(
            name="short",
            version="1",
            description="Lengths.",
            schema=Short,
            reads=("id_game", "n_plies"),
            compute=lambda games: games.rename({"n_plies": "n_length"}),
        )
    ]
    lakehouse.write_dump("2024-01", *(pgn(f"aaaaab{number:02}") for number in range(20)))
    lakehouse.write_dump("2024-02", pgn("aaaaaaa2", day="2024.02.05", moves="1. e4 { [%clk 0:03:00] } "))
    daemon = Daemon(lakehouse)
    lakehouse.make("lichess/dump_games", "2024-01", "2024-02")
    daemon.run(daemon.tick())
    assert lakehouse.failed_checks() == {"analytics/short:mostly_computed"}
    daemon.run(daemon.tick())
    assert lakehouse.snapshots.latest() is None
    assert all("published/snapshot" not in daemon.tick() for _ in range(3))


def test_a_raised_version_of_a_plugin_asks_for_its_months(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = [move_count]
    daemon = Daemon(lakehouse)
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    for _ in range(4):
        daemon.run(daemon.tick())
    assert daemon.tick() == {}
    lakehouse.plugins = [replace(move_count, version="99")]
    assert daemon.tick() == {"analytics/move_count": {"2024-01"}}


def test_the_keys_are_those_of_the_tables() -> None:
    assert DUMP_GAMES.key == dg.AssetKey(["lichess", "dump_games"])
    assert GAMES.key == dg.AssetKey(["chess", "games"])
