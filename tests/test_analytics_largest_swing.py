"""largest_swing, against examples by hand and against a plain reckoning of the recorded analyses."""

import math
from itertools import pairwise
from typing import Any

import pytest

from plugins.chess.largest_swing import plugin
from tests.chess_games import frame, from_documents, recorded_documents
from tests.recordings import needs_recordings


def swing(cp: list[int | None], mate: list[int | None] | None = None, **columns: Any) -> dict[str, Any]:
    game = {
        "val_moves": " ".join(f"move{ply}" for ply in range(1, len(cp) + 1)),
        "arr_eval_cp": cp,
        "arr_eval_mate": mate or [None] * len(cp),
        **columns,
    }
    (row,) = plugin.run(frame(game)).iter_rows(named=True)
    return row


def shown(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[f"val_{name}"] for name in ("swing_san", "swing_color", "eval_before_cp", "eval_after_cp"))


def test_blacks_blunder_is_whites_gain() -> None:
    row = swing([20, 30, 25, 325, 300])
    assert shown(row) == ("move4", "black", 25, 325)
    assert (row["n_swing_ply"], row["val_swing_cp"]) == (4, 300)
    # Winning percent at 325 and at 25 centipawns: 76.79 and 52.30 by the published formula.
    assert row["val_swing_win_pct"] == pytest.approx(76.79 - 52.30, abs=0.01)


def test_whites_blunder_is_whites_loss() -> None:
    row = swing([20, 30, -400])
    assert shown(row) == ("move3", "white", 30, -400)
    assert row["val_swing_cp"] == -430
    assert row["val_swing_win_pct"] < -25


def test_the_game_begins_at_plus_fifteen() -> None:
    assert shown(swing([-200, -210])) == ("move1", "white", 15, -200)


def test_winning_percent_decides_and_not_centipawns() -> None:
    # 200 centipawns of an even game are 17.4 percent, 400 of a won one 7.4.
    row = swing([20, 220, 300, 380, 460, 540, 600, 1000])
    assert (row["n_swing_ply"], row["val_swing_cp"]) == (2, 200)
    assert row["val_swing_win_pct"] == pytest.approx(17.4, abs=0.05)


def test_evaluations_are_clipped_at_a_thousand() -> None:
    row = swing([20, 2500, 1001])
    assert (row["val_eval_after_cp"], row["n_swing_ply"]) == (1000, 2)


def test_a_mate_is_a_thousand_by_its_sign() -> None:
    assert shown(swing([20, 0, None, None], [None, None, -4, -3])) == ("move3", "white", 0, -1000)
    assert shown(swing([20, None], [None, 6])) == ("move2", "black", 20, 1000)


def test_mate_zero_belongs_to_the_one_who_moved() -> None:
    assert shown(swing([20, 30, None], [None, None, 0])) == ("move3", "white", 30, 1000)
    assert shown(swing([20, None], [None, 0])) == ("move2", "black", 20, -1000)


def test_of_equal_swings_the_earliest_counts() -> None:
    assert swing([15, 300, 15, 300, 15])["n_swing_ply"] == 2
    # +300 to -100 and +100 to -300 are equal, but for the last bits of their difference.
    assert swing([15, 300, -100, 0, 100, -300])["n_swing_ply"] == 3
    assert swing([15, 100, -300, 0, 300, -100])["n_swing_ply"] == 3


def test_no_move_answers_for_a_change_across_a_gap() -> None:
    row = swing([20, None, 700, 690, 600])
    assert shown(row) == ("move5", "white", 690, 600)


def test_a_game_from_a_set_up_position_has_no_evaluation_before_its_first_move() -> None:
    fen = "4k3/8/8/8/8/8/8/QQQQK3 b - - 0 1"
    row = swing([900, 890, 800], val_initial_fen=fen)
    assert shown(row) == ("move3", "black", 890, 800)


def test_a_game_without_an_evaluated_move_has_no_swing() -> None:
    for row in (swing([None, None]), swing([]), swing([50], val_initial_fen="8 w ")):
        assert {value for name, value in row.items() if name != "id_game"} == {None}


def test_a_game_without_analysis_says_so() -> None:
    row = swing([], None, arr_eval_cp=None, arr_eval_mate=None)
    assert {value for name, value in row.items() if name != "id_game"} == {None, "no computer analysis"}


@needs_recordings
def test_real_analyses_give_what_a_plain_reckoning_gives() -> None:
    documents = recorded_documents("analysis")
    assert len(documents) > 60
    results = plugin.run(from_documents(documents))
    for document, row in zip(documents, results.iter_rows(named=True), strict=True):
        ply, before, after, change = reckoned(document["analysis"])
        assert row["n_swing_ply"] == ply
        assert row["val_swing_san"] == document["moves"].split()[ply - 1]
        assert row["val_swing_color"] == ("black", "white")[ply % 2]
        assert (row["val_eval_before_cp"], row["val_eval_after_cp"]) == (before, after)
        assert row["val_swing_win_pct"] == pytest.approx(change)


def reckoned(analysis: list[dict[str, Any]]) -> tuple[int, int, int, float]:
    """Ply, evaluation before and after, change of winning percent: in plain Python, from Lichess's JSON."""

    def cp(entry: dict[str, Any]) -> int:
        if "mate" in entry:
            return 1000 if entry["mate"] > 0 else -1000
        return max(-1000, min(1000, int(entry["eval"])))

    def win(value: int) -> float:
        return 100 / (1 + math.exp(-0.00368208 * value))

    series = [15, *map(cp, analysis)]
    swings = [(win(after) - win(before), before, after) for before, after in pairwise(series)]
    ply = max(range(len(swings)), key=lambda place: (abs(swings[place][0]), -place))
    change, before, after = swings[ply]
    return ply + 1, before, after, change
