"""What the replay server knows: games, users, TV, dump files, and how Lichess's API selects from them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
import zstandard

Document = dict[str, Any]

RUNNING = frozenset({"created", "started"})
CHANNELS = (
    *("best", "bullet", "blitz", "rapid", "classical", "ultraBullet", "chess960", "crazyhouse"),
    *("antichess", "atomic", "horde", "kingOfTheHill", "racingKings", "threeCheck", "bot", "computer"),
)
_DUMP = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.(?:pgn\.zst|pgn\.bz2|pgn|txt)")


@dataclass(frozen=True)
class Selection:
    """The parameters of a game export, with Lichess's defaults for the export of a user."""

    since: int | None = None
    """Milliseconds, inclusive, on creation."""
    until: int | None = None
    """Milliseconds, exclusive, on creation."""
    most: int | None = None
    is_ascending: bool = False
    wants_finished: bool = True
    wants_running: bool = False
    rated: bool | None = None
    perfs: frozenset[str] = frozenset()
    opponent: str | None = None
    color: str | None = None
    analysed: bool | None = None


@dataclass(frozen=True)
class Shown:
    """Which parts of a game an export shows."""

    moves: bool = True
    clocks: bool = False
    evals: bool = False
    accuracy: bool = False
    opening: bool = False
    division: bool = False


@dataclass
class World:
    """A small Lichess. Tests change it between requests: games are added, finish, get analysed; accounts close."""

    games: dict[str, Document] = field(default_factory=dict)
    users: dict[str, Document] = field(default_factory=dict)
    rating_histories: dict[str, list[Document]] = field(default_factory=dict)
    tv: dict[str, list[str]] = field(default_factory=dict)
    """Channel → ids of its games, the one it shows first."""
    dumps: Path | None = None
    closed: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The world of a sample folder; files that are not there leave their part empty."""
        world = cls(dumps=folder)
        for document in _documents(folder):
            world.add(document)
        for user in _json(folder / "users.json", []):
            world.users[user["id"]] = user
            if user.get("disabled"):
                world.closed.add(user["id"])
        world.rating_histories = _json(folder / "rating_history.json", {})
        world.tv = {channel: _ids(shown) for channel, shown in _json(folder / "tv.json", {}).items()}
        return world

    def add(self, document: Document) -> None:
        """A new game, or a new version of one; its players become users."""
        self.games[document["id"]] = document
        for user in _users_of(document):
            self.users.setdefault(user["id"], {"id": user["id"], "username": user["name"]})

    def has(self, user: str) -> bool:
        """Whether there is such an account, open."""
        return user in self.users and user not in self.closed

    def games_of(self, user: str, wanted: Selection) -> list[Document]:
        """A user's games as the export would select and sort them.

        Lichess leaves aborted games out; here they are listed like other finished ones, so that what happens to them
        further on can be seen.
        """
        found = [game for game in self.games.values() if _is_wanted(game, user, wanted)]
        found.sort(key=lambda game: (game["createdAt"], game["id"]), reverse=not wanted.is_ascending)
        return found[: wanted.most]

    def dump(self, name: str) -> Path | None:
        """A dump file, or a list beside it, by its name alone."""
        if self.dumps is None or not _DUMP.fullmatch(name):
            return None
        return next((path for path in sorted(self.dumps.rglob(name)) if path.is_file()), None)


def shown(game: Document, parts: Shown) -> Document:
    """The game with only the parts that were asked for."""
    hidden = {
        "fullId",
        *(() if parts.moves else ("moves",)),
        *(() if parts.clocks else ("clocks",)),
        *(() if parts.evals else ("analysis",)),
        *(() if parts.opening else ("opening",)),
        *(() if parts.division else ("division",)),
    }
    document = {key: value for key, value in game.items() if key not in hidden}
    document["players"] = {side: _shown_player(player, parts) for side, player in game["players"].items()}
    return document


def _shown_player(player: Document, parts: Shown) -> Document:
    if "analysis" not in player or (parts.evals and parts.accuracy):
        return player
    shown_player = dict(player)
    analysis = shown_player.pop("analysis")
    if parts.evals or parts.accuracy:
        shown_player["analysis"] = {k: v for k, v in analysis.items() if k != "accuracy" or parts.accuracy}
    return shown_player


def _is_wanted(game: Document, user: str, wanted: Selection) -> bool:  # noqa: PLR0911  # one line a parameter
    sides = {side: player.get("user", {}).get("id") for side, player in game["players"].items()}
    colors = [side for side, name in sides.items() if name == user]
    if not colors or (wanted.color and wanted.color not in colors):
        return False
    if wanted.since is not None and game["createdAt"] < wanted.since:
        return False
    if wanted.until is not None and game["createdAt"] >= wanted.until:
        return False
    if not (wanted.wants_running if game["status"] in RUNNING else wanted.wants_finished):
        return False
    if wanted.opponent and wanted.opponent not in sides.values():
        return False
    if wanted.rated is not None and game["rated"] != wanted.rated:
        return False
    if wanted.analysed is not None and ("analysis" in game) != wanted.analysed:
        return False
    return not wanted.perfs or game["perf"] in wanted.perfs


def _users_of(document: Document) -> Iterable[Document]:
    return (player["user"] for player in document["players"].values() if "user" in player)


def _documents(folder: Path) -> Iterable[Document]:
    plain, packed = folder / "games.ndjson", folder / "games.ndjson.zst"
    if packed.exists():
        with packed.open("rb") as file:
            text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    else:
        text = plain.read_bytes() if plain.exists() else b""
    return (orjson.loads(line) for line in text.split(b"\n") if line.strip())


def _json(file: Path, absent: Any) -> Any:  # noqa: ANN401  # JSON is anything
    return orjson.loads(file.read_bytes()) if file.exists() else absent


def _ids(channel: Any) -> list[str]:  # noqa: ANN401  # JSON is anything
    match channel:
        case str():
            return [channel]
        case Mapping():
            return [channel["gameId"]]
        case _:
            return [one if isinstance(one, str) else one.get("gameId") or one["id"] for one in channel]
