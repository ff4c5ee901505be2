"""Units of a dump: wherever the file is cut, every game is read once, as if the file had been read whole."""

import shutil
import struct
import subprocess
import tempfile
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import resources.dump_units
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.pgn_frames import SCHEMA
from lakehouse import pgn
from packed import frames
from resources.dump_units import Unit, units_of
from resources.dumps import DumpDamaged, DumpFile, Dumps
from resources.zstd_frames import borders

NAME = "lichess_db_standard_rated_2024-01.pgn.zst"

# What stands in a file, besides games as they should be: what looks like a border and is none, and the other way round.
ODDITIES = [
    pgn("oddgame1").replace("\n", "\r\n"),
    pgn("oddgame2", moves='1. e4 { [Event "in a comment"] } e5 ' * 40),
    pgn("oddgame3", moves='1. e4 { a\n\n[Event "in a comment"]\n[Site "x"]\n } '),
    pgn("oddgame4", white="Łukasz 象棋", black="\U0001f642"),
    '[Site "https://lichess.org/oddgame5"]\n' + pgn("oddgame6"),
    pgn("oddgame7").removesuffix("\n"),
    "[Event \n\n[Event \n\n\n\n[Event",
    "\r\n\r\n\n\r\n",
    '[Event "no movetext"]\n\n',
    "1. e4 e5 1-0\n\n",
    "\ufeff",
]
TEXTS = st.lists(
    st.sampled_from(ODDITIES)
    | st.text(st.characters(codec="utf-8"), max_size=5)
    | st.integers(0, 9).map(lambda number: pgn(f"sound{number:03}")),
    max_size=12,
).map(lambda parts: "".join(parts).encode())


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(at), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


def dump(folder: Path, packed: bytes, name: str = NAME) -> DumpFile:
    (folder / name).write_bytes(packed)
    return DumpFile(folder / name, "", len(packed), "")


def whole(data: bytes) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=SCHEMA), *read_games([data])])


def by_units(file: DumpFile) -> pl.DataFrame:
    rows = pl.DataFrame(schema=SCHEMA)
    for unit in Dumps().units(file):
        before = rows.height
        for frame in read_games(Dumps().chunks(file, unit)):
            rows = rows.vstack(frame.with_columns(pl.col("n_game") + before))
    return rows


@settings(max_examples=40, deadline=None)
@given(data=TEXTS, cuts=st.data(), unit_bytes=st.integers(1, 400))
def test_every_game_comes_once_wherever_the_file_is_cut(data: bytes, cuts: st.DataObject, unit_bytes: int) -> None:
    at = cuts.draw(st.lists(st.integers(0, len(data)), max_size=8))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources.dump_units, "UNIT_BYTES", unit_bytes)
        file = dump(Path(folder), frames(*cut(data, at)))
        assert_frame_equal(by_units(file), whole(data))


def test_every_game_comes_once_where_each_byte_is_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 1)
    game = '[Event "Łukasz"]\n[Site "https://lichess.org/sound001"]\n[Result "*"]\n\n1. e4 *\n\n'
    data = "".join([game, game.replace("\n", "\r\n"), game, game]).encode()
    file = dump(tmp_path, frames(*[bytes([one]) for one in data]))
    assert len(Dumps().units(file)) == len(data)
    assert_frame_equal(by_units(file), whole(data))


def test_a_game_longer_than_several_units_is_read_by_the_one_in_which_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 1)
    parts = [pgn("sound001"), pgn("longgame", moves="1. Nf3 Nf6 2. Ng1 Ng8 " * 40_000), pgn("sound002")]
    data = "".join(parts).encode()
    file = dump(tmp_path, frames(*[data[at : at + 50_000] for at in range(0, len(data), 50_000)]))
    heights = [sum(len(frame) for frame in read_games(Dumps().chunks(file, unit))) for unit in Dumps().units(file)]
    assert len(heights) > 10
    assert heights[0] == 2
    assert sum(heights) == heights[0] + heights[-1] == 3
    assert_frame_equal(by_units(file), whole(data))


def test_units_take_frames_until_they_are_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 100)
    assert units_of([0, 40, 80, 120, 500, 510]) == [Unit(0, 0, 120), Unit(1, 120, 500), Unit(2, 500, 510)]
    assert units_of([0, 7]) == [Unit(0, 0, 7)]


# What is one unit, and what is damaged.

GAMES = [pgn(f"sound{number:03}").encode() for number in range(30)]
PLAIN = [zstandard.ZstdCompressor().compress(game) for game in GAMES]
NOT_OF_PZSTD = {
    "one frame": zstandard.ZstdCompressor().compress(b"".join(GAMES)),
    "plain frames": b"".join(PLAIN),
    "plain frames after others": frames(*GAMES[:10]) + b"".join(PLAIN[10:]),
    "other skippable frames": struct.pack("<III", 0x184D2A5E, 4, len(PLAIN[0])) + b"".join(PLAIN),
    "a longer skippable frame": struct.pack("<IIQ", 0x184D2A50, 8, len(PLAIN[0])) + b"".join(PLAIN),
    "sizes that lie": struct.pack("<III", 0x184D2A50, 4, 10) + b"".join(PLAIN),
}


@pytest.mark.parametrize("kind", NOT_OF_PZSTD)
def test_other_zstd_files_are_one_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 1)
    file = dump(tmp_path, NOT_OF_PZSTD[kind])
    assert Dumps().units(file) == [Unit(0, 0, file.n_bytes)]
    assert_frame_equal(by_units(file), whole(b"".join(GAMES)))


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
def test_other_packings_are_one_unit(tmp_path: Path, suffix: str) -> None:
    file = dump(tmp_path, b"x" * 1000, NAME.removesuffix(".zst") + suffix)
    assert Dumps().units(file) == [Unit(0, 0, 1000)]


@pytest.mark.parametrize("n_lost", [1, 5, 30])
def test_a_cut_file_is_told_before_anything_is_read(tmp_path: Path, n_lost: int) -> None:
    with pytest.raises(DumpDamaged, match=r"cut off in the middle of a frame, after .* bytes; get it anew"):
        Dumps().units(dump(tmp_path, frames(*GAMES)[:-n_lost]))


def test_a_file_cut_between_its_header_and_its_frame_is_told(tmp_path: Path) -> None:
    cut_off = frames(*GAMES[:2]) + frames(GAMES[2])[:7]
    with pytest.raises(DumpDamaged, match="cut off"):
        Dumps().units(dump(tmp_path, cut_off))


@pytest.mark.parametrize("data", [b"", b"PK", b"[Event "])
def test_what_is_not_zstd_is_told_by_whoever_reads_it(tmp_path: Path, data: bytes) -> None:
    file = dump(tmp_path, data)
    (unit,) = Dumps().units(file)
    with pytest.raises(DumpDamaged):
        list(Dumps().chunks(file, unit))


def test_sizes_that_split_a_frame_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 1)
    # A frame that holds what looks like the next frame's header, and a size that leads there.
    inner = struct.pack("<IIII", 0x184D2A50, 4, 0, 0xFD2FB528)
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(inner + bytes(range(256)))
    at = frame.index(inner)
    rest = len(frame) - at - 12
    frame = frame.replace(inner, inner[:8] + struct.pack("<I", rest) + inner[12:])
    file = dump(tmp_path, struct.pack("<III", 0x184D2A50, 4, at) + frame)
    assert len(Dumps().units(file)) == 2
    with pytest.raises(DumpDamaged, match="is damaged"):
        by_units(file)


def test_the_bytes_read_so_far_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 1)
    file = dump(tmp_path, frames(*GAMES))
    _, second, *_ = Dumps().units(file)
    told: list[int] = []
    list(Dumps().chunks(file, second, told.append))
    assert told[-1] == second.end - second.begin


# Against pzstd itself.


@pytest.mark.skipif(not shutil.which("pzstd"), reason="Debian's package zstd has pzstd")
def test_files_of_pzstd_are_cut_at_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 1)
    data = "".join(pgn(f"g{number:07}") for number in range(20_000)).encode()
    packed = subprocess.run(["pzstd", "-p10", "-1", "-c"], input=data, capture_output=True, check=True).stdout
    found = borders(BytesIO(packed))
    assert found
    assert len(found) > 3
    pieces = [packed[begin:end] for begin, end in pairwise(found)]
    unpacked = [zstandard.ZstdDecompressor().decompress(piece[12:], max_output_size=len(data)) for piece in pieces]
    assert b"".join(unpacked) == data
    file = dump(tmp_path, packed)
    assert len(Dumps().units(file)) == len(pieces)
    assert by_units(file).get_column("n_game").to_list() == list(range(1, 20_001))
