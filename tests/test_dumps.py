"""Dump files in folders, and their bytes: every packing, cut files, bombs."""

import bz2
import gzip
import hashlib
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from packed import frames
from resources.dumps import DumpDamaged, DumpFile, Dumps
from resources.errors import UserError
from resources.zstd_frames import FrameBroken, unpack

MONTH = "2013-01"
NAME = f"lichess_db_standard_rated_{MONTH}.pgn.zst"
TEXT = b"".join(b'[Event "Rated game %d"]\n\n1. e4 1-0\n\n' % number for number in range(20_000))
NOISE = random.Random(1).randbytes(200_000)  # incompressible, and always the same


# Folders.


def in_folder(tmp_path: Path, *names: str) -> Dumps:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return Dumps(folder=str(tmp_path))


def test_all_files_of_a_month_are_found_standard_chess_first(tmp_path: Path) -> None:
    dumps = in_folder(
        tmp_path,
        "lichess_db_atomic_rated_2013-01.pgn.zst",
        "lichess_db_standard_rated_2013-01.pgn.zst",
        "lichess_db_standard_rated_2013-02.pgn.zst",
        "chess960/lichess_db_chess960_rated_2013-01.pgn",
        "lichess_db_standard_rated_2013-01.pgn.zst.part",
        "lichess_db_2013-01_one_game.pgn",
        "lichess_db_standard_rated_2013-01_part2.pgn.gz",
        "notes_2013-01.pgn",
    )
    assert [file.name for file in dumps.find(MONTH)] == [
        "lichess_db_standard_rated_2013-01.pgn.zst",
        "lichess_db_standard_rated_2013-01_part2.pgn.gz",
        "lichess_db_2013-01_one_game.pgn",
        "lichess_db_atomic_rated_2013-01.pgn.zst",
        "lichess_db_chess960_rated_2013-01.pgn",
    ]


def test_a_file_knows_its_size_checksum_and_origin(tmp_path: Path) -> None:
    (file,) = in_folder(tmp_path, NAME).find(MONTH)
    assert file == DumpFile(tmp_path / NAME, hashlib.sha256(NAME.encode()).hexdigest(), len(NAME), str(tmp_path))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "has no file of 2013-01 (months there: none): put lichess_db_standard_rated_2013-01.pgn.zst there"),
        (["lichess_db_standard_rated_2013-02.pgn.zst"], "has no file of 2013-01 (months there: 2013-02)"),
        ([NAME, NAME.removesuffix(".zst")], "are the same dump twice: remove one of them"),
        ([NAME, f"standard/{NAME}"], "are the same dump twice: remove one of them"),
    ],
)
def test_a_folder_that_does_not_help_is_told(tmp_path: Path, names: list[str], message: str) -> None:
    dumps = in_folder(tmp_path, *names)
    with pytest.raises(UserError) as told:
        dumps.find(MONTH)
    assert message in str(told.value)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there: set KSHIFT_DUMP_DIR"):
        Dumps(folder=str(tmp_path / "gone")).find(MONTH)


def test_nowhere_to_look_is_told() -> None:
    with pytest.raises(UserError, match="set KSHIFT_DUMP_DIR to a folder"):
        Dumps().find(MONTH)


@pytest.mark.parametrize("month", ["2013-13", "2013-1", "../2013-01", "*", "2013-01\n"])
def test_what_is_no_month_is_refused(tmp_path: Path, month: str) -> None:
    with pytest.raises(UserError, match="is not a month"):
        in_folder(tmp_path, NAME).find(month)


def test_a_list_of_checksums_beside_the_files_is_believed(tmp_path: Path) -> None:
    dumps = in_folder(tmp_path, NAME)
    (tmp_path / "sha256sums.txt").write_text(f"{hashlib.sha256(NAME.encode()).hexdigest()}  {NAME}\n")
    assert dumps.find(MONTH)
    (tmp_path / NAME).write_bytes(b"changed")
    with pytest.raises(UserError, match=r"has not the checksum that .*sha256sums.txt states"):
        dumps.find(MONTH)


# Bytes.

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    ".pgn": bytes,
    ".pgn.gz": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    ".pgn.bz2": lambda data: bz2.compress(data[:1000]) + bz2.compress(data[1000:]),
    ".pgn.zst": lambda data: frames(data[:1000], data[1000:500_000], b"", data[500_000:]),
}


def dump_file(tmp_path: Path, suffix: str, data: bytes) -> DumpFile:
    path = tmp_path / f"lichess_db_standard_rated_{MONTH}{suffix}"
    path.write_bytes(data)
    return DumpFile(path, "", len(data), "")


def drain(chunks: Iterator[bytes], into: bytearray) -> None:
    for chunk in chunks:
        into += chunk


@pytest.mark.parametrize("suffix", PACKINGS)
def test_every_packing_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    file = dump_file(tmp_path, suffix, PACKINGS[suffix](TEXT))
    chunks = list(Dumps().chunks(file))
    assert b"".join(chunks) == TEXT
    assert max(map(len, chunks)) <= 1 << 20


@pytest.mark.parametrize("suffix", [".pgn.gz", ".pgn.bz2", ".pgn.zst"])
def test_a_cut_file_gives_what_it_holds_and_tells(tmp_path: Path, suffix: str) -> None:
    packed = PACKINGS[suffix](TEXT)
    for cut in (len(packed) // 2, len(packed) - 1):
        got = bytearray()
        with pytest.raises(DumpDamaged, match=r"is damaged: .*; get it anew"):
            drain(Dumps().chunks(dump_file(tmp_path, suffix, packed[:cut])), got)
        assert TEXT.startswith(got)
        assert len(got) >= 1000


@pytest.mark.parametrize("suffix", [".pgn.gz", ".pgn.bz2", ".pgn.zst"])
def test_a_file_that_is_not_intact_is_told(tmp_path: Path, suffix: str) -> None:
    packed = bytearray(PACKINGS[suffix](TEXT))
    middle = len(packed) // 2
    packed[middle : middle + 64] = bytes(64)
    with pytest.raises(DumpDamaged):
        list(Dumps().chunks(dump_file(tmp_path, suffix, bytes(packed))))


@pytest.mark.parametrize("data", [b"", b"not zstd at all", frames(b"good") + b"rubbish"])
def test_what_is_not_zstd_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DumpDamaged):
        list(Dumps().chunks(dump_file(tmp_path, ".pgn.zst", data)))


def test_a_file_that_may_not_be_read_is_no_damaged_file(tmp_path: Path) -> None:
    file = DumpFile(tmp_path / "gone.pgn.bz2", "", 0, "")
    with pytest.raises(FileNotFoundError):
        list(Dumps().chunks(file))


def test_a_zstd_stream_is_whole_only_where_a_frame_ends(tmp_path: Path) -> None:
    compressors = [
        zstandard.ZstdCompressor(),
        zstandard.ZstdCompressor(write_checksum=True),
        zstandard.ZstdCompressor(write_content_size=False),
    ]
    parts = [b"a" * 300_000, NOISE, b"", TEXT[:1000]]
    pieces = [compressor.compress(part) for compressor in compressors for part in parts]
    streamed = zstandard.ZstdCompressor().compressobj()
    pieces += [
        streamed.compress(b"of unknown size") + streamed.flush(),
        struct.pack("<II", 0x184D2A5F, 9) + b"skip this",
    ]
    data = b"".join(pieces)
    borders = {sum(map(len, pieces[:number])) for number in range(1, len(pieces) + 1)}
    cuts = {cut for border in borders for cut in (border - 5, border - 1, border, border + 1, border + 5)}
    path = tmp_path / "cut"
    whole = b"".join(parts) * 3 + b"of unknown size"
    for cut in sorted(cut for cut in cuts if 0 < cut <= len(data)):
        path.write_bytes(data[:cut])
        with path.open("rb") as file:
            if cut in borders:
                assert whole.startswith(b"".join(unpack(file)))
            else:
                with pytest.raises(FrameBroken, match="cut off in the middle of a frame"):
                    list(unpack(file))


BOMB = """
import resource
from pathlib import Path
from resources.dumps import DumpFile, Dumps
file = DumpFile(Path({path!r}), "", 0, "")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n_bytes = sum(map(len, Dumps().chunks(file)))
print(n_bytes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_bomb_does_not_fill_the_memory(tmp_path: Path) -> None:
    compressor = zstandard.ZstdCompressor().compressobj()
    frame = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(1 << 10)) + compressor.flush()
    assert len(frame) < 1 << 17
    path = tmp_path / "bomb.pgn.zst"
    path.write_bytes(frame)
    code = BOMB.format(path=str(path))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    n_bytes, growth = done.stdout.split()
    assert int(n_bytes) == 1 << 30
    assert float(growth) < 64  # MiB


def test_a_frame_that_asks_for_a_window_of_gigabytes_is_refused(tmp_path: Path) -> None:
    # Magic, a descriptor without content size, and a window of 2 GiB (RFC 8878, 3.1.1.1.2); then an empty last block.
    frame = struct.pack("<I", 0xFD2FB528) + bytes([0, (31 - 10) << 3]) + (1).to_bytes(3, "little")
    with pytest.raises(DumpDamaged, match="memory"):
        list(Dumps().chunks(dump_file(tmp_path, ".pgn.zst", frame)))
