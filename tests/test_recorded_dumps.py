"""The dump parser against python-chess, on every recorded PGN: same tags, moves, clocks, evaluations and glyphs."""

import gzip
import io
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chess
import chess.pgn
import polars as pl
import pytest
import zstandard

from kshift_assets.chess.pgn import read_games
from resources.dumps import DumpDamaged, Dumps
from tests.recordings import RECORDINGS, needs_recordings

pytestmark = needs_recordings

LICHESS = RECORDINGS / "lichess"
# Whole exports: python-chess reads the same games in them, and Lichess writes SAN the way python-chess does.
EXPORTS = [
    "dumps/lichess_db_standard_rated_2022-06_part1.pgn.gz",
    "dumps/lichess_db_standard_rated_2025-05_first.pgn.gz",
    "pgn_exports/bfx_de_blr_2026_format.pgn.gz",
    "pgn_exports/donnybadamo_test.pgn",
    "pgn_exports/gabuzyan_literate_evals.pgn.gz",
    "pgn_exports/megaloblasto.pgn",
    "pgn_snapshots/pnmadelaine_2023-11-18_bce009b.pgn.gz",
    "broadcast/FWWRC_2024.pgn.gz",
    "variants/antichess_swiss_a2vcYLBJ.pgn",
    "variants/dartchess_lichess-bullet-game.pgn",
    "variants/pgnviewer_annotations.pgn",
    "variants/pgnviewer_clockMin.pgn",
    "variants/pgnviewer_horde.pgn",
    "variants/pgnviewer_lichess.pgn",
    "variants/pychess_knightvuillaume-jannlee-zh-lichess.pgn",
]
# From elsewhere: the SAN may be written otherwise, but must mean the same move.
FOREIGN = [
    "dumps/lichess_db_2013-01_one_game.pgn",
    "variants/pychess_anastasian-lewis.pgn",
    "variants/pychess_chessbase-empty-line.pgn",
    "variants/pychess_cutechess-fischerrandom.pgn",
    "variants/pychess_nepomniachtchi-liren-game1.pgn",
    "variants/pychess_utf8-bom.pgn",
]
GLYPHS = {"!": 1, "?": 2, "!!": 3, "??": 4, "!?": 5, "?!": 6}
ANNOTATION = re.compile(r"\[%(?:clk \d+:\d+:\d+|eval (?:#-?\d+|-?\d+\.?\d*))\]")
DRAW_OFFER = re.compile(r"\b(White|Black) offers draw\b")
PLACEHOLDERS = ("?", "*", "????.??.??")

Row = dict[str, Any]


def content(name: str) -> bytes:
    path = LICHESS / name
    return gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()


def our_reading(data: bytes) -> list[Row]:
    return [row for frame in read_games([data]) for row in frame.iter_rows(named=True)]


def their_reading(data: bytes) -> Iterator[chess.pgn.Game]:
    logging.getLogger("chess.pgn").setLevel(logging.CRITICAL)
    file = io.StringIO(data.decode())
    while (game := chess.pgn.read_game(file)) is not None:
        yield game


def tags_of(row: Row) -> dict[str, str]:
    """Every tag that the row holds, under its name in the file."""
    names = {"val_utc_date": "UTCDate", "val_utc_time": "UTCTime", "val_eco": "ECO", "val_fen": "FEN"}
    columns = list(row)
    tags = {}
    for column in columns[columns.index("val_event") : columns.index("val_tags_other")]:
        if row[column] is not None:
            camel = "".join(word.capitalize() for word in column.removeprefix("val_").split("_"))
            tags[names.get(column, camel)] = row[column]
    return tags | json.loads(row["val_tags_other"] or "{}")


def squeezed(text: str) -> str:
    return " ".join(text.split())


def ply(row: Row, column: str, number: int) -> Any:  # lists of three types
    if row[column] is None:
        return None
    assert len(row[column]) == row["n_plies"]
    return row[column][number]


def check_tags(ours: Row, theirs: chess.pgn.Game) -> None:
    tags = tags_of(ours)
    tags.pop("{}", None)
    headers = {tag: value.replace(r"\"", '"').replace(r"\\", "\\") for tag, value in theirs.headers.items()}
    assert tags == {tag: headers[tag] for tag in headers if tag in tags or headers[tag] not in PLACEHOLDERS}


def check_plies(ours: Row, theirs: chess.pgn.Game, same_move: Callable[[chess.Board, chess.Move, str], bool]) -> None:
    assert not theirs.errors
    nodes = list(theirs.mainline())
    sans = ours["val_moves"].split()
    assert ours["n_plies"] == len(sans) == len(nodes)
    board = theirs.board()
    for number, (node, san) in enumerate(zip(nodes, sans, strict=True)):
        assert same_move(board, node.move, san), (ours["id_game"], number, san)
        board.push(node.move)
        clock = node.clock()
        assert ply(ours, "arr_clock_cs", number) == (None if clock is None else round(clock * 100))
        score = node.eval()
        assert ply(ours, "arr_eval_cp", number) == (score.white().score() if score else None)
        assert ply(ours, "arr_eval_mate", number) == (score.white().mate() if score else None)
        check_remarks(ours, number, node)


def check_remarks(ours: Row, number: int, node: chess.pgn.ChildNode) -> None:
    comment = ply(ours, "arr_comment", number) or ""
    glyph = ply(ours, "arr_glyph", number)
    further = {int(nag) for nag in re.findall(r"\$(\d+)", re.sub(r"\(.*\)", "", comment, flags=re.DOTALL))}
    assert node.nags == ({GLYPHS[glyph]} if glyph else set()) | further
    wanted = squeezed(ANNOTATION.sub(" ", node.comment))
    offer = DRAW_OFFER.search(wanted)
    assert ply(ours, "arr_draw_offer", number) == (offer[1].lower() if offer else None)
    wanted = squeezed(DRAW_OFFER.sub("", wanted))
    variations = node.parent.variations[1:] if node.is_main_variation() else []
    if variations or node.nags - {GLYPHS.get(glyph or "")}:
        words = iter(comment.split())
        assert all(word in words for word in wanted.split()), (wanted, comment)  # in this order, among others
        moves = re.sub(r"\{[^}]*\}", " ", comment)
        for variation in variations:
            board = node.parent.board()
            for following in (variation, *variation.mainline()):
                assert board.san_and_push(following.move) in moves
    else:
        assert squeezed(comment) == wanted


def same_text(board: chess.Board, move: chess.Move, san: str) -> bool:
    return board.san(move) == san.replace("P@", "@")  # Lichess named the dropped pawn until about 2017


def same_meaning(board: chess.Board, move: chess.Move, san: str) -> bool:
    return board.parse_san(san) == move


def report(record: Callable[[str, object], None], name: str, rows: list[Row]) -> None:
    reasons = Counter(row["val_error"] for row in rows if row["val_error"])
    plies = sum(row["n_plies"] or 0 for row in rows)
    record(name, {"games": len(rows), "plies": plies, "rejected": dict(reasons)})
    print(f"\n{name}: {len(rows)} games, {plies} plies, rejected: {dict(reasons) or 'none'}")  # noqa: T201  # what was compared is the test's report


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.whole)], ids=["every_fourth", "all"])
@pytest.mark.parametrize("name", EXPORTS)
def test_lichess_files_read_as_python_chess_reads_them(
    name: str, step: int, record_property: Callable[[str, object], None]
) -> None:
    data = b"".join(re.split(rb"(?<=\n\n)(?=\[Event )", content(name))[::step])
    rows = our_reading(data)
    report(record_property, name, rows)
    for ours, theirs in zip(rows, their_reading(data), strict=True):
        check_tags(ours, theirs)
        check_plies(ours, theirs, same_text)
        is_lichess = re.fullmatch(r"https://lichess\.org/\w{8}", theirs.headers["Site"]) is not None
        assert (ours["id_game"] is not None) == is_lichess
        is_cut = name.endswith("clockMin.pgn")
        assert (ours["val_error"] is None) == (is_lichess and not is_cut), ours["val_error"]
        assert ours["val_error"] is None or ours["val_text"].startswith("[Event ")


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_read_as_python_chess_reads_them(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    data = content(name)
    rows = our_reading(data)
    report(record_property, name, rows)
    for ours, theirs in zip(rows, their_reading(data), strict=True):
        check_tags(ours, theirs)
        check_plies(ours, theirs, same_meaning)
        assert ours["val_error"] == "no game id in Site or GameId"


@pytest.mark.parametrize(
    ("name", "n_games", "moves"),
    [
        ("variants/dartchess_headers-and-moves-on-the-same-line.pgn", 3, "e3 e6 b4 Bxb4 Qg4"),
        ("variants/dartchess_leading-whitespace.pgn", 4, "e4 e5 Nf3 Nc6 Bb5"),
    ],
)
def test_oddly_laid_out_games_are_all_read(name: str, n_games: int, moves: str) -> None:
    # python-chess skips these lines in silence; what stands in them can be read in the files themselves.
    rows = our_reading(content(name))
    assert [row["val_moves"] for row in rows] == [moves] * n_games
    assert all("the movetext ends without a result" in row["val_error"] for row in rows)
    assert [row["arr_comment"][-1] for row in rows] == re.findall(r"\{ (.*?) ?\}", content(name).decode())


@pytest.mark.parametrize("name", ["pgn_snapshots/pnmadelaine_2023-02-08_444c2bf.pgn.gz", *EXPORTS[:3]])
def test_the_general_reader_agrees_with_the_fast_one(name: str) -> None:
    data = content(name)
    escaped = data.replace(b"\n[Event ", b"\n%what follows is not the fast reader's form\n[Event ")
    fast, general = (pl.concat(read_games([text])) for text in (data, b"%\n" + escaped))
    assert fast.equals(general)


def test_a_later_snapshot_of_an_export_holds_the_games_of_the_earlier_ones() -> None:
    snapshots = sorted((LICHESS / "pgn_snapshots").glob("*.pgn.gz"))
    columns = ["val_moves", "arr_clock_cs", "val_result"]  # not the names: one player changed the spelling
    earlier: dict[str, tuple[object, ...]] = {}
    for path in snapshots:
        rows = {row["id_game"]: tuple(map(str, (row[c] for c in columns))) for row in our_reading(content(str(path)))}
        assert earlier.items() <= rows.items()
        earlier = rows
    assert len(earlier) == 1516


def test_a_dump_cut_anywhere_keeps_every_game_before_the_cut() -> None:
    data = content(EXPORTS[1])
    whole = our_reading(data)
    borders = [found.start() + 1 for found in re.finditer(rb"\n\[Event ", data)]
    for cut in range(1000, len(data), 97_013):
        rows = our_reading(data[:cut])
        n_before = sum(border <= cut for border in borders)
        assert rows[:n_before] == whole[:n_before]
        assert len(rows) <= n_before + 1
        text = "".join(row["val_text"] or "" for row in rows[n_before:])
        begin = [0, *borders][n_before]
        is_whole = rows[n_before:] == whole[n_before : n_before + 1]
        assert is_whole or text == data[begin:cut].decode(errors="ignore").strip("\n")


def collect(frames: Iterator[pl.DataFrame], into: list[Row]) -> None:
    for frame in frames:
        into.extend(frame.iter_rows(named=True))


def test_a_packed_dump_gives_all_its_games_and_a_cut_one_those_before_the_cut(tmp_path: Path) -> None:
    data = content(EXPORTS[1])
    whole = our_reading(data)
    packed = b"".join(zstandard.compress(data[at : at + 100_000]) for at in range(0, len(data), 100_000))
    path = tmp_path / "lichess_db_standard_rated_2025-05.pgn.zst"
    dumps = Dumps(folder=str(tmp_path))

    path.write_bytes(packed)
    (file,) = dumps.find("2025-05")
    assert [row for frame in read_games(dumps.chunks(file)) for row in frame.iter_rows(named=True)] == whole

    path.write_bytes(packed[: len(packed) // 2])
    (file,) = dumps.find("2025-05")
    rows: list[Row] = []
    with pytest.raises(DumpDamaged, match="cut off in the middle of a frame"):
        collect(read_games(dumps.chunks(file)), rows)
    assert len(rows) > 150
    assert rows[:-1] == whole[: len(rows) - 1]
    assert rows[-1]["val_error"].endswith("; the file is damaged here")
