"""PGN, the way monthly dumps write it: a stream of bytes becomes frames of games, and no game is lost on the way.

The stream is cut into blocks before an `[Event` at the start of a line. Threads read the games in Lichess's own form
(tag lines, a blank line, one line of movetext) with compiled code, while the caller's thread unpacks what follows; what
is not in that form goes, game by game, to `pgn_pieces`. Moves are taken as written; whether they are legal is for
others to judge.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import loky
import numpy as np
import numpy.typing as npt
import polars as pl

from kshift_assets.chess.pgn_blocks import Block, blocks
from kshift_assets.chess.pgn_columns import Part, read_block
from kshift_assets.chess.pgn_frames import SCHEMA, Row, frame_of
from kshift_assets.chess.pgn_kernel import BEGIN, END, IS_READ
from kshift_assets.chess.pgn_pieces import Pieces
from resources.dumps import DumpDamaged

BATCH_BYTES = 64 << 20
"""A frame ends early at so many bytes of PGN, so that rows full of text cannot fill the memory."""
_WAITING_BLOCKS = 1  # beside those that are being read


def read_games(chunks: Iterable[bytes], rows_per_batch: int = 10_000) -> Iterator[pl.DataFrame]:
    """Frames of games from the bytes of an unpacked PGN file, in its order, with the columns of `pgn_frames.SCHEMA`.

    Memory stays flat however long the file, a line or a game is, and chunks may end anywhere. Bytes that are not
    UTF-8 are read as Latin-1, the character set of the PGN standard (4.1). DumpDamaged, raised by `chunks`, is raised
    again after the last frame: by then every game before the damage has been yielded, and the one that it cuts as a
    damaged row.
    """
    damages: list[DumpDamaged] = []
    first, held, n_rows, n_bytes = 1, list[pl.DataFrame](), 0, 0
    for frame, size in _frames(chunks, damages):
        held.append(frame)
        n_rows, n_bytes = n_rows + frame.height, n_bytes + size
        while n_rows >= rows_per_batch or (n_rows and n_bytes >= BATCH_BYTES):
            rows = pl.concat(held)
            batch, rest = rows[:rows_per_batch], rows[rows_per_batch:]
            yield _numbered(batch, first)
            first, held, n_rows, n_bytes = first + batch.height, [rest], rest.height, 0
    if n_rows:
        yield _numbered(pl.concat(held), first)
    if damages:
        raise damages[0]


def _numbered(frame: pl.DataFrame, first: int) -> pl.DataFrame:
    return frame.with_columns(n_game=pl.int_range(first, first + frame.height)).select(SCHEMA.names())


def _frames(chunks: Iterable[bytes], damages: list[DumpDamaged]) -> Iterator[tuple[pl.DataFrame, int]]:
    """The games of the stream in its order, without their numbers, and of how many bytes each frame was made."""
    n_threads = loky.cpu_count()
    pieces = Pieces()
    waiting: deque[tuple[Block, Future[list[Part]]]] = deque()
    threads = ThreadPoolExecutor(n_threads, "pgn")
    try:
        for block in blocks(chunks, damages):
            waiting.append((block, threads.submit(read_block, block)))
            if len(waiting) >= n_threads + _WAITING_BLOCKS:
                yield from _finished(*waiting.popleft(), pieces)
        while waiting:
            yield from _finished(*waiting.popleft(), pieces)
    finally:
        threads.shutdown(cancel_futures=True)


def _finished(block: Block, parts: Future[list[Part]], pieces: Pieces) -> Iterator[tuple[pl.DataFrame, int]]:
    """The games of a block, those that were refused read with care."""
    for part in parts.result():
        yield _completed(block, part, pieces), int(part.games[-1, END] - part.games[0, BEGIN])
    if block.is_long:
        data = block.data[: block.size]
        found = pieces.end(data, is_last=block.is_last, is_cut=block.is_cut) if block.ends else pieces.feed(data)
        rows = list(found)
        yield frame_of(rows), sum(len(row.text or "") for row in rows)


def _completed(block: Block, part: Part, pieces: Pieces) -> pl.DataFrame:
    """The games of a part, with those in their places that the kernel refused."""
    is_read = part.games[:, IS_READ] > 0
    game = 0 if pieces.is_open else _next(is_read, 0)
    if game == is_read.size:
        return part.frame
    is_kept = is_read.copy()
    rows: list[Row] = []
    places: list[int] = []
    while game < is_read.size:
        is_kept[game] = False
        is_last = block.is_last and part.is_last and game + 1 == is_read.size
        piece = block.data[part.games[game, BEGIN] : part.games[game, END]]
        rows += pieces.end(piece, is_last=is_last, is_cut=is_last and block.is_cut)
        places += [game] * (len(rows) - len(places))
        game = game + 1 if pieces.is_open else _next(is_read, game + 1)
    frame = pl.concat([part.frame.filter(is_kept[is_read]), frame_of(rows)])
    order = np.argsort(np.concatenate([np.flatnonzero(is_kept), places]), kind="stable")
    return frame[order]


def _next(is_read: npt.NDArray[np.bool_], game: int) -> int:
    """The next game that the kernel refused; how many there are if none."""
    refused = np.flatnonzero(~is_read[game:])
    return game + int(refused[0]) if refused.size else is_read.size
