"""How a game ended: held against Lichess's own statuses, python-chess's outcomes, and composed endings."""

from typing import Any

import chess
import polars as pl
import pytest

from kshift_assets.chess.documents import TERMINATIONS
from plugins.chess.game_end import ENDS, plugin
from tests.chess_games import frame, from_documents, recorded_documents
from tests.recordings import needs_recordings
from tests.sample_files import GAMES, start_of

UP_A_ROOK = "4k3/8/8/8/8/8/8/R3K3 w - - 0 1"
EVEN = "r3k3/8/8/8/8/8/8/R3K3 w - - 0 1"
REPETITION = "Nf3 Nf6 Ng1 Ng8 Nf3 Nf6 Ng1 Ng8"
FOOLS_MATE = "f3 e5 g4 Qh4#"


def row_of(**columns: Any) -> dict[str, Any]:
    columns = {"val_moves": "e4 e5", "val_variant": "standard", "val_result": "*"} | columns
    if columns.get("val_initial_fen"):
        columns["val_variant"] = "fromPosition"
    (row,) = plugin.run(frame(columns)).to_dicts()
    assert row["val_error"] is None
    return row


def evaluated(cp: int | None = None, mate: int | None = None) -> dict[str, Any]:
    return {"arr_eval_cp": [0, cp], "arr_eval_mate": [None, mate]}


@pytest.mark.parametrize(
    ("status", "result", "cp", "end", "text"),
    [
        ("resign", "1-0", 600, "resignation_lost", "Black resigned in a lost position"),
        ("resign", "1-0", 10, "resignation_even", "Black resigned in an even position"),
        ("resign", "1-0", -600, "resignation_winning", "Black resigned in a winning position"),
        ("resign", "0-1", -600, "resignation_lost", "White resigned in a lost position"),
        ("outoftime", "0-1", 600, "time_out_winning", "White ran out of time in a winning position"),
        ("outoftime", "0-1", -150, "time_out_even", "White ran out of time in an even position"),
        ("outoftime", "1-0", 400, "time_out_lost", "Black ran out of time in a lost position"),
        ("timeout", "0-1", 0, "left_even", "White left the game in an even position"),
    ],
)
def test_how_the_loser_stood_is_told_by_the_evaluation(status: str, result: str, cp: int, end: str, text: str) -> None:
    row = row_of(val_status=status, val_result=result, **evaluated(cp))
    assert (row["val_end"], row["val_end_text"], row["val_basis"]) == (end, text, "evaluation")
    assert row["val_end_color"] == text.split(maxsplit=1)[0].lower()
    assert row["val_end_position"] == end.rpartition("_")[2]


@pytest.mark.parametrize(("cp", "position"), [(298, "even"), (299, "lost"), (-298, "even"), (-299, "winning")])
def test_three_pawns_decide(cp: int, position: str) -> None:
    """75 % by Lichess's formula are reached between +298 and +299."""
    row = row_of(val_status="resign", val_result="1-0", **evaluated(cp))
    assert row["val_end_position"] == position
    assert (row["n_end_win_pct"] <= 25) == (cp == 299)


def test_a_mate_in_sight_decides() -> None:
    assert row_of(val_status="resign", val_result="1-0", **evaluated(mate=3))["val_end"] == "resignation_lost"
    assert row_of(val_status="resign", val_result="1-0", **evaluated(mate=-3))["val_end"] == "resignation_winning"


@pytest.mark.parametrize(
    ("fen", "result", "end", "lead"),
    [
        (UP_A_ROOK, "1-0", "resignation_lost", -5),
        (UP_A_ROOK, "0-1", "resignation_winning", 5),
        (EVEN, "0-1", "resignation_even", 0),
    ],
)
def test_without_an_evaluation_material_tells(fen: str, result: str, end: str, lead: int) -> None:
    row = row_of(val_status="resign", val_result=result, val_initial_fen=fen, val_moves="Ke2")
    assert (row["val_end"], row["val_basis"]) == (end, "material")
    assert (row["n_end_points"], row["n_end_win_pct"]) == (lead, None)


def test_in_other_variants_material_tells_nothing() -> None:
    row = row_of(val_status="resign", val_result="1-0", val_variant="antichess", val_moves="e3 b5 Bxb5")
    assert (row["val_end"], row["val_end_text"]) == ("resignation", "Black resigned")
    assert (row["val_basis"], row["val_end_position"]) == (None, None)


@pytest.mark.parametrize(
    ("moves", "fen", "end"),
    [
        (REPETITION, None, "draw_repetition"),
        ("e4 e5", None, "draw_agreed"),
        ("Ke2", "4k3/8/8/8/8/8/8/R3K3 w - - 99 80", "draw_fifty_moves"),
        ("Kxd2", "4k3/8/8/8/8/8/3p4/4K3 w - - 0 1", "draw_insufficient_material"),
        ("Qf7", None, "stalemate"),
    ],
)
@pytest.mark.parametrize("status", ["draw", None], ids=["api", "dump"])
def test_the_board_tells_how_a_draw_came_about(moves: str, fen: str | None, end: str, status: str | None) -> None:
    fen = "7k/8/5K2/8/8/8/8/5Q2 w - - 0 1" if end == "stalemate" else fen
    moves = "Qf2 Kg8 Qg2+ Kh8 Qg6" if end == "stalemate" else moves
    row = row_of(
        val_status=status, val_termination="Normal", val_result="1/2-1/2", val_moves=moves, val_initial_fen=fen
    )
    assert row["val_end"] == end


@pytest.mark.parametrize(
    ("status", "termination", "result", "end"),
    [
        (None, "Time forfeit", "1/2-1/2", "time_out_drawn"),
        ("outoftime", "Time forfeit", "1/2-1/2", "time_out_drawn"),
        (None, "Time forfeit", "1-0", "time_out_even"),
        ("timeout", "Time forfeit", "1/2-1/2", "left_drawn"),
        (None, "Abandoned", "*", "aborted"),
        (None, "Abandoned", "1-0", "not_started"),
        ("noStart", "Abandoned", "1-0", "not_started"),
        ("aborted", "Abandoned", "*", "aborted"),
        (None, "Unterminated", "*", "unfinished"),
        ("started", "Unterminated", "*", "unfinished"),
        ("cheat", "Rules infraction", "0-1", "rules_infraction"),
        ("cheat", "Rules infraction", "1/2-1/2", "rules_infraction_drawn"),
        (None, "Insufficient material", "1/2-1/2", "draw_insufficient_claim"),
        ("insufficientMaterialClaim", "Insufficient material", "1/2-1/2", "draw_insufficient_claim"),
        ("unknownFinish", "Unknown", "1-0", "unknown"),
        (None, "Normal", "1-0", "resignation_even"),
        (None, "Normal", "*", "unfinished"),
        ("variantEnd", "Normal", "1-0", "variant_end"),
        ("variantEnd", "Normal", "1/2-1/2", "variant_end_drawn"),
    ],
)
def test_statuses_and_terminations(status: str | None, termination: str, result: str, end: str) -> None:
    assert row_of(val_status=status, val_termination=termination, val_result=result)["val_end"] == end


def test_who_ran_out_of_time_in_a_draw_was_to_move() -> None:
    row = row_of(val_status="outoftime", val_result="1/2-1/2", val_moves="e4 e5 Nf3")
    assert row["val_end_color"] == "black"
    assert row["val_end_text"] == "Black ran out of time, but White could not have mated: a draw"


def test_a_mate_of_a_dump_is_seen_on_the_board() -> None:
    row = row_of(val_termination="Normal", val_result="0-1", val_moves=FOOLS_MATE)
    assert (row["val_end"], row["val_end_color"]) == ("checkmate", "white")
    assert row["val_end_text"] == "White was checkmated"


# Real and played games: Lichess's statuses and python-chess are the judges.

ON_THE_BOARD = {"mate": "checkmate", "stalemate": "stalemate", "variantEnd": "variant_end", "aborted": "aborted"}
FAMILIES = {"resign": "resignation", "outoftime": "time_out", "timeout": "left", "noStart": "not_started"}


def ends(documents: list[dict[str, Any]], **columns: Any) -> list[tuple[dict[str, Any], str]]:
    games = from_documents(documents)
    rows = plugin.run(games.with_columns(**columns))
    assert rows["val_error"].null_count() == rows.height
    assert set(rows["val_end"]) <= set(ENDS)
    return list(zip(documents, rows["val_end"], strict=True))


def final_board(document: dict[str, Any]) -> chess.Board:
    board = start_of(document)
    for san in document["moves"].split():
        board.push_san(san)
    return board


def judge(documents: list[dict[str, Any]]) -> dict[str, int]:
    """Each game's word against what others say of it; returns how many games had each status."""
    seen: dict[str, int] = {}
    for document, end in ends(documents):
        status = document["status"]
        seen[status] = seen.get(status, 0) + 1
        if status in ON_THE_BOARD:
            assert end.removesuffix("_drawn") == ON_THE_BOARD[status], document["id"]
        elif status in FAMILIES:
            assert end.startswith(FAMILIES[status]), document["id"]
        elif status == "draw":
            board = final_board(document)
            outcome = board.outcome()
            expected = (
                {
                    chess.Termination.INSUFFICIENT_MATERIAL: "draw_insufficient_material",
                    chess.Termination.FIVEFOLD_REPETITION: "draw_repetition",
                    chess.Termination.SEVENTYFIVE_MOVES: "draw_fifty_moves",
                }.get(outcome.termination)
                if outcome
                else None
            )
            if expected is None and end == "draw_agreed":
                assert not board.is_repetition(3)
                assert board.halfmove_clock < 100
            elif expected is None:
                is_claim = {
                    "draw_repetition": board.can_claim_threefold_repetition,
                    "draw_fifty_moves": board.can_claim_fifty_moves,
                }
                assert is_claim[end](), document["id"]
            else:
                assert end == expected, document["id"]
    return seen


def test_the_games_of_the_sample_ended_as_their_statuses_say() -> None:
    seen = judge(GAMES)
    assert set(seen) >= {"mate", "resign", "outoftime", "timeout", "stalemate", "draw", "variantEnd", "aborted"}


@needs_recordings
def test_real_games_ended_as_their_statuses_say() -> None:
    documents = [*recorded_documents()]
    seen = judge(documents)
    assert seen["mate"] > 500
    assert seen["stalemate"] > 20
    assert seen["draw"] > 50


@needs_recordings
def test_without_statuses_as_in_dumps_the_same_is_said_but_of_those_who_left() -> None:
    documents = [one for one in recorded_documents() if one["variant"] == "standard"]
    terminations = pl.Series([TERMINATIONS[one["status"]] for one in documents])
    told = ends(documents)
    guessed = ends(documents, val_status=pl.lit(None, pl.String), val_termination=terminations)
    for (document, said), (_, dumped) in zip(told, guessed, strict=True):
        expected = said.replace("left", "time_out") if document["status"] == "timeout" else said
        assert dumped == expected, document["id"]
