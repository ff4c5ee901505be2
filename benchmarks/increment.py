"""What a thousand new games cost in a month of 200,000: their share of the full computation, for every analytic."""

import statistics
import tempfile
import time
from typing import Any

import polars as pl
from measuring import Target, conclude, options
from tiled_games import MONTH, tiled

from kshift_assets.chess.analytic_months import Month
from kshift_assets.chess.schemas import Games
from kshift_assets.chess.seen_games import SOURCE
from kshift_assets.definitions import find_plugins
from kshift_assets.tables import polars_schema
from plugins import EnginePlugin, GamePlugin, Plugin
from resources.lake import Lake
from resources.workers import Workers

Row = dict[str, Any]
GAMES, ADDED, ROUNDS = 200_000, 1_000, 5
# Analytics that look at game after game get a tenth of both, and count tenfold: a full run would take too long.
PART = 10
LIMIT = 0.05


def measured(plugins: list[Plugin], games: int, added: int) -> list[Row]:
    """For each plugin the seconds for all games, and the median of the seconds for those that came later."""
    workers = Workers()
    schema = polars_schema(Games)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(uri=folder)
        lake.overwrite("chess.games", lambda: tiled(games), schema, MONTH)
        full = {plugin.name: _seconds(plugin, lake, workers) for plugin in plugins}
        later: dict[str, list[float]] = {plugin.name: [] for plugin in plugins}
        for number in range(ROUNDS):
            lake.append("chess.games", pl.concat(tiled(added, first=games + number * added)), schema)
            for plugin in plugins:
                later[plugin.name].append(_seconds(plugin, lake, workers))
    medians = {name: statistics.median(seconds) for name, seconds in later.items()}
    return [
        {"analytic": name, "games": games, "added": added, "full_s": full[name], "added_s": medians[name]}
        for name in full
    ]


def share_of(rows: list[Row], times: dict[str, float]) -> float:
    """The added games' part of the seconds for all, over several analytics."""
    return sum(row["added_s"] * times[row["analytic"]] for row in rows) / sum(
        row["full_s"] * times[row["analytic"]] for row in rows
    )


def _seconds(plugin: Plugin, lake: Lake, workers: Workers) -> float:
    start = time.perf_counter()
    Month(plugin, lake, MONTH, workers.map).write()
    return time.perf_counter() - start


def main() -> None:
    """Print a row for each analytic, and the whole."""
    asked = options(__doc__)
    plugins = [plugin for plugin in find_plugins() if not isinstance(plugin, EnginePlugin)]
    by_game = [plugin for plugin in plugins if isinstance(plugin, GamePlugin)]
    of_columns = [plugin for plugin in plugins if plugin not in by_game]
    few = pl.concat(tiled(600)).with_columns(pl.lit("lichess").alias(SOURCE))
    for plugin in plugins:  # compiled code and worker processes start once, not in the first measurement
        plugin.run(few, Workers().map)
    games, added = asked.sizes(GAMES, ADDED, quick=[2_000, 100])
    rows = measured(of_columns, games, added)
    rows += measured(by_game, games // PART, added // PART)
    print(f"{'analytic':<20}{'games':>9}{'all, s':>9}{'added':>8}{'s':>8}{'share':>8}")
    for row in rows:
        print(
            f"{row['analytic']:<20}{row['games']:>9,}{row['full_s']:>9.2f}{row['added']:>8,}{row['added_s']:>8.3f}"
            f"{row['added_s'] / row['full_s']:>8.1%}"
        )
    times = {row["analytic"]: games / row["games"] for row in rows}
    share = share_of(rows, times)
    print(f"those of columns alone: {share_of(rows[: len(of_columns)], times):.1%}, most of it the commit itself")
    targets = [Target("share of the full run, all analytics together", share, LIMIT, at_least=False)]
    conclude("increment", asked, {"rows": rows}, targets)


if __name__ == "__main__":
    main()
