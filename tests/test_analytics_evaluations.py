"""judgments, accuracy, acpl and comeback, against examples by hand. Lichess's own numbers: test_recorded_analytics."""

import math
from typing import Any

import pytest

from plugins import Plugin
from plugins.chess import accuracy, acpl, comeback, judgments
from tests.chess_games import answers, frame

BLACK_STARTS = "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 2"


def row(plugin: Plugin, cp: list[int | None], mate: list[int | None] | None = None, **columns: Any) -> dict[str, Any]:
    game = {"arr_eval_cp": cp, "arr_eval_mate": mate or [None] * len(cp), "val_result": "1-0", **columns}
    (found,) = answers(plugin, frame(game)).iter_rows(named=True)
    return found


def sides(found: dict[str, Any], name: str) -> tuple[Any, Any]:
    return found[f"{name}_white"], found[f"{name}_black"]


def faults(*evaluations: Any, **columns: Any) -> dict[str, list[int]]:
    """Plies of faults by kind and side, empty ones left out; every move is worth judging."""
    n_plies = len(evaluations[0])
    found = row(judgments.plugin, *evaluations, **{"arr_best": ["a1a2"] * n_plies, **columns})
    return {name.removeprefix("arr_ply_"): plies for name, plies in found.items() if name.startswith("arr_") and plies}


class TestJudgments:
    # Winning chances, worked out apart: 15 → 0.0276, -40 → -0.0735, -120 → -0.2174, -250 → -0.4303.
    @pytest.mark.parametrize(
        ("cp", "kind"), [(-30, None), (-40, "inaccuracies"), (-120, "mistakes"), (-250, "blunders")]
    )
    def test_a_fall_from_plus_fifteen_counts_by_its_size(self, cp: int, kind: str | None) -> None:
        assert faults([cp]) == ({f"{kind}_white": [1]} if kind else {})
        assert faults([-15, -cp]) == ({f"{kind}_black": [2]} if kind else {})

    def test_counts_go_with_the_plies(self) -> None:
        found = row(judgments.plugin, [-250, 250, -250], arr_best=["a1a2"] * 3)
        assert sides(found, "n_blunders") == (2, 1)
        assert sides(found, "arr_ply_blunders") == ([1, 3], [2])
        assert sides(found, "n_mistakes") == (0, 0)

    def test_the_one_who_moves_first_answers_for_the_first_ply(self) -> None:
        assert faults([250, 240], val_initial_fen=BLACK_STARTS) == {"blunders_black": [1]}

    @pytest.mark.parametrize(("before", "kind"), [(0, "blunders"), (-701, "mistakes"), (-1000, "inaccuracies")])
    def test_to_run_into_a_mate_is_the_less_bad_the_less_there_was_to_lose(self, before: int, kind: str) -> None:
        assert faults([20, before, None], [None, None, -5], arr_best=[None, None, "a1a2"]) == {f"{kind}_white": [3]}

    @pytest.mark.parametrize(("after", "kind"), [(700, "blunders"), (701, "mistakes"), (1000, "inaccuracies")])
    def test_to_lose_a_mate_is_the_less_bad_the_more_is_left(self, after: int, kind: str) -> None:
        assert faults([20, None, after], [None, 3, None], arr_best=[None, None, "a1a2"]) == {f"{kind}_white": [3]}

    def test_from_mating_to_mated_is_a_blunder(self) -> None:
        assert faults([20, None, None], [None, 3, -2], arr_best=[None, None, "a1a2"]) == {"blunders_white": [3]}

    def test_a_longer_way_to_mate_and_a_mating_move_are_no_faults(self) -> None:
        assert faults([None, None, None], [9, 1, 30]) == {}
        assert faults([20, None, None, None], [None, 1, 0, None], arr_best=[None, None, "a1a2", None]) == {}

    def test_the_engines_own_move_is_no_fault(self) -> None:
        assert faults([20, 30, -400], arr_best=["e2e4", None, None]) == {}

    def test_without_better_moves_a_glyph_says_that_a_move_was_judged_and_not_how(self) -> None:
        marked = {"arr_best": None, "arr_glyph": [None, None, "?!", None, "??"]}
        assert faults([20, 30, -400, -400, -600], **marked) == {"blunders_white": [3], "inaccuracies_white": [5]}

    def test_a_better_move_outweighs_glyphs(self) -> None:
        assert faults([20, 400], arr_best=[None, "e7e5"], arr_glyph=["??", None]) == {"blunders_black": [2]}

    def test_where_an_evaluation_is_missing_a_glyph_stands_and_a_better_move_tells_nothing(self) -> None:
        assert faults([20, None, 30], arr_best=None, arr_glyph=[None, "?", "??"]) == {
            "mistakes_black": [2],
            "blunders_white": [3],
        }
        assert faults([20, None, 30]) == {}

    def test_an_own_engine_names_its_best_move_in_any_case(self) -> None:
        best = ["e2e4", "e7e5", "g1f3"]
        ours = {"val_moves": "e4 c5 Nf3", "arr_best": best, "val_eval_source": "engine"}
        assert faults([-400, 400, -400], **ours) == {"blunders_black": [2]}
        assert len(faults([-400, 400, -400], **{**ours, "val_eval_source": "lichess"})) == 2

    def test_without_better_moves_or_glyphs_nothing_is_judged(self) -> None:
        assert faults([-400, 400], arr_best=None) == {}


class TestAcpl:
    def test_the_loss_of_each_side_is_averaged_and_gains_count_nothing(self) -> None:
        # White: 15 → -35 loses 50, -30 → 0 gains. Black: -35 → -30 loses 5, 0 → 100 loses 100.
        assert sides(row(acpl.plugin, [-35, -30, 0, 100]), "n_acpl") == (25, 53)

    def test_evaluations_and_mates_count_within_a_thousand(self) -> None:
        assert sides(row(acpl.plugin, [1500, None], [None, -3]), "n_acpl") == (0, 0)
        assert sides(row(acpl.plugin, [20, None], [None, 3]), "n_acpl") == (0, 980)

    def test_a_side_without_a_move_has_none(self) -> None:
        assert sides(row(acpl.plugin, [-35]), "n_acpl") == (50, None)
        assert sides(row(acpl.plugin, [115], val_initial_fen=BLACK_STARTS), "n_acpl") == (None, 100)

    def test_no_move_answers_for_a_change_across_a_gap(self) -> None:
        assert sides(row(acpl.plugin, [5, None, 300, 310]), "n_acpl") == (10, 10)


def win(cp: int) -> float:
    return 100 / (1 + math.exp(-0.00368208 * cp))


def of_move(fall: float) -> float:
    return (
        100 if fall <= 0 else min(100, max(0, 103.1668100711649 * math.exp(-0.04354415386753951 * fall) - 2.16692474))
    )


class TestAccuracy:
    def test_two_moves_each_make_up_a_sides_accuracy(self) -> None:
        found = row(accuracy.plugin, [-200, 100])
        # One move a side: the weighted and the harmonic mean are that move's accuracy.
        white, black = of_move(win(15) - win(-200)), of_move(win(100) - win(-200))
        assert sides(found, "n_accuracy") == (pytest.approx(white, abs=1e-6), pytest.approx(black, abs=1e-6))
        assert found["n_accuracy"] == pytest.approx((white + black) / 2, abs=1e-6)

    def test_sharp_moments_weigh_more_and_bad_moves_pull_the_harmonic_mean(self) -> None:
        cp = [15, 15, -285, -285]
        # Windows of two moves: quiet, quiet, the fall, quiet; their weights 0.5, 0.5, half the fall (≤ 12), 0.5.
        fall = win(15) - win(-285)
        bad = of_move(fall)
        weighted = (0.5 * 100 + min(12, fall / 2) * bad) / (0.5 + min(12, fall / 2))
        harmonic = 2 / (1 / 100 + 1 / bad)
        assert sides(row(accuracy.plugin, cp), "n_accuracy") == (
            pytest.approx((weighted + harmonic) / 2, abs=1e-6),
            pytest.approx(100),
        )

    def test_perfect_play_is_a_hundred(self) -> None:
        assert sides(row(accuracy.plugin, [15] * 40), "n_accuracy") == (100, 100)

    def test_unless_both_have_moved_nobody_has_any(self) -> None:
        assert set(row(accuracy.plugin, [15]).values()) == {"game0000", None}
        assert set(row(accuracy.plugin, [None, None]).values()) == {"game0000", None}


class TestComeback:
    def test_the_standing_of_a_side_is_measured_after_every_ply(self) -> None:
        found = row(comeback.plugin, [0, 300, -700, 1000])
        assert sides(found, "n_win_pct_best") == (pytest.approx(win(1000)), pytest.approx(100 - win(-700)))
        assert sides(found, "n_win_pct_worst") == (pytest.approx(win(-700)), pytest.approx(100 - win(1000)))
        assert sides(found, "n_best_ply") == (4, 3)
        assert sides(found, "n_worst_ply") == (3, 4)

    @pytest.mark.parametrize(
        ("result", "white", "black"), [("1-0", True, False), ("1/2-1/2", True, True), ("0-1", False, True)]
    )
    def test_who_was_nearly_lost_and_did_not_lose_came_back(self, result: str, white: bool, black: bool) -> None:  # noqa: FBT001  # parameters
        found = row(comeback.plugin, [0, -600, 0, 600], val_result=result)
        assert sides(found, "ind_comeback") == (white, black)
        assert sides(found, "ind_missed_win") == (black, white)

    def test_a_little_worse_is_no_comeback(self) -> None:
        assert sides(row(comeback.plugin, [0, -590, 0]), "ind_comeback") == (False, False)

    def test_a_move_that_spoils_a_win_is_counted_whatever_the_result(self) -> None:
        # 90 percent is 597 centipawns, 70 percent 230.
        found = row(comeback.plugin, [0, 600, 229, -600, -600, 0, 600, 600, 240])
        assert sides(found, "n_missed_wins") == (1, 1)
        assert sides(found, "arr_ply_missed_wins") == ([3], [6])

    def test_mate_is_a_win_and_a_game_without_result_is_not_judged(self) -> None:
        assert sides(row(comeback.plugin, [0, None, 0], [None, 4, None]), "n_missed_wins") == (1, 0)
        (found,) = comeback.plugin.run(
            frame({"arr_eval_cp": [0], "arr_eval_mate": [None], "val_result": "*"})
        ).iter_rows(named=True)
        assert found["val_not_applicable"] == "not finished"
