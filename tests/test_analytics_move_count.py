"""move_count, against counts by hand and against python-chess on real games."""

from collections.abc import Mapping
from typing import Any

import chess
import chess.variant
import pytest

from plugins.chess.move_count import plugin
from tests.chess_games import answers, frame, from_documents, recorded_documents
from tests.recordings import needs_recordings


def counts(moves: str, **columns: Any) -> dict[str, Any]:
    game = {"val_moves": moves, "n_plies": len(moves.split()), **columns}
    (row,) = answers(plugin, frame(game)).iter_rows(named=True)
    return {name: value for name, value in row.items() if name != "id_game"}


def test_the_scholars_mate() -> None:
    assert counts("e4 e5 Bc4 Nc6 Qh5 Nf6 Qxf7#") == {
        "n_plies": 7,
        "n_moves_white": 4,
        "n_moves_black": 3,
        "n_captures_white": 1,
        "n_captures_black": 0,
        "n_checks_white": 1,
        "n_checks_black": 0,
        "ind_castled_white": False,
        "ind_castled_black": False,
    }


def test_castling_to_either_side_counts_and_may_give_check() -> None:
    row = counts("O-O O-O-O+")
    assert (row["ind_castled_white"], row["ind_castled_black"]) == (True, True)
    assert (row["n_checks_white"], row["n_checks_black"]) == (0, 1)


def test_a_capture_may_promote_and_check_at_once() -> None:
    row = counts("dxc8=Q+ Kd7 dxe6+")
    assert (row["n_captures_white"], row["n_checks_white"]) == (2, 2)


def test_a_game_set_up_with_black_to_move_gives_black_the_first_move() -> None:
    row = counts("exd5 Qxd5 Nc6", val_initial_fen="rnbqkbnr/ppp1pppp/8/3P4/4p3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 2")
    assert (row["n_moves_white"], row["n_moves_black"]) == (1, 2)
    assert (row["n_captures_white"], row["n_captures_black"]) == (1, 1)


def test_a_game_without_moves_has_zeroes() -> None:
    row = counts("")
    assert [row[name] for name in row if name.startswith("n_")] == [0] * 7
    assert (row["ind_castled_white"], row["ind_castled_black"]) == (False, False)


@pytest.mark.parametrize(("variant", "checks"), [("atomic", 1), ("threeCheck", 2)])
def test_a_win_by_the_rule_of_a_variant_is_no_check_unless_it_is_the_third(variant: str, checks: int) -> None:
    row = counts("Qxf7+ Kd8 Qxf8#", val_variant=variant, val_status="variantEnd")
    assert row["n_checks_white"] == checks


@needs_recordings
@pytest.mark.parametrize(("key", "files"), [("opening", "user_*.ndjson"), ("id", "odd_*.ndjson")])
def test_real_games_give_what_python_chess_counts(key: str, files: str) -> None:
    documents = recorded_documents(key, files)
    assert len(documents) > 50
    results = answers(plugin, from_documents(documents))
    assert [counted(document) for document in documents] == results.drop("id_game").rows()


def counted(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """The same columns, from boards."""
    board = board_of(document)
    white, black = chess.WHITE, chess.BLACK
    n = {(event, colour): 0 for event in ("moves", "captures", "checks", "castlings") for colour in (white, black)}
    for san in document["moves"].split():
        colour, move = board.turn, board.parse_san(san)
        n["moves", colour] += 1
        n["captures", colour] += board.is_capture(move)
        n["checks", colour] += board.gives_check(move)
        n["castlings", colour] += board.is_castling(move)
        board.push(move)
    return (
        len(board.move_stack),
        *(n[event, colour] for event in ("moves", "captures", "checks") for colour in (white, black)),
        n["castlings", white] > 0,
        n["castlings", black] > 0,
    )


def board_of(document: Mapping[str, Any]) -> chess.Board:
    variant, start = document["variant"], document.get("initialFen")
    if variant in {"standard", "fromPosition", "chess960"}:
        return chess.Board(start or chess.STARTING_FEN, chess960=variant == "chess960")
    kind = chess.variant.find_variant(variant)
    return kind(start) if start else kind()


@pytest.mark.parametrize("drop", ["N@f3", "@e4"])
def test_a_drop_is_a_move_and_no_capture(drop: str) -> None:
    row = counts(f"e4 d5 {drop}")
    assert (row["n_moves_white"], row["n_captures_white"]) == (2, 0)
