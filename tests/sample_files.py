"""The files of the embedded sample, read plainly for the tests that judge them."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import chess
import chess.variant
import zstandard

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
DUMPS = sorted(SAMPLE.glob("*.pgn.zst"))
MONTHS = ("2024-01", "2024-02")
Document = dict[str, Any]

BOARDS = {
    "antichess": chess.variant.AntichessBoard,
    "threeCheck": chess.variant.ThreeCheckBoard,
    "kingOfTheHill": chess.variant.KingOfTheHillBoard,
    "crazyhouse": chess.variant.CrazyhouseBoard,
    "atomic": chess.variant.AtomicBoard,
    "horde": chess.variant.HordeBoard,
    "racingKings": chess.variant.RacingKingsBoard,
}


def unpacked(path: Path) -> str:
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read().decode()


GAMES: list[Document] = [json.loads(line) for line in unpacked(SAMPLE / "games.ndjson.zst").splitlines()]
BY_ID = {game["id"]: game for game in GAMES}


def utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def n_plies(game: Document) -> int:
    return len(game["moves"].split())


def users_of(game: Document) -> list[str]:
    return [side["user"]["id"] for side in game["players"].values() if "user" in side]


def start_of(game: Document) -> chess.Board:
    if game["variant"] in BOARDS:
        return BOARDS[game["variant"]]()
    return chess.Board(game.get("initialFen", chess.STARTING_FEN), chess960=game["variant"] == "chess960")


def blocks(path: Path) -> list[tuple[dict[str, str], str]]:
    """Tags and movetext of every game of a dump."""
    games = []
    for text in re.split(r"\n\n(?=\[Event )", unpacked(path)):
        tags, _, moves = text.partition("\n\n")
        games.append((dict(re.findall(r'^\[(\w+) "(.*)"\]$', tags, re.MULTILINE)), moves.rstrip("\n")))
    return games


DUMPED = {path.name[-15:-8]: blocks(path) for path in DUMPS}
