"""Tiny worlds for tests: invented players and games, shaped like Lichess's, in any number."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from resources.breaker import Patience
from resources.clock import SystemClock
from resources.exchange import Limits
from resources.http import Access
from resources.lichess import Lichess
from serving.replay_world import World

MARCH = 1709251200000
"""The first millisecond of March 2024, UTC."""
MINUTE = 60_000
DAY = 86_400_000
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def game_id(number: int) -> str:
    """The id of the n-th invented game."""
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return f"Zz{digits}"


def game(
    number: int, created: int, white: str = "alice_a", black: str = "bob-b", status: str = "resign", **more: Any
) -> dict[str, Any]:
    """A short blitz game."""
    document: dict[str, Any] = {
        "id": game_id(number),
        "rated": True,
        "variant": "standard",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": created,
        "lastMoveAt": created + 55_000,
        "status": status,
        "source": "pool",
        "players": {
            "white": {"user": {"name": white.title(), "id": white}, "rating": 1500 + number % 300, "ratingDiff": 5},
            "black": {"user": {"name": black.title(), "id": black}, "rating": 1490 + number % 200, "ratingDiff": -5},
        },
        "winner": "white",
        "opening": {"eco": "C20", "name": "King's Pawn Game", "ply": 2},
        "moves": "e4 e5 Nf3 Nc6",
        "clocks": [18003, 18003, 17900, 17950],
        "clock": {"initial": 180, "increment": 0, "totalTime": 180},
        "division": {},
    }
    if status in ("created", "started"):
        del document["winner"]
    return document | more


def world(n_games: int = 20, start: int = MARCH, step: int = MINUTE, players: Sequence[str] = ("alice_a",)) -> World:
    """A world in which each player has `n_games` games, `step` milliseconds apart, all against one opponent."""
    made = World()
    for index in range(n_games):
        for place, player in enumerate(players):
            number = index * len(players) + place
            made.add(game(number, start + index * step + place, white=player))
    return made


def analysed(document: dict[str, Any]) -> dict[str, Any]:
    """The same game once the server has analysed it."""
    changed = copy.deepcopy(document)
    changed["analysis"] = [{"eval": 30}, {"eval": 25}, {"eval": 35}, {"eval": 20}]
    return changed


def hasty(**limits: Any) -> Limits:
    """Limits under which a test does not have to wait."""
    return Limits(**({"retry_seconds": 0.0, "settle_seconds": 0.0, "read_seconds": 5.0} | limits))


def lichess(url: str, state: Path, token: str = "", clock: Any = None, transport: Any = None, **more: Any) -> Lichess:
    """A client for a replay server."""
    limits = more.pop("limits", None) or hasty()
    patience = more.pop("patience", None) or Patience()
    access = Access(SecretStr(token), patience, limits, clock or SystemClock(), transport)
    return Lichess(url=url, state=str(state), access=access, **more)
