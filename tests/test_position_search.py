"""position_key(fen), computed in plain SQL, is python-chess's Polyglot key for any position of chess."""

import random

import chess
import duckdb
import pytest
from board_oracle import signed
from chess.polyglot import zobrist_hash
from hypothesis import given, settings
from hypothesis import strategies as st

from kshift_assets.chess.position_search import MACROS


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA chess")
    connection.execute(
        "CREATE TABLE chess.positions (id_position BIGINT, id_game VARCHAR, n_ply SMALLINT, val_color VARCHAR, "
        "n_clock_cs INTEGER, val_eval_cp INTEGER, val_eval_mate SMALLINT, dt_month VARCHAR)"
    )
    connection.execute(
        "CREATE TABLE chess.games (id_game VARCHAR, dt_month VARCHAR, id_user_white VARCHAR, id_user_black VARCHAR, "
        "val_name_white VARCHAR, val_name_black VARCHAR, n_rating_white SMALLINT, n_rating_black SMALLINT, "
        "ind_rated BOOLEAN, val_speed VARCHAR, val_result VARCHAR, val_status VARCHAR, tm_created TIMESTAMPTZ)"
    )
    for statement in MACROS:
        connection.execute(statement)
    return connection


def key(database: duckdb.DuckDBPyConnection, fen: str) -> int | None:
    found = database.execute(f"SELECT position_key('{fen}')").fetchone()
    return found[0] if found else None


@st.composite
def boards(draw: st.DrawFn) -> chess.Board:
    """A position of a legal game, with a taste for double steps of pawns and for what ends castling rights."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    board = chess.Board()
    for _ in range(draw(st.integers(0, 60))):
        moves = list(board.legal_moves)
        if not moves:
            break
        rare = [
            move
            for move in moves
            if abs(move.from_square - move.to_square) == 16 or board.piece_type_at(move.from_square) in (4, 6)
        ]
        board.push(chance.choice(rare if rare and chance.random() < 0.5 else moves))
    return board


# No deadline: how long a query takes depends on what else the machine does.
@settings(deadline=None)
@given(board=boards(), style=st.sampled_from(["fen", "xfen"]), n_fields=st.sampled_from([4, 6]))
def test_the_key_is_that_of_python_chess(
    database: duckdb.DuckDBPyConnection, board: chess.Board, style: str, n_fields: int
) -> None:
    text = " ".join(board.fen(en_passant=style).split()[:n_fields])
    assert key(database, text) == signed(zobrist_hash(board))


@pytest.mark.parametrize(
    "fen",
    [
        # an en passant square with a pawn beside it, on either side, at the border, and with none
        "rnbqkbnr/ppp1p1pp/8/3pPp2/8/8/PPPP1PPP/RNBQKBNR w KQkq f6 0 3",
        "rnbqkbnr/ppp1p1pp/8/3pPp2/8/8/PPPP1PPP/RNBQKBNR w KQkq d6 0 3",
        "rnbqkbnr/1ppppppp/8/8/pP6/8/P1PPPPPP/RNBQKBNR b KQkq b3 0 3",
        "rnbqkbnr/ppppppp1/8/8/6Pp/8/PPPPPP1P/RNBQKBNR b KQkq g3 0 3",
        "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1",
        "rnbqkbnr/1ppppppp/8/8/P6p/8/1PPPPPP1/RNBQKBNR b KQkq a3 0 1",
        # a pawn that is pinned counts in Polyglot's rule
        "8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1",
        # castling rights: some, and some that the position cannot have
        "r3k2r/8/8/8/8/8/8/R3K2R w Kq - 0 1",
        "r3k2r/8/8/8/8/8/8/R3K2R b Qk - 0 1",
        "r3k3/8/8/8/8/8/8/4K2R w KQkq - 0 1",
        "3k4/8/8/8/8/8/8/3K4 w KQkq - 0 1",
        chess.STARTING_FEN,
    ],
)
def test_rare_rights_are_judged_as_python_chess_judges_them(database: duckdb.DuckDBPyConnection, fen: str) -> None:
    assert key(database, fen) == signed(zobrist_hash(chess.Board(fen)))


def test_the_macros_say_what_they_are(database: duckdb.DuckDBPyConnection) -> None:
    texts = dict(
        database.execute(
            "SELECT DISTINCT function_name, comment FROM duckdb_functions() WHERE function_name IN "
            "('position_key', 'games_with_position')"
        ).fetchall()
    )
    assert len(texts) == 2
    assert all(texts.values())


def test_nothing_given_is_no_position(database: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="no position"):
        database.execute("SELECT position_key(NULL)").fetchall()
