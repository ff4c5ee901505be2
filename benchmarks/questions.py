"""Milliseconds of a consumer's questions to a published database of a million games, in new processes and warm.

It asks the lakehouse that `end_to_end.py` has left, or makes one.
"""

import statistics
import time
from collections.abc import Callable

import duckdb
from measuring import Target, conclude, fresh, options, show, side_by_side
from tiled_dumps import MONTH, kept_dump, kept_lakehouse, player_names

MOST_MS, WARM_ROUNDS = 100, 9
PLAYER = player_names(100)[99].decode().lower()
"""One who plays more than most, yet is no machine."""
QUESTIONS = {
    "player_summary of one player": f"SELECT * FROM marts.player_summary WHERE id_user = '{PLAYER}'",  # noqa: S608  # ours
    "opening results by rating band": """
        SELECT n_rating_band, sum(n_games) AS n_games, sum(n_white_wins) AS n_white_wins, sum(n_draws) AS n_draws
        FROM marts.opening_bands WHERE val_eco = 'B01' GROUP BY ALL ORDER BY ALL""",
    "the same, counted in chess.games": """
        SELECT (n_rating_white + n_rating_black) // 400 * 200 AS n_rating, count(*) AS n_games,
            count_if(val_result = '1-0') AS n_white_wins, count_if(val_result = '0-1') AS n_black_wins
        FROM chess.games WHERE val_eco = 'B01' GROUP BY ALL ORDER BY ALL""",
    "all games of a player in a month": f"""
        SELECT id_game, tm_created, id_user_white, id_user_black, val_result, val_speed, val_opening
        FROM games_of('{PLAYER}') WHERE dt_month = '{MONTH}' ORDER BY tm_created""",  # noqa: S608  # ours
}


def ask(database: str, query: str) -> Callable[[], Callable[[], dict[str, float]]]:
    """A question from opening the database to its last row; afterwards the same question again and again."""

    def work() -> Callable[[], dict[str, float]]:
        connection = duckdb.connect(database, read_only=True)
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(query).fetchall()
        return lambda: {"rows": len(rows), "warm_s": statistics.median(_again(connection, query))}

    return work


def _again(connection: duckdb.DuckDBPyConnection, query: str) -> list[float]:
    seconds = []
    for _ in range(WARM_ROUNDS):
        start = time.perf_counter()
        connection.execute(query).fetchall()
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Publish, ask, print and keep."""
    asked = options(__doc__)
    (number,) = asked.sizes(1_000_000, quick=[500])
    home = kept_lakehouse(number)
    database = home / "published" / "latest.duckdb"
    if not database.exists():
        fresh("pipeline:publish", str(kept_dump(number)), str(home))
    found = side_by_side(
        {label: ("questions:ask", [str(database), query]) for label, query in QUESTIONS.items()}, asked.rounds
    )
    times = {
        label: (1000 * one.seconds, 1000 * statistics.median(answer["warm_s"] for answer in one.answers))
        for label, one in found.items()
    }
    show(
        f"{number:,} games published, asked through latest.duckdb",
        ["question", "rows", "new process, ms", "warm, ms"],
        [[label, found[label].rows, *both] for label, both in times.items()],
    )
    targets = [
        Target(f"ms, {label}, {how}", took, MOST_MS, at_least=False)
        for label, both in times.items()
        for how, took in zip(("new process", "warm"), both, strict=True)
    ]
    kept = {
        label: {"rows": found[label].rows, "new_process_ms": both[0], "warm_ms": both[1], "query": QUESTIONS[label]}
        for label, both in times.items()
    }
    conclude("questions", asked, {"games": number, "questions": kept}, targets)


if __name__ == "__main__":
    main()
