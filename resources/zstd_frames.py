"""Zstandard streams, read in small pieces: a stream that ends too early is told from a whole one."""

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import zstandard

MAX_WINDOW_BYTES = 128 << 20
"""Largest window accepted, that of `zstd --long`: a frame can ask for more memory than the machine has."""
_CHUNK_BYTES = 1 << 20
_MAGIC = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
# What pzstd writes before each frame, a skippable frame that holds the size of the next, and that frame's magic number.
_SIZE_AND_MAGIC = struct.Struct("<IIII")
_SIZE_FRAME_BYTES = 12


class FrameBroken(Exception):
    """The stream ends in the middle of a frame, or holds something that is no frame."""


def borders(file: BinaryIO) -> list[int] | None:
    """Where the frames of a file that pzstd wrote begin, and its end; None for any other file.

    Only the sizes are read that stand before each frame, so it takes a moment for 30 GB. Raises FrameBroken if the
    file ends before the frame does that a size promises.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    found = [0]
    while (begin := found[-1]) < n_bytes:
        file.seek(begin)
        header = file.read(_SIZE_AND_MAGIC.size)
        if len(header) == _SIZE_AND_MAGIC.size:
            kind, length, size, magic = _SIZE_AND_MAGIC.unpack(header)
            if (kind, length, magic) != (_SKIPPABLE[0], 4, _MAGIC):
                return None
            found.append(begin + _SIZE_FRAME_BYTES + size)
        if len(header) < _SIZE_AND_MAGIC.size or found[-1] > n_bytes:
            if len(found) == 1:
                return None
            raise FrameBroken(f"cut off in the middle of a frame, after {n_bytes:,} bytes")
    return found if n_bytes else None


def unpack(file: BinaryIO, n_bytes: int | None = None) -> Iterator[bytes]:
    """Bytes of all frames of a stream, or of its next `n_bytes`, skippable frames left out, at most 1 MiB at a time.

    Where the library alone takes the end of its input for the end of the data, this looks whether a frame was open.
    Raises FrameBroken after the last byte that could be read. Memory: the window and a chunk, whatever the ratio.
    """
    source = _Source(file, n_bytes)
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    with decompressor.stream_reader(cast("BinaryIO", source), read_across_frames=True, closefd=False) as reader:
        while True:
            try:
                chunk = reader.read1(_CHUNK_BYTES)
            except zstandard.ZstdError as error:
                raise FrameBroken(f"not intact near byte {source.n_read:,}: {error}") from error
            if not chunk:
                break
            yield chunk
    if not source.is_between_frames:
        raise FrameBroken(f"cut off in the middle of a frame, after {source.n_read:,} bytes")


class _Source:
    """A file that follows the frames while it is read (RFC 8878, 3.1): only their headers, not what they hold."""

    def __init__(self, file: BinaryIO, n_bytes: int | None) -> None:
        self._file, self._n_bytes = file, n_bytes
        self.n_read = 0
        self._skip = 0  # bytes until the next field that matters
        self._field = bytearray()
        self._size = 4
        self._take: Callable[[int], None] = self._take_magic
        self._checksum = 0

    @property
    def is_between_frames(self) -> bool:
        """Whether what was read ends where a frame ends, and holds at least one."""
        return self._take == self._take_magic and not self._skip and not self._field and self.n_read > 0

    def read(self, n_bytes: int = -1) -> bytes:
        if self._n_bytes is not None:
            n_bytes = min(n_bytes, self._n_bytes - self.n_read)  # the library always says how much
        data = self._file.read(n_bytes)
        self.n_read += len(data)
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            field = data[at : at + self._size - len(self._field)]
            self._field += field
            at += len(field)
            if len(self._field) == self._size:
                value = int.from_bytes(self._field, "little")
                self._field.clear()
                self._take(value)
        return data

    def _take_magic(self, magic: int) -> None:
        if magic in _SKIPPABLE:
            self._expect(4, self._take_skippable_size)
        elif magic == _MAGIC:
            self._expect(1, self._take_descriptor)
        # Anything else is refused by the decompressor, with the same bytes.

    def _take_skippable_size(self, size: int) -> None:
        self._skip = size
        self._expect(4, self._take_magic)

    def _take_descriptor(self, descriptor: int) -> None:
        has_window = not descriptor & 0b100000
        content_size = (0 if has_window else 1, 2, 4, 8)[descriptor >> 6]
        dictionary_id = (0, 1, 2, 4)[descriptor & 0b11]
        self._skip = has_window + dictionary_id + content_size
        self._checksum = 4 if descriptor & 0b100 else 0
        self._expect(3, self._take_block)

    def _take_block(self, header: int) -> None:
        is_repeated_byte = (header >> 1) & 0b11 == 1
        self._skip = 1 if is_repeated_byte else header >> 3
        if header & 1:
            self._skip += self._checksum
            self._expect(4, self._take_magic)

    def _expect(self, size: int, take: Callable[[int], None]) -> None:
        self._size, self._take = size, take
