"""castling, against examples by hand and against python-chess on the sample."""

from typing import Any

import chess
import polars as pl
import pytest
from sample_files import GAMES

from plugins.chess.castling import plugin
from tests.chess_games import frame


def castling(moves: str, **columns: Any) -> dict[str, Any]:
    game = {"val_moves": moves, "n_plies": len(moves.split()), "val_variant": "standard", **columns}
    (row,) = plugin.run(frame(game)).iter_rows(named=True)
    return row


def test_each_side_castles_where_it_does() -> None:
    row = castling("e4 d5 Nf3 Nc6 Bc4 Be6 O-O Qd7 Re1 O-O-O")
    assert (row["val_castling_white"], row["n_castling_ply_white"]) == ("king side", 7)
    assert (row["val_castling_black"], row["n_castling_ply_black"]) == ("queen side", 10)
    assert row["ind_opposite_castling"]


def test_both_on_one_side_is_not_opposite() -> None:
    row = castling("e4 e5 Nf3 Nf6 Bc4 Bc5 O-O O-O")
    assert (row["n_castling_ply_white"], row["n_castling_ply_black"]) == (7, 8)
    assert not row["ind_opposite_castling"]


def test_who_does_not_castle_has_neither_side_nor_ply() -> None:
    row = castling("e4 e5 Nf3 Nf6 Bc4 Bc5 O-O")
    assert (row["val_castling_black"], row["n_castling_ply_black"]) == (None, None)
    assert not row["ind_opposite_castling"]


def test_castling_with_check_and_with_noughts_is_castling() -> None:
    row = castling("0-0-0+", val_initial_fen="3k4/8/8/8/8/8/8/R3K3 w Q - 0 1")
    assert row["val_castling_white"] == "queen side"


def test_queens_are_traded_when_the_second_one_goes() -> None:
    row = castling("e4 e5 Nf3 d6 d4 exd4 Qxd4 Qg5 Bxg5 Nc6 Be2 Nxd4 Nxd4")
    assert row["n_queen_trade_ply"] == 12
    assert row["val_queen_trade_phase"] == "opening"


def test_a_queen_that_stays_is_no_trade() -> None:
    row = castling("e4 d5 exd5 Qxd5 Nc3 Bf5 Nxd5")
    assert (row["n_queen_trade_ply"], row["val_queen_trade_phase"]) == (None, None)


def test_a_game_that_begins_without_queens_trades_none() -> None:
    row = castling("e3", val_initial_fen="rnb1kbnr/pppppppp/8/8/8/8/PPPPPPPP/RNB1KBNR w KQkq - 0 1")
    assert (row["n_queen_trade_ply"], row["val_queen_trade_phase"]) == (0, None)


def test_a_trade_belongs_to_the_phase_before_it() -> None:
    # Six majors and minors with the queens, so an endgame from the start.
    row = castling("Qxd8+ Kxd8", val_initial_fen="3qk2r/8/8/8/8/8/8/R2QK3 w - - 0 1")
    assert (row["n_queen_trade_ply"], row["val_queen_trade_phase"]) == (2, "endgame")


def test_a_game_with_an_illegal_move_is_a_failure_of_its_own() -> None:
    games = frame(
        *({"val_moves": moves, "n_plies": 2, "val_variant": "standard"} for moves in ("e4 e5", "e4 Ke7", "d4 d5"))
    )
    answers = plugin.answers(games, map)
    assert answers.rows.height == 2
    assert "game0001" in answers.errors[1]
    assert "ply 2, 'Ke7', is not one legal move" in answers.errors[1]


@pytest.mark.parametrize("colour", ["white", "black"])
def test_the_sample_castles_as_python_chess_says(colour: str) -> None:
    documents = [one for one in GAMES if one["variant"] == "standard" and one["moves"]]
    games = frame(
        *(
            {"val_moves": one["moves"], "n_plies": len(one["moves"].split()), "val_variant": "standard"}
            for one in documents
        )
    )
    told = []
    for one in documents:
        board, found = chess.Board(), (None, None)
        for ply, san in enumerate(one["moves"].split(), start=1):
            move = board.parse_san(san)
            if board.is_castling(move) and board.turn == (colour == "white"):
                found = ("king side" if board.is_kingside_castling(move) else "queen side", ply)
            board.push(move)
        told.append(found)
    columns = plugin.run(games).select(f"val_castling_{colour}", pl.col(f"n_castling_ply_{colour}"))
    assert columns.rows() == told
    assert len(set(told)) > 20
