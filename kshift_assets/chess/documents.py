"""An API document of a game, JSON → a row of chess.games. What the API leaves out or writes oddly is known here."""

from collections.abc import Iterable
from typing import Any

import orjson
import polars as pl

from kshift_assets.chess.evaluation import JUDGMENTS
from kshift_assets.chess.schemas import Games
from kshift_assets.tables import polars_schema

TERMINATIONS = {
    "created": "Unterminated",
    "started": "Unterminated",
    "aborted": "Abandoned",
    "noStart": "Abandoned",
    "timeout": "Time forfeit",
    "outoftime": "Time forfeit",
    "mate": "Normal",
    "resign": "Normal",
    "stalemate": "Normal",
    "draw": "Normal",
    "variantEnd": "Normal",
    "insufficientMaterialClaim": "Insufficient material",
    "cheat": "Rules infraction",
    "unknownFinish": "Unknown",
}
"""Status → PGN's Termination, as lila's PGN export writes it."""
UNFINISHED = ("created", "started", "aborted")
"""Statuses without a result; every other one without a winner is a draw, also `outoftime` and `timeout`."""
WON_BY = {"white": "1-0", "black": "0-1"}

MOST_PLIES = 10_000
"""Far beyond any game on the site; what claims more is no game."""

LAST_MS = 253_402_300_799_999
"""The year 9999: what a timestamp can hold."""
LAST_CS = LAST_CP = LAST_S = 0x7FFFFFFF
LAST_SMALL, LAST_LEVEL = 0x7FFF, 0x7F
"""The greatest numbers that the columns can hold."""
_COMPUTED = ("dt_game", "dt_month", "tm_ingested", "val_source")
SCHEMA = pl.Schema(
    {name: dtype for name, dtype in polars_schema(Games).items() if name not in _COMPUTED}
    | {"tm_created": pl.Int64(), "tm_last_move": pl.Int64(), "val_faults": pl.String()}
)
"""Of the frame of documents that were read: times in milliseconds, and what could not be read in val_faults."""


class _Fields:
    """Typed access to one document; what has another type than it should counts as absent and is noted."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def odd(self, name: str, wanted: str, value: object) -> None:
        self.faults.append(f"{name}: {wanted} (got {str(value)[:80]})")

    def text(self, parent: dict[str, Any], key: str, at: str = "") -> str | None:
        value = parent.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            self.odd(at + key, "not a text", value)
        return None

    def flag(self, parent: dict[str, Any], key: str) -> bool | None:
        value = parent.get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.odd(key, "neither true nor false", value)
        return None

    def whole(self, parent: dict[str, Any], key: str, last: int = LAST_SMALL, at: str = "") -> int | None:
        value = parent.get(key)
        if type(value) is int and -last <= value <= last:
            return value
        if value is not None:
            self.odd(at + key, f"not a whole number within ±{last}", value)
        return None

    def record(self, parent: dict[str, Any], key: str, at: str = "") -> dict[str, Any]:
        value = parent.get(key)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.odd(at + key, "not an object", value)
        return {}

    def entries(self, parent: dict[str, Any], key: str, kind: type, most: int) -> list[Any]:
        """Take a list of at most so many elements of one kind; anything else is empty and noted."""
        value = parent.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(type(element) is kind for element in value):
            self.odd(key, f"not a list of {kind.__name__}", value)
        elif len(value) > most:
            self.odd(key, f"more than {most} entries", len(value))
        else:
            return value
        return []

    def id_of(self, parent: dict[str, Any], key: str, long_key: str) -> str | None:
        """Take a tournament's id: real exports give it bare, the specification in an object."""
        value = parent.get(key, parent.get(long_key))
        return self.text(value if isinstance(value, dict) else {"id": value}, "id", f"{key}.")


def read_one_by_one(documents: Iterable[str]) -> pl.DataFrame:
    """Read each document by itself, whatever stands in it; `document_columns` is faster where nothing is odd."""
    return pl.DataFrame([_row(document) for document in documents], schema=SCHEMA, orient="row")


def _row(text: str) -> dict[str, object]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return {"val_faults": f"document: not JSON ({error})"}
    if not isinstance(document, dict):
        return {"val_faults": "document: not a JSON object"}
    fields = _Fields()
    row = _facts(fields, document) | _outcome(fields, document)
    players = fields.record(document, "players")
    for color in WON_BY:
        if players.get(color) is None:
            fields.faults.append(f"players.{color}: missing")
        row |= _player(fields, fields.record(players, color, "players."), color)
    return row | {"val_faults": "; ".join(fields.faults) or None}


def _facts(fields: _Fields, document: dict[str, Any]) -> dict[str, object]:
    clock, opening = fields.record(document, "clock"), fields.record(document, "opening")
    return {
        "id_game": fields.text(document, "id"),
        "ind_rated": fields.flag(document, "rated"),
        "val_variant": fields.text(document, "variant"),
        "val_speed": fields.text(document, "speed"),
        "val_perf": fields.text(document, "perf"),
        "tm_created": fields.whole(document, "createdAt", LAST_MS),
        "tm_last_move": fields.whole(document, "lastMoveAt", LAST_MS),
        "n_clock_initial_s": fields.whole(clock, "initial", LAST_S, "clock."),
        "n_clock_increment_s": fields.whole(clock, "increment", at="clock."),
        "n_days_per_turn": fields.whole(document, "daysPerTurn"),
        "val_eco": fields.text(opening, "eco", "opening."),
        "val_opening": fields.text(opening, "name", "opening."),
        "n_opening_ply": fields.whole(opening, "ply", at="opening."),
        "val_initial_fen": fields.text(document, "initialFen"),
        "id_tournament": fields.id_of(document, "tournament", "arenaTour"),
        "id_swiss": fields.id_of(document, "swiss", "swissTour"),
    }


def _player(fields: _Fields, player: dict[str, Any], color: str) -> dict[str, object]:
    """`{}` is an anonymous player, `{"aiLevel": 3}` the computer; an imported game has a name without a user."""
    at = f"players.{color}."
    user = fields.record(player, "user", at)
    id_user = fields.text(user, "id", f"{at}user.")
    name = fields.text(user, "name", f"{at}user.") or fields.text(player, "name", at)
    return {
        f"id_user_{color}": id_user.lower() if id_user else None,
        f"val_name_{color}": name,
        f"val_title_{color}": fields.text(user, "title", f"{at}user."),
        f"n_rating_{color}": fields.whole(player, "rating", at=at),
        f"n_rating_diff_{color}": fields.whole(player, "ratingDiff", at=at),
        f"n_ai_level_{color}": fields.whole(player, "aiLevel", LAST_LEVEL, at),
    }


def _outcome(fields: _Fields, document: dict[str, Any]) -> dict[str, object]:
    status, winner, moves = (fields.text(document, key) for key in ("status", "winner", "moves"))
    if winner is not None and winner not in WON_BY:
        fields.odd("winner", "neither white nor black", winner)
    if moves is None:
        fields.faults.append("moves: missing")
    sans = (moves or "").split()
    if len(sans) > MOST_PLIES:
        fields.odd("moves", f"more than {MOST_PLIES} plies", len(sans))
        sans = []
    return {
        "val_status": status,
        "val_termination": TERMINATIONS.get(status or ""),
        "val_result": WON_BY.get(winner or "", "*" if status in UNFINISHED else "1/2-1/2"),
        "n_plies": len(sans),
        "val_moves": " ".join(sans),
        "arr_clock_cs": _clocks(fields, document, len(sans)),
    } | _analysis(fields, document, len(sans))


def _clocks(fields: _Fields, document: dict[str, Any], n_plies: int) -> list[int | None] | None:
    """Clocks by ply: the one more that a game ended by resignation, flag or draw has is cut, missing ones are null."""
    clocks = fields.entries(document, "clocks", int, n_plies + 1)
    if any(abs(clock) > LAST_CS for clock in clocks):
        fields.odd("clocks", f"not within ±{LAST_CS}", max(clocks, key=abs))
        return None
    return [*clocks[:n_plies], *[None] * (n_plies - len(clocks))] if clocks and n_plies else None


def _analysis(fields: _Fields, document: dict[str, Any], n_plies: int) -> dict[str, object]:
    """Read evaluations, judgments and better moves by ply; a mating move has no entry."""
    entries = fields.entries(document, "analysis", dict, n_plies)
    if not entries:
        return {}
    missing = [None] * (n_plies - len(entries))
    best = [fields.text(entry, "best", "analysis.") for entry in entries]
    return {
        "arr_eval_cp": [fields.whole(entry, "eval", LAST_CP, "analysis.") for entry in entries] + missing,
        "arr_eval_mate": [fields.whole(entry, "mate", at="analysis.") for entry in entries] + missing,
        "arr_glyph": [_glyph(fields, entry) for entry in entries] + missing,
        "arr_best": best + missing if any(best) else None,
    }


def _glyph(fields: _Fields, entry: dict[str, Any]) -> str | None:
    if entry.get("judgment") is None:
        return None
    name = fields.text(fields.record(entry, "judgment", "analysis."), "name", "analysis.judgment.")
    if name not in JUDGMENTS:
        fields.odd("analysis.judgment.name", f"none of {', '.join(JUDGMENTS)}", name)
        return None
    return JUDGMENTS[name]
