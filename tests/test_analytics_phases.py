"""phases, against a game taken apart by hand. Lichess's own divisions: test_recorded_analytics."""

import math
from typing import Any

import pytest

from plugins.chess.phases import plugin
from tests.chess_games import answers, frame

ROOKS_AND_KNIGHTS = "rn2k1nr/8/8/8/8/8/8/RN2K1NR w KQkq - 0 1"
ROOKS = "r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 0 1"


def phases(moves: str, **columns: Any) -> dict[str, Any]:
    game = {"val_moves": moves, "n_plies": len(moves.split()), "val_variant": "standard", **columns}
    (found,) = answers(plugin, frame({**game})).iter_rows(named=True)
    return found


def test_a_short_game_is_all_opening() -> None:
    found = phases("e4 e5 Nf3 Nc6")
    assert (found["n_middlegame_ply"], found["n_endgame_ply"]) == (None, None)
    assert [found[f"n_plies_{phase}"] for phase in ("opening", "middlegame", "endgame")] == [4, 0, 0]


def test_a_game_set_up_in_an_endgame_is_all_endgame_whoever_moves_first() -> None:
    found = phases("Rb8 Rb1", val_initial_fen=ROOKS, arr_eval_cp=[115, 15], arr_eval_mate=[None, None])
    assert (found["n_middlegame_ply"], found["n_endgame_ply"]) == (None, 0)
    assert found["n_plies_endgame"] == 2
    assert (found["n_acpl_endgame_black"], found["n_acpl_endgame_white"]) == (100, 100)


def test_the_ply_that_brings_about_a_phase_belongs_to_it() -> None:
    # Eight pieces beside the kings are a middlegame, six an endgame.
    moves = "Nc3 Nc6 Nd5 Nd4 Nc7+ Kd7 Nxa8 Nc2+ Kd2"
    found = phases(moves, val_initial_fen=ROOKS_AND_KNIGHTS)
    assert (found["n_middlegame_ply"], found["n_endgame_ply"]) == (0, None)
    found = phases(f"{moves} Nxa1", val_initial_fen=ROOKS_AND_KNIGHTS)
    assert (found["n_middlegame_ply"], found["n_endgame_ply"]) == (0, 10)
    assert [found[f"n_plies_{phase}"] for phase in ("opening", "middlegame", "endgame")] == [0, 9, 1]


def test_accuracy_is_a_harmonic_and_loss_a_plain_mean_and_a_mating_move_is_perfect() -> None:
    found = phases(
        "f3 e5 g4 Qh4#", arr_eval_cp=[-85, -80, None, None], arr_eval_mate=[None, None, -1, None], val_status="mate"
    )

    def accuracy(before: int, after: int) -> float:
        fall = 100 / (1 + math.exp(-0.00368208 * before)) - 100 / (1 + math.exp(-0.00368208 * after))
        return 103.1668100711649 * math.exp(-0.04354415386753951 * fall) - 2.166924740191411

    white = [accuracy(15, -85), accuracy(-80, -1000)]
    assert found["n_accuracy_opening_white"] == pytest.approx(2 / (1 / white[0] + 1 / white[1]))
    assert found["n_acpl_opening_white"] == (100 + 920) / 2
    black = accuracy(85, 80)
    assert found["n_accuracy_opening_black"] == pytest.approx(2 / (1 / black + 1 / 100))
    assert found["n_acpl_opening_black"] == 5
    assert found["n_accuracy_endgame_white"] is None


def test_thinking_goes_to_the_phase_of_its_move() -> None:
    found = phases(
        "e4 e5 Nf3 Nc6", n_clock_initial_s=300, n_clock_increment_s=0, arr_clock_cs=[30003, 30003, 29003, 29903]
    )
    assert (found["n_think_opening_s_white"], found["n_think_opening_s_black"]) == (10, 1)
    assert found["n_think_middlegame_s_white"] is None


def test_a_variant_has_no_phases() -> None:
    (found,) = plugin.run(frame({"val_moves": "e4", "val_variant": "atomic"})).iter_rows(named=True)
    assert found["val_not_applicable"] == "not standard chess"
