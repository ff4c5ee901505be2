"""A process that writes to the lake until it is killed, and says after each commit what is acknowledged."""

import itertools
import random
from multiprocessing.connection import Connection

from lake_rows import FEBRUARY, MARCH, SCHEMA, TABLE, rows

from resources.lake import Cursor, Lake

READY = "ready"
PAGE_ROWS, MONTH_ROWS = 10, 50
GENERATIONS = 1_000  # more than one life can write


def write(uri: str, life: int, seed: int, acknowledged: Connection) -> None:
    """Append pages to January, and fill February and March anew with one generation of rows after the other.

    Sends READY, and the new cursor, or (month, generation), once the call has returned.
    """
    lake, chance = Lake(uri=uri), random.Random(seed)
    acknowledged.send(READY)
    for generation in itertools.count(life * GENERATIONS):
        if chance.random() < 0.6:
            position = lake.cursor(TABLE, "anna")
            first = (position or 0) * PAGE_ROWS
            cursor = Cursor("anna", (position or 0) + 1, position)
            lake.append(TABLE, rows(first, PAGE_ROWS, text=str(life)), SCHEMA, cursor)
            acknowledged.send(cursor.new)
        else:
            month = chance.choice([FEBRUARY, MARCH])
            half = rows(0, MONTH_ROWS // 2, month, str(generation))
            other = rows(MONTH_ROWS // 2, MONTH_ROWS // 2, month, str(generation))
            lake.overwrite(TABLE, lambda frames=(half, other): frames, SCHEMA, month)
            acknowledged.send((month, generation))
