"""Makes documents of Lichess's API to measure on: recorded ones where they are, else the sample's, again and again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard
from tiled_dumps import KEPT, MONTH, ROOT, SAMPLE, game_ids

RECORDED = ROOT.parent / "shared" / "data" / "lichess" / "api_games" / "user_megaloblasto.ndjson"
"""A private recording beside the checkout, with all that the ingestion asks for: clocks, evaluations, openings."""
_BLOCK = 10_000
_APART_MS = 2_000


@cache
def originals() -> list[dict[str, Any]]:
    """The recorded documents, or the sample's, without their secret."""
    if RECORDED.exists():
        data = RECORDED.read_bytes()
    else:
        packed = (SAMPLE / "games.ndjson.zst").read_bytes()
        data = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    documents = [orjson.loads(line) for line in data.splitlines() if line.strip()]
    return [{key: value for key, value in one.items() if key != "fullId"} for one in documents]


def documents(number: int) -> Iterator[tuple[str, datetime, str]]:
    """Id, time and JSON of so many games of MONTH; no two have the same id."""
    begin_ms = int(datetime.strptime(MONTH, "%Y-%m").replace(tzinfo=UTC).timestamp() * 1000)
    known = originals()
    for start in range(0, number, _BLOCK):
        rows = range(start, min(start + _BLOCK, number))
        for row, game_id in zip(rows, game_ids(np.arange(rows.start, rows.stop)), strict=True):
            original = known[row % len(known)]
            created_ms = begin_ms + row * _APART_MS
            lasted_ms = original["lastMoveAt"] - original["createdAt"]
            new = {"id": game_id.decode(), "createdAt": created_ms, "lastMoveAt": created_ms + lasted_ms}
            yield new["id"], datetime.fromtimestamp(created_ms / 1000, UTC), orjson.dumps(original | new).decode()


def kept_documents(number: int) -> Path:
    """A file of so many documents, one a line, made when it is asked for first."""
    target = KEPT / f"games_{number}_{len(originals())}.ndjson"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(f"{document}\n" for _, _, document in documents(number))
        partial.replace(target)
    return target
