"""What documents of games may say: a tree of fields in Lichess's own order, and as arrays for the compiled reader."""

from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from kshift_assets.chess.documents import LAST_CP, LAST_LEVEL, LAST_MS, LAST_S, LAST_SMALL
from kshift_assets.chess.pgn_bytes import word_of

TEXT, ACCOUNT, MOVES, FLAG, OBJECT, CLOCKS, ANALYSIS, ODD, WHOLE = range(9)
"""What a field holds; one that is ODD is for the careful reader, whatever it holds."""
_IS_TEXT = (TEXT, ACCOUNT, MOVES)

ENTRY = "analysis[]"
"""An element of the analysis: a tree of its own."""

Field = tuple[int, int]
"""What it holds, and the greatest number that is one."""


def _whole(last: int = LAST_SMALL) -> Field:
    return WHOLE, last


def _a(kind: int) -> Field:
    return kind, 0


def _player(color: str) -> dict[str, Field]:
    at = f"players.{color}"
    return {
        at: _a(OBJECT),
        f"{at}.user": _a(OBJECT),
        f"{at}.user.name": _a(TEXT),
        f"{at}.user.title": _a(TEXT),
        f"{at}.user.id": _a(ACCOUNT),
        f"{at}.name": _a(TEXT),
        f"{at}.aiLevel": _whole(LAST_LEVEL),
        f"{at}.rating": _whole(),
        f"{at}.ratingDiff": _whole(),
    }


_FIELDS = {
    "id": _a(TEXT),
    "rated": _a(FLAG),
    **dict.fromkeys(("variant", "speed", "perf"), _a(TEXT)),
    **dict.fromkeys(("createdAt", "lastMoveAt"), _whole(LAST_MS)),
    "status": _a(TEXT),
    "players": _a(OBJECT),
    **_player("white"),
    **_player("black"),
    **dict.fromkeys(("initialFen", "winner"), _a(TEXT)),
    "opening": _a(OBJECT),
    **dict.fromkeys(("opening.eco", "opening.name"), _a(TEXT)),
    "opening.ply": _whole(),
    "moves": _a(MOVES),
    "clocks": _a(CLOCKS),
    "analysis": _a(ANALYSIS),
    **dict.fromkeys(("tournament", "swiss"), _a(TEXT)),
    **dict.fromkeys(("arenaTour", "swissTour"), _a(ODD)),
    "clock": _a(OBJECT),
    "clock.initial": _whole(LAST_S),
    "clock.increment": _whole(),
    "daysPerTurn": _whole(),
}
_ENTRY_FIELDS = {
    f"{ENTRY}.eval": _whole(LAST_CP),
    f"{ENTRY}.best": _a(TEXT),
    f"{ENTRY}.judgment": _a(OBJECT),
    f"{ENTRY}.judgment.name": _a(TEXT),
    f"{ENTRY}.mate": _whole(),
}


def _slots(fields: dict[str, Field], *, texts: bool) -> dict[str, int]:
    names = [name for name, (kind, _) in fields.items() if (kind in _IS_TEXT) == texts]
    return {name: slot for slot, name in enumerate(names)}


TEXTS, ENTRY_TEXTS = _slots(_FIELDS, texts=True), _slots(_ENTRY_FIELDS, texts=True)
"""Field → its column among the spans."""
WHOLES, ENTRY_WHOLES = _slots(_FIELDS, texts=False), _slots(_ENTRY_FIELDS, texts=False)
"""Field → its column among the numbers: 1 of an object says that it is there, of a list the number is its place."""


def tables() -> dict[str, npt.NDArray[np.int64]]:
    """The trees as arrays: the fields of an object stand together; the root has number 0, ENTRY the last but one."""
    fields, slots = _FIELDS | _ENTRY_FIELDS, TEXTS | WHOLES | ENTRY_TEXTS | ENTRY_WHOLES
    objects = ["", *(name for name in _FIELDS if _FIELDS[name] == _a(OBJECT)), ENTRY, f"{ENTRY}.judgment"]
    children = {at: [name for name in fields if name.rpartition(".")[0] == at] for at in objects}
    names = [name for at in objects for name in children[at]]
    keys = [name.rpartition(".")[2] for name in names]
    borders = list(accumulate((len(children[at]) for at in objects), initial=0))
    table = {
        "low": [word_of(key[:8]) for key in keys],
        "high": [word_of(key[8:]) for key in keys],
        "kind": [fields[name][0] for name in names],
        "last": [fields[name][1] for name in names],
        "slot": [slots[name] for name in names],
        "child": [objects.index(name) if name in objects else -1 for name in names],
        "begin": [begin for begin, _ in pairwise(borders)],
        "end": [end for _, end in pairwise(borders)],
        "parent": [objects.index(at.rpartition(".")[0]) for at in objects],
    }
    return {name: np.array(values, np.int64) for name, values in table.items()}
