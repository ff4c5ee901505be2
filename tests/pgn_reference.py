"""A second reader of dumps: their form as regular expressions, and every game read with care, nothing compiled."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from kshift_assets.chess.pgn_frames import SCHEMA, frame_of
from kshift_assets.chess.pgn_pieces import Pieces

Row = dict[str, Any]

SAN = r"(?:[KQRBN]?[a-h]?[1-8]?x?[a-h][1-8](?:=[QRBNK])?|O-O(?:-O)?|[PQRBNK]?@[a-h][1-8])[+#]?"
EVAL = r"-?\d{1,5}(?:\.\d\d?)?|#(?:-?[1-9]\d{0,3}|0)"
PLY = (
    rf"(?:\d{{1,4}}\.(?:\.\.)? |(?!\d)){SAN}[?!]{{0,2}} (?:\{{ (?:White|Black) offers draw \}} )?"
    rf"(?:\{{ (?:\[%eval (?:{EVAL})\] )?(?:\[%clk \d{{1,3}}:\d\d:\d\d\] )?\}} )?"
)
GAME = re.compile(
    rf'((?:\[[A-Za-z0-9]\w{{0,254}} "[^"\\\x00-\x1f]*"\]\n)++)\n ?(?:{PLY})*+(1-0|0-1|1/2-1/2|\*)\n*', re.ASCII
)
TAG = re.compile(r'\[(\w+) "(.*)"\]', re.ASCII)
SITE = re.compile(r"https?://(?:www\.)?lichess\.org/[A-Za-z0-9]{8}(?:/white|/black)?")


def pieces_of(data: bytes) -> list[bytes]:
    first, *others = data.split(b"\n[Event ")
    return [first, *(b"[Event " + piece for piece in others)]


def is_dump_shaped(piece: bytes) -> bool:
    """Whether a piece is to its last character what Lichess's exporter writes, with line ends of Unix or Windows."""
    try:
        text = piece.decode().removesuffix("\r").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return False
    game = GAME.fullmatch(text)
    if game is None:
        return False
    found = TAG.findall(game[1])
    tags = dict(found)
    has_id = re.fullmatch("[A-Za-z0-9]{8}", tags.get("GameId", "")) or SITE.fullmatch(tags.get("Site", ""))
    return len(tags) == len(found) and tags.get("Result") == game[2] and has_id is not None


def careful_rows(data: bytes, *, is_cut: bool = False) -> list[Row]:
    """The rows of a whole file, every piece of it read by pgn_pieces."""
    reader, pieces = Pieces(), pieces_of(data)
    rows = [row for piece in pieces[:-1] for row in reader.end(piece)]
    rows += reader.end(pieces[-1], is_last=True, is_cut=is_cut)
    frame = frame_of(rows).with_columns(pl.int_range(1, len(rows) + 1, dtype=pl.Int64).alias("n_game"))
    return frame.select(SCHEMA.names()).to_dicts()


def rows_of(frames: Iterable[pl.DataFrame]) -> list[Row]:
    return [row for frame in frames for row in frame.iter_rows(named=True)]


def in_chunks(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The data in chunks of these sizes, over and over."""
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        yield data[at : at + size]
        at, number = at + size, number + 1
