"""How fast a position is found among 100,000 games, and how fast chess.positions is made: medians, printed and as JSON.

The games are the sample's, again and again under other ids. They share their first plies; after these every copy is
given keys of its own, as if it had gone on in its own way. The database is published, and asked as consumers ask it.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
from measuring import Target, conclude, options
from tiled_games import MONTH, sample_games, tiled

from kshift_assets.chess.position_search import MACROS
from kshift_assets.chess.positions import BATCH_GAMES, POSITIONS, READS, position_rows
from kshift_assets.chess.tables import GAMES
from kshift_assets.published import pin
from kshift_assets.tables import polars_schema
from resources.lake import Lake
from resources.snapshots import DATABASE, Snapshots

N_GAMES, ROUNDS, SHARED_PLIES = 100_000, 5, 12
TARGET_MS = 200
SICILIAN = "rnbqkbnr/pp1ppppp/8/2p5/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2"

ASK = f"""
import sys, time
import duckdb
start = time.perf_counter()
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SET threads = 2")
connection.execute(sys.argv[2]).fetchall()
print(time.perf_counter() - start)
for _ in range({ROUNDS}):
    start = time.perf_counter()
    found = connection.execute(sys.argv[2]).fetchall()
    print(time.perf_counter() - start)
"""


def written(lake: Lake, number: int, *, diverging: bool) -> float:
    """Write the positions of all games, and tell the seconds that it took."""
    keys, schema = pl.col("id_position"), polars_schema(POSITIONS.model)
    copy = pl.col("id_game").cast(pl.Int64) // sample_games().height
    own = pl.when(pl.col("n_ply") > SHARED_PLIES).then(keys ^ copy.hash().reinterpret(signed=True)).otherwise(keys)

    def frames() -> Iterator[pl.DataFrame]:
        for games in tiled(number, size=BATCH_GAMES):
            rows, _ = position_rows(games.select(READS), MONTH)
            yield rows.with_columns(own).sort("id_position") if diverging else rows

    start = time.perf_counter()
    lake.overwrite(POSITIONS.full_name, frames, schema, MONTH)
    return time.perf_counter() - start


def asked(database: Path, query: str) -> tuple[float, float]:
    """Seconds from opening the database to the first answer, and of further answers: medians, each in a new process."""
    runs = [
        subprocess.run([sys.executable, "-c", ASK, str(database), query], check=True, capture_output=True, text=True)  # noqa: S603  # ourselves
        for _ in range(ROUNDS)
    ]
    seconds = [[float(line) for line in run.stdout.split()] for run in runs]
    return statistics.median(one[0] for one in seconds), statistics.median(
        statistics.median(one[1:]) for one in seconds
    )


def questions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What is asked: a position that many games share, one that few have, and one that none has."""
    # A player who lost as Black in blitz there, and a position of ply 30.
    user = connection.execute(
        f"SELECT mode(id_user_black) FROM games_with_position('{SICILIAN}') WHERE val_result = '1-0'"  # noqa: S608  # ours
    ).fetchall()[0][0]
    rare = sample_games().filter(pl.col("n_plies") > 30).item(0, "val_moves").split()[:8]  # noqa: PLR2004
    import chess  # noqa: PLC0415  # for this one position

    board = chess.Board()
    for san in rare:
        board.push_san(san)
    losses = (
        "SELECT val_link, tm_created, val_name_white, n_rating_white FROM games_with_position('{}') "  # noqa: S608  # ours
        f"WHERE id_user_black = '{user}' AND val_speed = 'blitz' AND val_result = '1-0' ORDER BY tm_created DESC"
    )
    results = "SELECT val_result, count(*) FROM games_with_position('{}') GROUP BY 1"
    return {
        "my losses as Black in blitz, 1. e4 c5": losses.format(SICILIAN),
        "results of all games, 1. e4 c5": results.format(SICILIAN),
        "results of all games, a position of ply 8": results.format(board.fen()),
        "results, a position of no game": results.format("8/8/8/4k3/8/8/4K3/7Q w - - 0 1"),
    }


def main() -> None:
    """Make the tables, publish them, ask, and tell."""
    wanted = options(__doc__)
    (number,) = wanted.sizes(N_GAMES, quick=[600])
    with tempfile.TemporaryDirectory() as folder:
        lake, snapshots = Lake(uri=f"{folder}/lake"), Snapshots(folder=f"{folder}/published")
        lake.overwrite(GAMES.full_name, lambda: tiled(number), polars_schema(GAMES.model), MONTH)
        position_rows(sample_games().select(READS), MONTH)  # the compiled code is loaded
        seconds = written(lake, number, diverging=False)
        written(lake, number, diverging=True)
        snapshots.publish([pin(lake, GAMES), pin(lake, POSITIONS)], lambda _: None, macros=MACROS)
        database = Path(folder) / "published" / DATABASE
        size = sum(Path(file).stat().st_size for file in lake.files(POSITIONS.full_name))
        n_rows = lake.n_rows(POSITIONS.full_name)
        with duckdb.connect(str(database), read_only=True) as connection:
            asked_for = questions(connection)
            n_found = {
                name: connection.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0]  # noqa: S608  # ours
                for name, query in asked_for.items()
            }
        times = {name: asked(database, query) for name, query in asked_for.items()}
    print(f"{number:,} games, {n_rows:,} positions: made at {number / seconds:,.0f} games/s")
    print(f"{size / number:,.0f} bytes a game, {size / n_rows:.1f} a position")
    print(f"{'question':<46}{'rows':>6}{'cold ms':>10}{'warm ms':>10}")
    for name, (cold, warm) in times.items():
        print(f"{name:<46}{n_found[name]:>6,}{1000 * cold:>10.0f}{1000 * warm:>10.0f}")
    targets = [
        Target(f"ms, {name}, new process", 1000 * cold, TARGET_MS, at_least=False) for name, (cold, _) in times.items()
    ]
    result = {
        "games": number,
        "positions": n_rows,
        "made_games_per_s": round(number / seconds),
        "bytes_per_game": round(size / number),
        "queries": {
            name: {"rows": n_found[name], "cold_ms": round(1000 * cold), "warm_ms": round(1000 * warm)}
            for name, (cold, warm) in times.items()
        },
    }
    conclude("positions", wanted, result, targets)


if __name__ == "__main__":
    main()
