"""How fast games are read, cleaned and stored, on the sample's repeated: medians of several rounds, in one run."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import polars as pl
from tiled_games import MONTH, SAMPLE, dump_rows

from kshift_assets.chess.cleaning import from_dump
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.schemas import Games
from kshift_assets.tables import polars_schema
from resources.dumps import Dumps
from resources.lake import Cursor, Lake

ROUNDS = 5
GAMES = 20_000


def timed(work: Callable[[], object]) -> float:
    """Median of the seconds that a piece of work takes."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def dump_bytes() -> tuple[bytes, int]:
    """About GAMES games of the sample's dump as PGN, and how many there are."""
    dumps = Dumps(folder=str(SAMPLE))
    text = b"".join(chunk for file in dumps.find(MONTH) for chunk in dumps.chunks(file))
    sound = b"\n\n[Event ".join(part for part in text.split(b"\n\n[Event ") if part.strip())
    number = sound.count(b"[Event ")
    times = max(1, GAMES // number)
    return (sound.rstrip() + b"\n\n") * times, number * times


def main() -> None:
    """Print a row for each part."""
    text, number = dump_bytes()
    parsed = pl.concat(read_games([text]))
    rows = dump_rows(parsed.with_columns(id_game=pl.format("{}", pl.int_range(10_000_000, 10_000_000 + parsed.height))))
    games, _ = from_dump(rows)
    print(f"{'part':<34}{'games':>9}{'median s':>10}{'games/s':>12}")

    def show(part: str, count: int, seconds: float) -> None:
        print(f"{part:<34}{count:>9,}{seconds:>10.3f}{count / seconds:>12,.0f}")

    show("PGN to rows", number, timed(lambda: list(read_games([text]))))
    show("dump rows to chess.games", rows.height, timed(lambda: from_dump(rows)))
    with tempfile.TemporaryDirectory() as folder:
        lake, schema = Lake(uri=folder), polars_schema(Games)

        def frames() -> Iterator[pl.DataFrame]:
            yield games

        show(
            "overwrite a month of the lake",
            games.height,
            timed(lambda: lake.overwrite("chess.games", frames, schema, MONTH)),
        )
        show("read it back", games.height, timed(lambda: lake.scan("chess.games", schema, MONTH).collect()))
        positions = iter(range(1, 10_000))
        page = games.head(300)

        def append() -> None:
            position = next(positions)
            lake.append("chess.pages", page, schema, Cursor("bench", position, position - 1 if position > 1 else None))

        show("append a page of 300 with a cursor", 300, timed(append))


if __name__ == "__main__":
    main()
