"""Games a second of every analytic, beside DuckDB's SQL and bare python-chess: medians, a missed target is said."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import chess
import duckdb
import loky
import polars as pl
from measuring import Target, conclude, options
from tiled_games import sample_games

from kshift_assets.chess.seen_games import BATCH, SOURCE
from kshift_assets.definitions import find_plugins
from plugins import ColumnPlugin, GamePlugin
from plugins.games import pgn_game
from plugins.kinds import CHUNK
from resources.workers import Workers

GAMES, GAMES_ONE_BY_ONE = 100_000, 3_000
ROUNDS = 5
FASTEST_COLUMNS = 300_000
"""Games a second that an analytic of columns is to reach."""
SHARE_OF_BARE = 0.9
"""Part of the speed of the bare loop that an analytic of single games is to reach."""

# Clipped evaluations of a game with the start before them, as SQL of lists.
_CLIPPED = """
SELECT *, list_prepend(15, list_transform(range(1, len(arr_eval_cp) + 1), lambda i: CASE
    WHEN arr_eval_mate[i] > 0 THEN 1000 WHEN arr_eval_mate[i] < 0 THEN -1000
    ELSE greatest(-1000, least(1000, arr_eval_cp[i])) END)) AS evals
FROM games
"""
PEERS = {
    "acpl": f"""
        WITH clipped AS ({_CLIPPED}), losses AS (
            SELECT id_game, list_transform(range(1, len(evals)), lambda i:
                greatest(0, CASE WHEN i % 2 = 1 THEN evals[i] - evals[i + 1] ELSE evals[i + 1] - evals[i] END)) AS loss
            FROM clipped)
        SELECT id_game,
            round(list_avg(list_filter(loss, lambda x, i: x IS NOT NULL AND i % 2 = 1))) AS n_acpl_white,
            round(list_avg(list_filter(loss, lambda x, i: x IS NOT NULL AND i % 2 = 0))) AS n_acpl_black
        FROM losses""",  # noqa: S608  # our own words
    "comeback": f"""
        WITH clipped AS ({_CLIPPED})
        SELECT id_game, list_max(evals[2:]) AS n_best_cp, list_min(evals[2:]) AS n_worst_cp FROM clipped""",  # noqa: S608  # the same
    "move_count": """
        SELECT id_game, n_plies, len(regexp_extract_all(val_moves, 'x')) AS n_captures,
            len(regexp_extract_all(val_moves, '[+#]')) AS n_checks, contains(val_moves, 'O-O') AS ind_castled
        FROM games""",
}
"""Plain SQL for the core of an analytic; of comeback the extremes alone, of move_count both sides together."""


def measured(work: Callable[[], object], games: int) -> float:
    """Games a second, the median of several rounds after one that does not count."""
    return games / statistics.median(seconds_of(work, time.perf_counter))


def seconds_of(work: Callable[[], object], clock: Callable[[], float]) -> list[float]:
    """What the clock gains in each of several rounds of work, after one that does not count."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        start = clock()
        work()
        seconds.append(clock() - start)
    return seconds


def analysed_games(number: int) -> pl.DataFrame:
    """Games of the sample with evaluations and clocks, again and again, as analytics see them."""
    full = sample_games().filter(pl.col("arr_eval_cp").is_not_null() & pl.col("arr_clock_cs").is_not_null())
    rows = pl.int_range(number, eager=True)
    repeated = full[rows % full.height].with_columns(
        pl.lit("lichess").alias(SOURCE), id_game=rows.cast(pl.String).str.zfill(8)
    )
    return repeated.rechunk()


def in_batches(plugin: ColumnPlugin, games: pl.DataFrame) -> None:
    """Run it as the pipeline does: some games at a time."""
    for batch in games.iter_slices(BATCH):
        results = plugin.run(batch)
        assert results.get_column("val_error").null_count() == batch.height  # noqa: S101  # else nothing is measured


def ask_duckdb(query: str, games: pl.DataFrame) -> pl.DataFrame:
    """The same games, asked in SQL, on as many cores."""
    with duckdb.connect() as connection:
        connection.register("games", games.to_arrow())
        return pl.DataFrame(connection.sql(query).to_arrow_table())


def bare(compute: Callable[[Any], Any], games: pl.DataFrame) -> list[Any]:
    """A loop in python-chess, and nothing around it: its game of each row, then the analytic's function."""
    return [compute(pgn_game(row)) for row in games.iter_rows(named=True)]


def moves_alone(games: pl.DataFrame) -> int:
    """What python-chess needs to read the moves, before anybody has looked at anything."""
    n_moves = 0
    for san in games.get_column("val_moves"):
        board = chess.Board()
        for word in san.split():
            board.push_san(word)
        n_moves += board.ply()
    return n_moves


def columns(plugin: ColumnPlugin, games: pl.DataFrame) -> dict[str, Any]:
    """One row of the report: an analytic of columns, beside SQL where there is some."""
    run = partial(in_batches, plugin, games)
    row: dict[str, Any] = {
        "analytic": plugin.name,
        "kind": "columns",
        "games": games.height,
        "games_per_s": measured(run, games.height),
        # Of this process's time alone, all threads together: what others do on the machine does not count.
        "games_per_cpu_s": games.height
        / statistics.median(seconds_of(partial(in_batches, plugin, games), time.process_time)),
        "target": FASTEST_COLUMNS,
    }
    if plugin.name in PEERS:
        seen = games.select(plugin.looks_at)
        row["sql_games_per_s"] = measured(partial(ask_duckdb, PEERS[plugin.name], seen), games.height)
    return row


def one_by_one(plugin: GamePlugin, games: pl.DataFrame, workers: Workers) -> dict[str, Any]:
    """One row of the report: an analytic of single games, beside the bare loop in the same processes."""
    seen = games.select(plugin.looks_at)

    def loop() -> None:
        list(workers.map(partial(bare, plugin.compute), seen.select(plugin.reads).iter_slices(CHUNK)))

    fastest = measured(loop, games.height)
    speed = measured(lambda: plugin.run(seen, workers.map), games.height)
    return {
        "analytic": plugin.name,
        "kind": "game by game",
        "games": games.height,
        "games_per_s": speed,
        "bare_games_per_s": fastest,
        "target": SHARE_OF_BARE * fastest,
    }


def main() -> None:
    """Print a row for each analytic, and keep all in results/analytics.json."""
    asked, workers = options(__doc__), Workers()
    number, number_one_by_one = asked.sizes(GAMES, GAMES_ONE_BY_ONE, quick=[2 * CHUNK, 2 * CHUNK])
    games = analysed_games(number)
    few = games.head(number_one_by_one)
    plies = games.get_column("n_plies").mean()
    print(f"{games.height:,} games with evaluations and clocks, {plies:.0f} plies on average; {loky.cpu_count()} cores")
    print(f"{'analytic':<18}{'games/s':>12}{'target':>12}{'':>8}{'games/CPU-s':>14}{'beside it, games/s':>24}")
    rows = []
    for plugin in find_plugins():
        if isinstance(plugin, ColumnPlugin):
            row = columns(plugin, games)
        elif isinstance(plugin, GamePlugin):
            row = one_by_one(plugin, few, workers)
        else:
            continue  # an engine's speed is its node budget
        rows.append(row)
        beside = {"DuckDB SQL": row.get("sql_games_per_s"), "bare loop": row.get("bare_games_per_s")}
        shown = "  ".join(f"{name} {speed:,.0f}" for name, speed in beside.items() if speed)
        verdict = "met" if row["games_per_s"] >= row["target"] else "MISSED"
        alone = f"{row['games_per_cpu_s']:,.0f}" if "games_per_cpu_s" in row else ""
        print(
            f"{row['analytic']:<18}{row['games_per_s']:>12,.0f}{row['target']:>12,.0f}{verdict:>8}{alone:>14}{shown:>24}",
            flush=True,
        )
    chunks = [part.select("val_moves") for part in few.iter_slices(CHUNK)]
    reading = measured(lambda: list(workers.map(moves_alone, chunks)), few.height)
    print(f"python-chess reading the moves alone, in the same processes: {reading:,.0f} games/s")
    targets = [Target(f"games/s, {row['analytic']}", row["games_per_s"], row["target"]) for row in rows]
    result = {"plies_per_game": plies, "rows": rows, "python_chess_moves_alone_games_per_s": reading}
    conclude("analytics", asked, result, targets)


if __name__ == "__main__":
    main()
