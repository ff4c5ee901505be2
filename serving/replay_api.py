"""Lichess's API as the replay server speaks it: a question in, an answer out, no network yet."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from serving.replay_world import CHANNELS, Document, Selection, Shown, World, shown

NDJSON = "application/x-ndjson"
JSON = "application/json"
MOST_IDS = 300
PIECE = 1 << 16

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Question:
    """A request as it came in."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What to send: a head, and a body piece by piece."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    pieces: Iterable[bytes] = ()
    """One game a piece in exports."""
    length: int | None = None
    """Announced as Content-Length where known; else the body is sent in chunks."""
    n_games: int = 0


def answer(world: World, question: Question) -> Answer:  # noqa: C901, PLR0911  # a table of paths, one return each
    """What Lichess would answer."""
    parts = [part for part in question.path.split("/") if part]
    match [question.method, *parts]:
        case ["GET", "api", "games", "user", name]:
            return _games_of(world, name.lower(), question)
        case ["POST", "api", "games", "export", "_ids"]:
            return _games_by_ids(world, question)
        case ["GET", "game", "export", id_game]:
            return _game(world, id_game, question)
        case ["GET", "api", "tv", "channels"]:
            shown_on = ((channel, world.tv.get(channel)) for channel in CHANNELS)
            return _json({channel: _on_tv(world, ids[0]) for channel, ids in shown_on if ids})
        case ["GET", "api", "tv", channel] if channel in CHANNELS:
            return _tv_games(world, channel, question)
        case ["GET", "api", "user", name, "rating-history"]:
            return _json(world.rating_histories.get(name.lower(), []))
        case ["GET", "api", "user", name]:
            return _user(world, name.lower())
        case ["POST", "api", "users"]:
            ids = _listed(question)
            if len(ids) > MOST_IDS:
                return error(400, f"Too many ids: {len(ids)}, at most {MOST_IDS}.")
            return _json([world.users[name] for name in ids if name in world.users])
        case ["GET" | "HEAD", _, name] if file := world.dump(name):
            return _file(file, question)
        case _:
            return not_found()


def error(status: int, text: str) -> Answer:
    """An error as Lichess words it."""
    return replace(_json({"error": text}), status=status)


def not_found() -> Answer:
    """What unknown names and paths get."""
    return error(404, "Not found.")


def too_many() -> Answer:
    """What those get who ask too much."""
    return error(429, "Error 429: Too many requests! Try again later.")


def _games_of(world: World, name: str, question: Question) -> Answer:
    if not world.has(name):
        return not_found()
    params = question.params
    try:
        wanted = Selection(
            since=_number(params, "since"),
            until=_number(params, "until"),
            most=_number(params, "max"),
            is_ascending=params.get("sort") == "dateAsc",
            wants_finished=_flag(params, "finished", absent=True),
            wants_running=_flag(params, "ongoing", absent=False),
            rated=_flag(params, "rated", absent=False) if "rated" in params else None,
            perfs=frozenset(filter(None, params.get("perfType", "").split(","))),
            opponent=params.get("vs", "").lower() or None,
            color=params.get("color"),
            analysed=_flag(params, "analysed", absent=False) if "analysed" in params else None,
        )
    except ValueError as wrong:
        return error(400, str(wrong))
    return _export(world.games_of(name, wanted), question, Shown())


def _games_by_ids(world: World, question: Question) -> Answer:
    ids = _listed(question)
    if len(ids) > MOST_IDS:
        return error(400, f"Too many ids: {len(ids)}, at most {MOST_IDS}.")
    found = [world.games[one] for one in dict.fromkeys(ids) if one in world.games]
    found.sort(key=lambda game: (game["createdAt"], game["id"]), reverse=True)
    return _export(found, question, Shown())


def _game(world: World, id_game: str, question: Question) -> Answer:
    if id_game not in world.games:
        return not_found()
    if JSON not in question.headers.get("accept", "") and NDJSON not in question.headers.get("accept", ""):
        return error(406, "This stand-in for Lichess has no PGN: ask for JSON.")
    parts = _parts(question, Shown(clocks=True, evals=True, opening=True, division=True))
    return replace(_json(shown(world.games[id_game], parts)), n_games=1)


def _tv_games(world: World, channel: str, question: Question) -> Answer:
    most = _number(question.params, "nb") or 10
    found = [world.games[one] for one in world.tv.get(channel, []) if one in world.games]
    return _export(found[:most], question, Shown())


def _on_tv(world: World, id_game: str) -> Document:
    players = world.games[id_game]["players"] if id_game in world.games else {}
    color = max(players, key=lambda side: players[side].get("rating", 0), default="white")
    player = players.get(color, {})
    shown_player = {key: player[key] for key in ("user", "rating") if key in player}
    return {**shown_player, "gameId": id_game, "color": color}


def _user(world: World, name: str) -> Answer:
    if name not in world.users:
        return not_found()
    user = world.users[name]
    return _json({**user, "url": f"https://lichess.org/@/{user['username']}"})


def _export(games: list[Document], question: Question, usual: Shown) -> Answer:
    if NDJSON not in question.headers.get("accept", ""):
        return error(406, "This stand-in for Lichess has no PGN: ask for application/x-ndjson.")
    parts = _parts(question, usual)
    lines = tuple(orjson.dumps(shown(game, parts)) + b"\n" for game in games)
    return Answer(200, (("Content-Type", NDJSON),), lines, n_games=len(lines))


def _parts(question: Question, usual: Shown) -> Shown:
    names = ("moves", "clocks", "evals", "accuracy", "opening", "division")
    return Shown(**{name: _flag(question.params, name, absent=getattr(usual, name)) for name in names})


def _file(file: Path, question: Question) -> Answer:
    size = file.stat().st_size
    tag = f'"{sha256(f"{file.name} {size} {file.stat().st_mtime_ns}".encode()).hexdigest()[:16]}"'
    kind = "text/plain" if file.suffix == ".txt" else "application/octet-stream"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", kind), ("ETag", tag), ("Accept-Ranges", "bytes"))
    first, last, status = 0, size - 1, 200
    asked = _RANGE.fullmatch(question.headers.get("range", ""))
    if asked and any(asked.groups()) and question.headers.get("if-range", tag) == tag:
        first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
        last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
        if first > last:
            return replace(error(416, "Range not satisfiable."), headers=(("Content-Range", f"bytes */{size}"),))
        status, headers = 206, (*headers, ("Content-Range", f"bytes {first}-{last}/{size}"))
    length = last - first + 1
    pieces = () if question.method == "HEAD" else _read(file, first, length)
    return Answer(status, headers, pieces, length)


def _read(file: Path, first: int, length: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(first)
        left = length
        while left and (piece := opened.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


def _json(value: Any) -> Answer:  # noqa: ANN401  # JSON is anything
    text = orjson.dumps(value)
    return Answer(200, (("Content-Type", JSON),), (text,), len(text))


def _listed(question: Question) -> list[str]:
    return [one.strip() for one in question.body.decode("utf-8", "replace").split(",") if one.strip()]


def _number(params: Mapping[str, str], name: str) -> int | None:
    return int(params[name]) if name in params else None


def _flag(params: Mapping[str, str], name: str, *, absent: bool) -> bool:
    return params[name].lower() in ("true", "1", "yes") if name in params else absent
