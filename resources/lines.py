"""From a stream of bytes to whole lines: unpacked, bounded, and split on the newline alone."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STEP = 1 << 18
GZIP = 31  # zlib's number for a gzip header and trailer with the largest window


class Truncated(Exception):
    """A packed stream ended before its own end mark, or is not what it says."""


@dataclass(frozen=True)
class Line:
    """One line without its newline."""

    data: bytes
    is_ended: bool = True
    """A newline followed; False only for what stood at the end of the stream."""
    is_too_long: bool = False
    """`data` is only its beginning: the rest went past the limit and was skipped."""


def gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip in small steps, so that a small bomb stays small. Raises Truncated, which HTTP clients do not."""
    unpacker = zlib.decompressobj(GZIP)
    began = False
    for chunk in chunks:
        data = chunk
        while data:
            if unpacker.eof:
                unpacker = zlib.decompressobj(GZIP)  # a further member
            began = True
            try:
                piece = unpacker.decompress(data, STEP)
            except zlib.error as error:
                raise Truncated(f"not gzip: {error}") from error
            if piece:
                yield piece
            data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        # zlib may hold back output that filled the last step exactly
        while not unpacker.eof and began and (piece := unpacker.decompress(b"", STEP)):
            yield piece
    if began and not unpacker.eof:
        raise Truncated("the gzip stream ends before its end mark")


def split(chunks: Iterable[bytes], longest: int) -> Iterator[Line]:
    r"""Lines of a stream, split on `\n` only: U+2028 and U+0085 are legal inside JSON strings.

    A line longer than `longest` bytes is skipped to its end without being held in memory, and told.
    """
    held = bytearray()
    is_skipping = False
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            held += part[: longest + 1 - len(held)] if not is_skipping else b""
            is_skipping = is_skipping or len(held) > longest
            yield Line(bytes(held[:longest]), is_too_long=is_skipping)
            held.clear()
            is_skipping = False
        if not is_skipping:
            held += rest[: longest + 1 - len(held)]
            is_skipping = len(held) > longest
    if held:
        yield Line(bytes(held[:longest]), is_ended=False, is_too_long=is_skipping)
