"""The replay of what real games seldom hold, judged by python-chess: rare rules, set-up positions, any legal game."""

import random

import chess
import chess.polyglot
import polars as pl
import pytest
from board_oracle import assert_as_told, games_of, told
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.chess_rules.replay import replay

STARTS = [
    None,
    chess.STARTING_FEN,
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R b HAha - 0 1",
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1",
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1",
    "n1n5/PPPk4/8/8/8/8/4Kppp/5N1N b - - 0 1",
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8",
    "4k3/1P6/8/8/8/8/6p1/4K3 w - - 0 1",
    "r1q1k2r/8/1N4N1/8/8/1n4n1/8/R1Q1K2R b KQkq - 3 30",
    "QQQQQQQQ/8/8/4k3/8/8/8/4K3 b - - 0 1",
    "rnbqkbnr/ppp1p1pp/8/3pPp2/8/8/PPPP1PPP/RNBQKBNR w KQkq f6 0 3",
    "8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1",
]


@st.composite
def games(draw: st.DrawFn) -> tuple[str, str | None]:
    """A legal game, with a taste for what is rare: promotions, captures in passing, castling, checks."""
    fen = draw(st.sampled_from(STARTS))
    chance = random.Random(draw(st.integers(0, 2**32)))
    board = chess.Board(fen or chess.STARTING_FEN)
    sans = []
    for _ in range(draw(st.integers(0, 120))):
        moves = list(board.legal_moves)
        if not moves:
            break
        rare = [
            move
            for move in moves
            if move.promotion or board.is_en_passant(move) or board.is_castling(move) or board.gives_check(move)
        ]
        move = chance.choice(rare if rare and chance.random() < 0.4 else moves)
        sans.append(board.san_and_push(move))
    return " ".join(sans), fen


@settings(deadline=None)  # how long it takes depends on what else the machine does
@given(st.lists(games(), min_size=1, max_size=3))
def test_any_legal_game_is_what_python_chess_says(played: list[tuple[str, str | None]]) -> None:
    batch = games_of(*played)
    replayed = replay(batch)
    assert not replayed.status.any()
    assert_as_told(batch, replayed)


def changed(text: str, chance: random.Random) -> str:
    """A word with a letter taken away, put in, or put in the place of another."""
    place = chance.randrange(len(text) + 1)
    letter = chance.choice("abcdefgh12345678NBRQKOx=-+#0 0P9zé")
    return text[:place] + chance.choice(("", letter)) + text[place + chance.randrange(2) :]


@settings(deadline=None)  # the same
@given(games(), st.integers(0, 2**32), st.integers(1, 4))
def test_damaged_text_is_refused_where_python_chess_refuses_it(
    game: tuple[str, str | None], seed: int, n_changes: int
) -> None:
    moves, fen = game
    chance = random.Random(seed)
    for _ in range(n_changes):
        moves = changed(moves, chance)
    batch = games_of((moves, fen))
    assert_as_told(batch, replay(batch))


WORDS = ["O-O", "O-O-O", "0-0", "0-0-0", "e1g1", "e1h1", "e8c8", "e8a8", "e1c1", "e8h8", "Ke1g1", "Kg1", "Kh1"]
PARTS = (["", *"NBRQK"], ["", *"abcdefgh"], ["", *"12345678"], ["", "x", "-"], chess.SQUARE_NAMES, ["", "", "=Q", "n"])


@settings(deadline=None)  # the same
@given(games(), st.integers(0, 2**32))
def test_a_word_means_what_python_chess_takes_it_for(game: tuple[str, str | None], seed: int) -> None:
    moves, fen = game
    chance = random.Random(seed)
    board = chess.Board(fen or chess.STARTING_FEN)
    for san in moves.split():
        board.push_san(san)
    words = WORDS + ["".join(map(chance.choice, PARTS)) for _ in range(300)]
    words += [board.uci(move) for move in board.legal_moves]
    replayed = replay(games_of(*((f"{moves} {word}", fen) for word in words)))
    for number, word in enumerate(words):
        assert moved(board, word) == (None if replayed.status[number] else replayed.moves(number)[-1]), word


def moved(board: chess.Board, word: str) -> chess.Move | None:
    try:
        return board.parse_san(word)
    except ValueError:
        return None


@settings(deadline=None)  # the same
@given(st.lists(st.text() | st.none(), max_size=4), st.lists(st.text() | st.none(), max_size=4))
def test_any_text_at_all_spoils_nothing_but_its_own_game(texts: list[str | None], fens: list[str | None]) -> None:
    sound = ("e4 e5 Nf3 Nc6 Bb5", None)
    batch = games_of(sound, *((text, fen) for text in texts for fen in fens), sound)
    replayed = replay(batch)
    first, *_, last = replayed.moves_uci().to_list()
    assert replayed.n_games == batch.height
    assert replayed.status[0] == replayed.status[-1] == 0
    assert first == last == ["e2e4", "e7e5", "g1f3", "b8c6", "f1b5"]


def test_signs_behind_a_move_are_not_looked_at() -> None:
    assert replay(games_of("e4! e5?! Bc4+# Nc6?? Qh5!? Nf6 Qxf7#!!")).status.tolist() == [0]


@pytest.mark.parametrize(
    ("fen", "moves", "status"),
    [
        ("4k3/8/8/8/7b/8/5N2/4K3 w - - 0 1", "Ng4", 1),  # pinned
        ("4k3/8/8/8/7b/8/5Q2/4K3 w - - 0 1", "Qg3", 0),  # along the line it may go
        ("4k3/4r3/8/8/8/2N1N3/8/4K3 w - - 0 1", "Nd5", 0),  # two could, but one of them is pinned
        ("4k3/8/8/8/8/2N1N3/8/4K3 w - - 0 1", "Nd5", 1),  # both can: ambiguous
        ("8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1", "exd3", 1),  # both pawns leave the rank
        ("8/8/8/8/k2Pp3/8/8/3K4 b - d3 0 1", "exd3", 0),
        ("4k3/8/8/8/8/8/8/R3K2r w Q - 0 1", "O-O-O", 1),  # in check
        ("4k3/8/8/8/8/8/8/R3K1r1 w Q - 0 1", "O-O-O", 1),
        ("1r2k3/8/8/8/8/8/8/R3K3 w Q - 0 1", "O-O-O", 0),  # b1 may be attacked
        ("3rk3/8/8/8/8/8/8/R3K3 w Q - 0 1", "O-O-O", 1),  # d1 may not
        ("4k3/8/8/8/8/8/8/RN2K3 w Q - 0 1", "O-O-O", 1),  # b1 may not be taken
    ],
)
def test_rules_that_are_easily_forgotten(fen: str, moves: str, status: int) -> None:
    batch = games_of((moves, fen))
    assert told(moves, fen).status == status
    assert replay(batch).status.tolist() == [status]


@pytest.mark.parametrize(
    "fen",
    [
        "",
        "nothing",
        "8/8/8/8/8/8/8/8 w - - 0 1",  # no kings
        "kk6/8/8/8/8/8/8/K7 w - - 0 1",
        "k7/8/8/8/8/8/8/KP6 w - - 0 1",  # a pawn that stands where none can
        "k7/8/8/8/8/8/8/K6Q w - - 0 1",  # the king could be captured
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR x KQkq - 0 1",
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1 2",
    ],
)
def test_a_start_that_is_no_position_of_chess_is_said_to_be_none(fen: str) -> None:
    replayed = replay(games_of(("e4", fen), ("e4", None)))
    assert replayed.status.tolist() == [-1, 0]
    assert replayed.borders.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "fen",
    [
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR",  # the rest may be missing
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq e6 0 1",  # no pawn stands there
        "1nbqkbn1/pppppppp/8/8/8/8/PPPPPPPP/1NBQKBN1 w KQkq - 0 1",  # no rooks
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w GBgb - 0 1",  # no rooks there
        "rnbqkbnr/pppp1ppp/8/4p3/8/8/PPPPPPPP/RNBQKBNR w Kq e6 7 90",
    ],
)
def test_an_odd_start_is_read_as_python_chess_reads_it(fen: str) -> None:
    batch = games_of(("e4 a6 Nf3 b6 Be2 c6 O-O", fen))
    assert_as_told(batch, replay(batch))


def test_threads_share_the_games_and_change_nothing() -> None:
    batch = games_of(*(("e4 e5 Nf3", None), ("d4 d5 c5", None), (None, None), ("e4", "bad")) * 50)
    alone, shared = replay(batch, threads=1), replay(batch, threads=3)
    for name in alone.__dataclass_fields__:
        assert (getattr(alone, name) == getattr(shared, name)).all(), name


def test_a_slice_of_a_frame_is_read_as_what_it_is() -> None:
    batch = games_of("e4", "d4 d5", None, "c4 c5 Nc3", "Nf3")
    assert replay(batch[1:4]).moves_uci().to_list() == [["d2d4", "d7d5"], [], ["c2c4", "c7c5", "b1c3"]]
    assert replay(batch[:0]).moves_uci().to_list() == []


def test_moves_come_back_as_uci_and_for_python_chess() -> None:
    fen = "4k3/1P6/8/8/8/8/8/4K2R w K - 0 1"
    replayed = replay(games_of(("b8=Q+ Ke7 O-O", fen)))
    assert replayed.moves_uci().to_list() == [["b7b8q", "e8e7", "e1g1"]]
    assert [move.uci() for move in replayed.moves(0)] == ["b7b8q", "e8e7", "e1g1"]
    assert replayed.ply.tolist() == [1, 2, 3]
    assert replayed.keys().to_list() == [replayed.key.tolist()]
    assert replayed.keys().dtype == pl.List(pl.Int64)
