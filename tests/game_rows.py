"""Source rows for tests: documents as rows of PlayerGames, PGN and made-up games as rows of DumpGames."""

import gzip
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.source_schemas import DumpGames, PlayerGames
from kshift_assets.tables import polars_schema

INGESTED = datetime(2026, 1, 1, tzinfo=UTC)
CREATED_MS = 1_420_113_600_123
"""2015-01-01 12:00:00.123 UTC."""

PLAYER_GAMES, DUMP_GAMES = polars_schema(PlayerGames), polars_schema(DumpGames)


def document(**changes: object) -> dict[str, Any]:
    """A sound document of a rated blitz game; a change to None takes a field away."""
    whole = {
        "id": "abcdEF12",
        "rated": True,
        "variant": "standard",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": CREATED_MS,
        "lastMoveAt": CREATED_MS + 60_000,
        "status": "resign",
        "source": "pool",
        "players": {
            "white": {"user": {"name": "Alfa_One", "id": "alfa_one"}, "rating": 1600, "ratingDiff": 6},
            "black": {"user": {"name": "BravoTwo", "title": "BOT", "id": "bravotwo"}, "rating": 1580, "ratingDiff": -6},
        },
        "winner": "white",
        "moves": "e4 e5 Nf3",
        "clock": {"initial": 180, "increment": 2, "totalTime": 260},
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def player_rows(documents: Iterable[dict[str, Any] | str], tm_ingested: datetime = INGESTED) -> pl.DataFrame:
    """Rows of PlayerGames; a text stands for a document as it arrived, stored for the game abcdEF12."""
    return pl.DataFrame([_player_row(one, tm_ingested) for one in documents], schema=PLAYER_GAMES, orient="row")


def _player_row(one: dict[str, Any] | str, tm_ingested: datetime) -> dict[str, object]:
    text = one if isinstance(one, str) else orjson.dumps(one).decode()
    facts = document() if isinstance(one, str) else document() | one
    created = facts["createdAt"] if isinstance(facts["createdAt"], int) else CREATED_MS
    tm_created = datetime.fromtimestamp(created / 1000, UTC)
    return {
        "id_game": facts["id"] if isinstance(facts["id"], str) else "abcdEF12",
        "id_user": "alfa_one",
        "tm_created": tm_created,
        "val_document": text,
        "val_hash": hashlib.sha256(text.encode()).hexdigest(),
        "id_fetch": "fetch-1",
        "tm_ingested": tm_ingested,
        "dt_month": f"{tm_created:%Y-%m}",
    }


def dump_row(**changes: object) -> dict[str, Any]:
    """A sound game of a monthly dump, before `dump_rows` types it."""
    return {
        "id_game": "abcdEF12",
        "n_game": 1,
        "val_event": "Rated Blitz game",
        "val_site": "https://lichess.org/abcdEF12",
        "val_white": "Alfa_One",
        "val_black": "BravoTwo",
        "val_result": "1-0",
        "val_utc_date": "2015.01.01",
        "val_utc_time": "12:00:00",
        "val_white_elo": "1600",
        "val_black_elo": "1580",
        "val_white_rating_diff": "+6",
        "val_black_rating_diff": "-6",
        "val_black_title": "BOT",
        "val_time_control": "180+2",
        "val_eco": "C40",
        "val_opening": "King's Knight Opening",
        "val_termination": "Normal",
        "n_plies": 3,
        "val_moves": "e4 e5 Nf3",
        "val_file": "lichess_db_standard_rated_2015-01.pgn.zst",
        "val_file_sha256": "0" * 64,
        "tm_ingested": INGESTED,
        "dt_month": "2015-01",
    } | changes


def dump_rows(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of DumpGames."""
    return pl.DataFrame(list(rows), schema=DUMP_GAMES, orient="row")


def dump_rows_of_pgn(pgn: bytes, name: str) -> pl.DataFrame:
    """A PGN file as rows of DumpGames, each game in the month that it names, as if it were that month's dump."""
    frames = [*read_games([pgn])]
    utc_month = pl.col("val_utc_date").str.slice(0, 7).str.replace(".", "-", literal=True)
    origin = {
        "val_file": pl.lit(name),
        "val_file_sha256": pl.lit(hashlib.sha256(pgn).hexdigest()),
        "tm_ingested": pl.lit(INGESTED),
        "dt_month": utc_month.fill_null("2013-01"),
    }
    return pl.concat(frames).with_columns(**origin).select(pl.col(name).cast(of) for name, of in DUMP_GAMES.items())


def unpacked(path: Path) -> bytes:
    """The bytes of a recording, gzipped or not."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def documents_of(path: Path) -> list[dict[str, Any]]:
    """The documents of a recording: one a line, one array, or a single one; times as the API has them."""
    data = unpacked(path)
    if path.suffix == ".json":
        found = orjson.loads(data)
        found = found if isinstance(found, list) else [found]
    else:
        found = [orjson.loads(line) for line in data.split(b"\n") if line.strip()]
    return [one | {key: _milliseconds(one[key]) for key in ("createdAt", "lastMoveAt")} for one in found]


def _milliseconds(time: int | str) -> int:
    """Some recordings went through a client that turns milliseconds into times in text."""
    if isinstance(time, int):
        return time
    moment = datetime.fromisoformat(time)
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
