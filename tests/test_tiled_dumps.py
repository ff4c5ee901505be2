"""Dumps made to measure on hold as many games as asked for, each with an id of its own, and python-chess reads them."""

import io
import re
import subprocess
import sys
from pathlib import Path

import chess.pgn
import pytest
import zstandard

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "tiled_dumps.py"
MAGIC = b"\x28\xb5\x2f\xfd"
FRAME = re.compile(rb"\x50\x2a\x4d\x18\x04\x00\x00\x00(....)" + re.escape(MAGIC), re.DOTALL)


def made(games, target, *options):
    subprocess.run([sys.executable, str(SCRIPT), str(games), str(target), *options], check=True)
    return target


def unpacked(file):
    with file.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as text:
        return text.read()


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    return made(
        3_000, tmp_path_factory.mktemp("dump") / "lichess_db_standard_rated_2023-02.pgn.zst", "--frame-mib", "1"
    )


def test_a_dump_holds_as_many_games_as_asked_for_and_no_id_twice(dump):
    text = unpacked(dump).decode()
    ids = re.findall(r'\[Site "https://lichess\.org/(\w{8})"\]\n', text)
    assert len(set(ids)) == len(ids) == text.count("[Event ") == 3_000


def test_python_chess_reads_every_game_to_its_result_and_the_days_are_those_of_the_month(dump):
    text = io.StringIO(unpacked(dump).decode())
    played = []
    for _ in range(300):
        game = chess.pgn.read_game(text)
        assert game is not None
        assert not game.errors
        assert game.headers["White"] != game.headers["Black"]
        played.append(game.headers["UTCDate"] + game.headers["UTCTime"])
        assert game.headers["UTCDate"].startswith("2023.02.")
    assert played == sorted(played)


def test_players_are_a_tenth_of_the_games_and_their_names_are_ids_in_lower_case(dump):
    names = re.findall(r'\[(?:White|Black) "([^"]+)"\]', unpacked(dump).decode())
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{2,30}", name) for name in names)
    assert 250 < len({name.lower() for name in names}) == len(set(names)) <= 300


def test_each_frame_stands_after_one_that_tells_its_size(dump):
    data, at, n_frames = dump.read_bytes(), 0, 0
    while at < len(data):
        head = FRAME.match(data, at)
        assert head is not None
        at += 12 + int.from_bytes(head[1], "little")
        n_frames += 1
    assert at == len(data)
    assert n_frames > 4


def test_one_frame_holds_the_same_games(dump, tmp_path):
    alone = made(3_000, tmp_path / dump.name, "--single-frame")
    assert alone.read_bytes()[:4] == MAGIC
    assert unpacked(alone) == unpacked(dump)
