"""How fast the lake is: a month overwritten and read back, and a page of games appended with its cursor."""

from collections.abc import Callable

import polars as pl
from measuring import conclude, options, show, side_by_side, temporary_folder
from tiled_games import MONTH, tiled

from kshift_assets.chess.schemas import Games
from kshift_assets.tables import polars_schema
from resources.lake import Cursor, Lake

SCHEMA = polars_schema(Games)
TABLE, PAGE_GAMES, PAGES = "chess.games", 300, 20
Work = Callable[[], int]


def overwrite(number: int) -> Work:
    """A month in one commit, on the disk before it is named."""
    lake, frames = Lake(uri=str(temporary_folder())), list(tiled(number))
    return lambda: lake.overwrite(TABLE, lambda: iter(frames), SCHEMA, MONTH).n_rows


def read(number: int) -> Work:
    """A month into memory."""
    lake = Lake(uri=str(temporary_folder()))
    lake.overwrite(TABLE, lambda: tiled(number), SCHEMA, MONTH)
    return lambda: lake.scan(TABLE, SCHEMA, MONTH).collect().height


def append(pages: int) -> Work:
    """Pages of games, each in a commit that moves a cursor."""
    lake, page = Lake(uri=str(temporary_folder())), pl.concat(tiled(PAGE_GAMES))

    def work() -> int:
        for position in range(1, pages + 1):
            lake.append(TABLE, page, SCHEMA, Cursor("bench", position, position - 1 if position > 1 else None))
        return pages * page.height

    return work


def main() -> None:
    """Measure, print and keep."""
    asked = options(__doc__)
    (number,) = asked.sizes(100_000, quick=[500])
    found = side_by_side(
        {
            f"overwrite a month of {number:,} games": ("lake:overwrite", [number]),
            "read it into memory": ("lake:read", [number]),
            f"append {PAGES} pages of {PAGE_GAMES} games": ("lake:append", [PAGES]),
        },
        asked.rounds,
    )
    show(
        "Delta tables of chess.games",
        ["what", "games", "seconds", "games/s", "peak MB"],
        [[label, one.rows, one.seconds, one.rows / one.seconds, one.peak_mb] for label, one in found.items()],
    )
    conclude("lake", asked, {"works": {label: {"games": one.rows} | one.as_record() for label, one in found.items()}})


if __name__ == "__main__":
    main()
