"""Files packed as pzstd packs them, with frames of any size."""

import struct

import zstandard


def frames(*parts: bytes) -> bytes:
    """Frames with checksums, each after a skippable one that holds its size."""
    packed = [zstandard.ZstdCompressor(write_checksum=True).compress(part) for part in parts]
    return b"".join(struct.pack("<III", 0x184D2A50, 4, len(frame)) + frame for frame in packed)
