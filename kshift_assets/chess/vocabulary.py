"""What columns of chess are written in: types, the words that Lichess uses, and the forms of ids and months."""

from typing import Annotated

import polars as pl

Utc = Annotated[pl.Datetime, "us", "UTC"]
Int16s = Annotated[pl.List, pl.Int16()]
Int32s = Annotated[pl.List, pl.Int32()]
Strings = Annotated[pl.List, pl.String()]
SPEEDS = ("ultraBullet", "bullet", "blitz", "rapid", "classical", "correspondence")
VARIANTS = (
    "standard",
    "chess960",
    "crazyhouse",
    "antichess",
    "atomic",
    "horde",
    "kingOfTheHill",
    "racingKings",
    "threeCheck",
    "fromPosition",
)
STATUSES = (
    "created",
    "started",
    "aborted",
    "mate",
    "resign",
    "stalemate",
    "timeout",
    "draw",
    "outoftime",
    "cheat",
    "noStart",
    "unknownFinish",
    "insufficientMaterialClaim",
    "variantEnd",
)
TERMINATIONS = (
    "Normal",
    "Time forfeit",
    "Abandoned",
    "Unterminated",
    "Rules infraction",
    "Insufficient material",
    "Unknown",
)
RESULTS = ("1-0", "0-1", "1/2-1/2", "*")
GAME_ID = r"^[A-Za-z0-9]{8}$"
USER_ID = r"^[a-z0-9][a-z0-9_-]{0,28}[a-z0-9]$"
MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
