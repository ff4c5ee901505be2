"""Blocks of a stream of PGN: cut before an `[Event` at the start of a line, so that each can be read by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kshift_assets.chess.pgn_bytes import PADDING
from kshift_assets.chess.pgn_pieces import MAX_GAME_BYTES, STEP_BYTES
from resources.dumps import DumpDamaged

BLOCK_BYTES = 4 << 20
"""A block has about so many bytes."""

_BORDER = b"\n[Event "
_ZEROS = bytes(PADDING)


@dataclass(frozen=True)
class Block:
    """Whole pieces: the first `size` bytes of `data`; zeros, or the next piece, stand behind them.

    Or, if it `is_long`, a part of a piece that is too long to be a game: some steps of it, or all up to where it ends.
    """

    data: bytes
    size: int
    is_long: bool = False
    ends: bool = True
    is_last: bool = False
    is_cut: bool = False


def blocks(chunks: Iterable[bytes], damages: list[DumpDamaged]) -> Iterator[Block]:
    """The stream in blocks; if it is damaged, the last one `is_cut`, and the damage is noted.

    Between two blocks of whole pieces stands one end of line, which is in neither.
    """
    cutter = _Cutter()
    held: list[memoryview] = []
    n_held = 0
    try:
        for part in _in_parts(chunks):
            held.append(part)
            n_held += len(part)
            if n_held >= BLOCK_BYTES:
                yield from cutter.cut(held)
                held, n_held = [], 0
    except DumpDamaged as damage:
        damages.append(damage)
    yield from cutter.cut(held)
    yield Block(cutter.rest, len(cutter.rest) - PADDING, cutter.is_long, is_last=True, is_cut=bool(damages))


def _in_parts(chunks: Iterable[bytes]) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk)
        for begin in range(0, len(view), BLOCK_BYTES):
            yield view[begin : begin + BLOCK_BYTES]


class _Cutter:
    """Holds back what stands behind the last border, with PADDING behind it."""

    def __init__(self) -> None:
        self.rest = _ZEROS
        self.is_long = False  # whether the rest is of a piece of which parts have gone

    def cut(self, parts: Iterable[memoryview]) -> Iterator[Block]:
        data = b"".join([memoryview(self.rest)[:-PADDING], *parts, _ZEROS])
        if self.is_long:
            border = data.find(_BORDER)
            if border < 0:
                yield self._steps(data)
                return
            yield Block(data[:border], border, is_long=True)
            data = data[border + 1 :]
            self.is_long = False
        border = data.rfind(_BORDER)
        if border >= 0:
            yield Block(data, border)
            data = data[border + 1 :]
        self.rest = data
        if len(data) - PADDING > MAX_GAME_BYTES:
            self.is_long = True
            yield self._steps(data)

    def _steps(self, data: bytes) -> Block:
        """A part of a piece that goes on: whole steps, behind which a border may begin."""
        size = (len(data) - PADDING - len(_BORDER)) // STEP_BYTES * STEP_BYTES
        self.rest = data[size:]
        return Block(data[:size], size, is_long=True, ends=False)
