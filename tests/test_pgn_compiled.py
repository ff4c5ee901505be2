"""The compiled reader of dumps: it gives the rows that the careful one gives, whatever stands in the file."""

import os
import string
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kshift_assets.chess import pgn, pgn_blocks
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.pgn_bytes import PADDING
from kshift_assets.chess.pgn_kernel import BEGIN, END, IS_READ, Room, find_games
from resources.dumps import DumpDamaged
from tests.pgn_reference import Row, careful_rows, in_chunks, is_dump_shaped, pieces_of, rows_of

CORPUS = [
    """[Event "Rated Blitz game"]
[Site "https://lichess.org/AbCd1234"]
[Date "2025.05.01"]
[Round "-"]
[White "A_name_that_is_long"]
[Black "Łoś"]
[Result "1-0"]
[UTCDate "2025.05.01"]
[UTCTime "00:00:06"]
[WhiteElo "1028"]
[BlackElo "1132"]
[WhiteRatingDiff "-5"]
[BlackRatingDiff "+5"]
[BlackTitle "GM"]
[ECO "C46"]
[Opening "Three Knights Opening"]
[TimeControl "300+3"]
[Termination "Normal"]

1. e4 { [%eval 0.33] [%clk 0:05:00] } 1... e5?! { [%eval #-3] [%clk 0:04:59] } 2. Nf3 { White offers draw } \
{ [%clk 1:05:01] } 2... O-O-O { [%clk 100:05:02] } 3. exd8=Q# { [%eval -12.5] } 1-0
""",
    """[Event "Rated Bullet tournament https://lichess.org/tournament/yc1WW2Ox"]
[Site "https://lichess.org/EfGh5678/black"]
[GameId "ZyXw9876"]
[Annotator "somebody"]
[White "a"]
[Black "b"]
[Result "1/2-1/2"]

1. @e4!! P@d5+ Nb1xd2?? { } 2... Qa1 { Black offers draw } R1a3 { [%eval #0] } 1/2-1/2
""",
    """[Event "Casual game"]
[Site "http://www.lichess.org/IjKl9012"]
[Result "*"]

 *
""",
    """[Event "Rated Blitz game"]
[Site "https://lichess.org/MnOp3456"]
[White "north"]
[Result "0-1"]

1. d4 { [%clk 0:05:00] } 1... d5 { [%clk 0:05:00] } 2. c4 { a gambit } 2... c6 0-1
""",
]
WHOLE = "\n".join(CORPUS).encode()
SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "lichess_db_standard_rated_2024-01.pgn.zst"
EVALUATED = zstandard.ZstdDecompressor().stream_reader(SAMPLE.read_bytes()).read(6_000)
MORE = int(os.environ.get("FUZZ", "1"))  # so many times as many examples: make fuzz
SANS = st.from_regex(r"\A(?:[KQRBNP]?[a-h]?[1-8]?x?@?[a-h][1-8](?:=[QRBNKP])?|O-O(?:-O)?)[+#]?[?!]{0,3}\Z")
NOTES = st.sampled_from(
    ["{ White offers draw }", "{ Black offers draw }", "{ black offers draw }", "{ }", "{}", "{ good }", "$4"]
)
EVALS = st.from_regex(r"\A\[%eval (?:-?[0-9]{0,6}(?:\.[0-9]{0,3})?|#[-+]?[0-9]{0,5})\]\Z")
CLOCKS = st.from_regex(r"\A\[%clk [0-9]{1,4}:[0-9]{1,2}:[0-9]{2}(?:\.[0-9])?\]\Z")
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=14) | st.text(
    'é/\\"]\r\t z', max_size=9
)
NAMES = st.sampled_from(["White", "Black", "UTCTime", "BlackRatingDiff", "GameId", "X" * 16, "Y" * 300, "a_b", "_", ""])


@st.composite
def near_games(draw: st.DrawFn) -> bytes:
    """Games in the form of dumps, or almost."""
    result = draw(st.sampled_from(["1-0", "0-1", "1/2-1/2", "*"]))
    site = draw(st.sampled_from(["https://lichess.org/AbCd1234", "http://lichess.org/AbCd1234/white", "-"]))
    tags = [("Event", draw(VALUES)), ("Site", site), ("Result", draw(st.just(result) | VALUES))]
    tags += draw(st.lists(st.tuples(NAMES | st.text(string.ascii_letters, max_size=6), VALUES), max_size=4))
    line = draw(st.sampled_from(["\n", "\n", "\n", "\r\n"]))
    head = "".join(f'[{name} "{value}"]{line}' for name, value in tags)
    words = []
    for number in range(draw(st.integers(0, 6))):
        words += draw(st.sampled_from([[], [f"{number}."], [f"{number}..."]]))
        words += [draw(SANS)]
        words += draw(st.lists(NOTES, max_size=1))
        notes = draw(st.lists(EVALS, max_size=1)) + draw(st.lists(CLOCKS, max_size=1))
        words += [" ".join(["{", *notes, "}"])] if notes else []
    end = draw(st.sampled_from(["\n\n", "\n\n", "\n", "", "\n\n\n", " \n"])).replace("\n", line)
    text = head + draw(st.sampled_from([line, line, line + " ", ""])) + " ".join([*words, result]) + end
    return text.encode() if draw(st.booleans()) else text.encode("latin-1", "replace")


@st.composite
def mutated(draw: st.DrawFn, *texts: bytes) -> bytes:
    """Bytes flipped, taken out, put in, doubled, cut off."""
    text = bytearray(draw(st.sampled_from(texts)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        n_bytes = draw(st.integers(1, 12))
        new = draw(st.binary(max_size=6) | st.text('[]{}"\\ \r\n.#%:Ee09é', max_size=6).map(str.encode))
        kind = draw(st.sampled_from(["change", "take out", "put in", "double", "cut"]))
        if kind == "change":
            text[at : at + len(new)] = new
        elif kind == "take out":
            del text[at : at + n_bytes]
        elif kind == "put in":
            text[at:at] = new
        elif kind == "double":
            text[at:at] = text[at : at + 20 * n_bytes]
        else:
            del text[at:]
    return bytes(text)


def accepted(data: bytes) -> list[tuple[bytes, bool]]:
    """The pieces that the kernel sees, and whether it reads them."""
    text = np.frombuffer(data + bytes(PADDING), dtype=np.uint8)
    games = find_games(text, len(data), 0, Room(len(data))).games
    return [(data[game[BEGIN] : game[END]], bool(game[IS_READ])) for game in games]


FILES = mutated(WHOLE, EVALUATED) | st.lists(near_games() | st.sampled_from(CORPUS).map(str.encode), max_size=4).map(
    b"".join
)


@settings(max_examples=400 * MORE, deadline=None)
@given(FILES)
def test_the_kernel_reads_just_what_is_in_the_form_of_dumps(data: bytes) -> None:
    assert accepted(data) == [(piece, is_dump_shaped(piece)) for piece in pieces_of(data) if data]


@settings(max_examples=200 * MORE, deadline=None)
@given(FILES, st.lists(st.integers(1, 500), min_size=1, max_size=5), st.integers(1, 2_000), st.integers(1, 5))
def test_the_rows_are_those_of_the_careful_reader(data: bytes, sizes: list[int], block: int, n_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pgn_blocks, "BLOCK_BYTES", block)
        frames = list(read_games(in_chunks(data, sizes), n_rows))
    assert rows_of(frames) == careful_rows(data)
    assert all(frame.height == n_rows for frame in frames[:-1])


@settings(max_examples=200 * MORE, deadline=None)
@given(st.integers(0, len(CORPUS) - 1), st.data())
def test_damage_changes_no_neighbour(number: int, source: st.DataObject) -> None:
    head, _, tail = CORPUS[number].encode().partition(b"\n")
    damaged = head + b"\n" + source.draw(mutated(tail)).replace(b"\n[Event ", b"\n[event ")
    before, after = "".join(CORPUS).encode(), "".join(reversed(CORPUS)).encode()
    sound = [{**row, "n_game": 0} for row in rows_of(read_games([before + after]))]
    rows = [{**row, "n_game": 0} for row in rows_of(read_games([before + damaged + b"\n" + after]))]
    assert rows[: len(CORPUS)] == sound[: len(CORPUS)]
    assert rows[-len(CORPUS) :] == sound[len(CORPUS) :]


@settings(max_examples=60 * MORE, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(1, 700))
def test_a_file_that_is_cut_off_gives_all_that_stands_before_the_cut(cut: int, block: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield WHOLE[:cut]
        raise DumpDamaged("cut off")

    rows: list[Row] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pgn_blocks, "BLOCK_BYTES", block)
        with pytest.raises(DumpDamaged, match="cut off"):
            rows.extend(row for frame in read_games(chunks(), 2) for row in frame.iter_rows(named=True))
    assert rows == careful_rows(WHOLE[:cut], is_cut=True)


def pgn_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("pgn")]


def test_a_reader_that_is_closed_early_leaves_no_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgn_blocks, "BLOCK_BYTES", 1_000)
    frames = read_games([WHOLE + b"\n"] * 200, 2)
    next(frames)
    assert pgn_threads()
    frames.close()  # type: ignore[attr-defined]  # it is a generator
    assert not pgn_threads()


def test_an_error_in_a_thread_comes_out_where_the_games_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(block: pgn_blocks.Block) -> None:
        raise MemoryError(f"no room for {block.size} bytes")

    monkeypatch.setattr(pgn, "read_block", broken)
    with pytest.raises(MemoryError, match="no room for"):
        next(read_games([WHOLE]))
    assert not pgn_threads()


def test_only_so_many_blocks_are_held_as_can_be_read_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgn_blocks, "BLOCK_BYTES", 1_000)
    n_asked = 0

    def chunks() -> Iterator[bytes]:
        nonlocal n_asked
        for _ in range(1_000):
            n_asked += 1
            yield WHOLE + b"\n"

    next(read_games(chunks(), 4))
    assert n_asked < 20


def test_more_games_than_the_kernel_reads_at_a_time_are_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (WHOLE + b"\n") * 100
    wanted = pl.concat(read_games([data]))
    monkeypatch.setattr("kshift_assets.chess.pgn_kernel.MOST_GAMES", 7)
    assert pl.concat(read_games([data])).equals(wanted)
    assert wanted.height == 100 * len(CORPUS)


def test_tags_right_before_an_event_are_that_games_wherever_a_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    lone = b'[Annotator "somebody"]\n'
    data = lone + (WHOLE + b"\n" + lone) * 3 + WHOLE
    wanted = careful_rows(data)
    assert [row["val_tags_other"] for row in wanted].count('{"Annotator":"somebody"}') == 4
    for size in range(1, 1_000, 13):
        monkeypatch.setattr(pgn_blocks, "BLOCK_BYTES", size)
        assert rows_of(read_games([data], 5)) == wanted


CHECKED = """
import numpy as np, random
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.pgn_bytes import PADDING
from kshift_assets.chess.pgn_kernel import IS_READ, Room, find_games
from tests.pgn_reference import careful_rows, rows_of
from tests.test_pgn_compiled import CORPUS, WHOLE

chance, n_read = random.Random(1), 0
for _ in range(300):
    data = bytearray(chance.choice([WHOLE, *map(str.encode, CORPUS)]))
    for _ in range(chance.randrange(3)):
        at, n_bytes = chance.randrange(len(data)), chance.randrange(9)
        data[at : at + n_bytes] = chance.choice([b"", chance.randbytes(n_bytes), data[at : at + 90] * 2])
    del data[chance.choice([len(data), chance.randrange(len(data) + 1)]) :]
    text = np.frombuffer(bytes(data) + bytes(PADDING), dtype=np.uint8)
    n_read += find_games(text, len(data), 0, Room(len(data))).games[:, IS_READ].sum() if data else 0
    assert rows_of(read_games([bytes(data)])) == careful_rows(bytes(data))
print(n_read > 100)
"""


@pytest.mark.fuzz
def test_with_bounds_checked_nothing_is_read_or_written_outside(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", CHECKED], env=os.environ | checked, check=True, capture_output=True)
    assert done.stdout == b"True\n"
