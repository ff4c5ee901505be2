"""time_usage, against examples by hand, a plain reckoning of real clocks, and the time that passed on the server."""

import json
import statistics
from typing import Any

import pytest

from plugins.chess.time_usage import plugin
from tests.chess_games import frame, from_documents, recorded_documents
from tests.recordings import RECORDINGS, needs_recordings

BLACK_TO_MOVE = "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 2"


def usage(
    clocks_s: list[float | None], *, initial: int = 300, increment: int = 0, moves: str | None = None, **columns: Any
) -> dict[str, Any]:
    game = {
        "val_moves": moves if moves is not None else " ".join(["e4"] * len(clocks_s)),
        "n_clock_initial_s": initial,
        "n_clock_increment_s": increment,
        "arr_clock_cs": [None if clock is None else round(clock * 100) for clock in clocks_s],
        **columns,
    }
    (row,) = plugin.run(frame(game)).iter_rows(named=True)
    return row


def white(row: dict[str, Any], *measures: str) -> tuple[Any, ...]:
    return tuple(row[f"{measure}_white"] for measure in measures)


def black(row: dict[str, Any], *measures: str) -> tuple[Any, ...]:
    return tuple(row[f"{measure}_black"] for measure in measures)


THINK = ("n_think_total_s", "n_think_mean_s", "n_think_median_s", "n_think_max_s", "n_think_max_ply", "n_time_left_s")


def test_thinking_is_what_the_own_clock_lost_from_move_to_move() -> None:
    # White thinks 10, 1 and 4 s after the free first move; Black 20 and 6.5 s.
    row = usage([300.03, 300.03, 290.03, 280.03, 289.03, 273.53, 285.03])
    assert white(row, *THINK) == (15, 5, 4, 10, 3, 285.03)
    assert black(row, *THINK) == (26.5, 13.25, 13.25, 20, 4, 273.53)


def test_the_increment_of_each_move_was_thought_away_too() -> None:
    row = usage([300.03, 300.03, 301.03, 303.03, 299.03, 298.03], increment=3)
    assert white(row, *THINK) == (7, 3.5, 3.5, 5, 5, 299.03)
    assert black(row, *THINK) == (8, 4, 4, 8, 6, 298.03)


def test_a_clock_that_gained_more_than_the_increment_means_no_thinking() -> None:
    row = usage([300.03, 300.03, 303.07, 300.03], increment=3)
    assert white(row, "n_think_total_s", "n_think_max_ply") == (0, 3)


@pytest.mark.parametrize(
    ("moves", "status"),
    [("f3 e5 g4 Qh4#", None), ("f3 e5 g4 Qh4", "mate"), ("f3 e5 g4 Qh4", "stalemate"), ("f3 e5 g4 Qh4", "variantEnd")],
)
def test_the_move_that_ends_the_game_earns_no_increment(moves: str, status: str | None) -> None:
    row = usage([60.03, 60.03, 61.03, 50.03], initial=60, increment=2, moves=moves, val_status=status)
    assert white(row, "n_think_total_s") == (1,)
    assert black(row, "n_think_total_s") == (10,)


def test_the_last_move_before_a_resignation_earns_its_increment() -> None:
    row = usage([60.03, 60.03, 61.03, 50.03], initial=60, increment=2, val_status="resign")
    assert black(row, "n_think_total_s") == (12,)


def test_a_first_move_counts_where_its_clock_ran() -> None:
    # A Swiss game: the clock stood at 240 s, gave 3 s for the move, and shows 237 s.
    row = usage([237, 241, 235, 240], initial=240, increment=3)
    assert white(row, *THINK) == (11, 5.5, 5.5, 6, 1, 235)
    # Black gained time on the first move: either the clock stood still, or there was less thought than increment.
    assert black(row, *THINK) == (4, 4, 4, 4, 4, 240)


def test_a_game_that_starts_without_time_starts_with_the_increment_or_three_seconds() -> None:
    assert white(usage([4, 4, 6, 8], initial=0, increment=4), "n_think_total_s") == (2,)
    assert white(usage([1, 3, 2, 3], initial=0, increment=2), "n_think_total_s") == (5,)  # 3 + 2 - 1, then 1 + 2 - 2


def test_berserk_halves_the_clock_and_takes_the_increment_of_that_side() -> None:
    row = usage([150.03, 300.03, 148.03, 302.03, 143.03, 301.03], increment=3, id_tournament="arena001")
    assert white(row, "ind_berserk", "n_think_total_s", "n_think_max_s") == (True, 7, 5)
    assert black(row, "ind_berserk", "n_think_total_s") == (False, 5)


def test_a_long_first_think_outside_an_arena_is_no_berserk() -> None:
    row = usage([150.03, 300.03, 149.03, 299.03], increment=3)
    assert white(row, "ind_berserk", "n_think_max_s", "n_think_max_ply") == (False, 152.97, 1)


def test_berserk_without_a_penalty_in_time_cannot_be_seen() -> None:
    row = usage([30.03, 60.03, 30, 59], initial=60, increment=2, id_tournament="arena001")
    assert white(row, "ind_berserk") == (False,)


@pytest.mark.parametrize(
    ("initial", "red"), [(15, 10), (60, 10), (80, 10), (180, 22), (300, 37), (480, 60), (600, 60), (10800, 60)]
)
def test_time_trouble_begins_where_the_clock_turns_red(initial: int, red: int) -> None:
    row = usage([initial, initial, red, red - 0.01, red - 1, red - 2, red - 3, red - 4], initial=initial)
    # White's third move began with `red` on the clock, the fourth with a second less; Black was below in both.
    assert white(row, "n_moves_time_trouble", "ind_time_trouble") == (1, True)
    assert black(row, "n_moves_time_trouble", "ind_time_trouble") == (2, True)


def test_a_quiet_game_has_no_time_trouble() -> None:
    row = usage([300, 300, 290, 290])
    assert white(row, "n_moves_time_trouble", "ind_time_trouble") == (0, False)


def test_a_game_set_up_with_black_to_move_begins_with_blacks_clock() -> None:
    row = usage([300.03, 300.03, 290.03, 270.03, 280.03], val_initial_fen=BLACK_TO_MOVE)
    assert black(row, *THINK) == (20, 10, 10, 10, 3, 280.03)
    assert white(row, *THINK) == (30, 30, 30, 30, 4, 270.03)


def test_the_longest_think_is_the_earliest_of_equals() -> None:
    assert white(usage([300, 300, 295, 299, 290, 298, 289]), "n_think_max_ply") == (3,)


def test_moves_around_a_missing_clock_are_left_out() -> None:
    row = usage([300, 300, None, 290, 280, None, 270])
    assert white(row, *THINK) == (10, 10, 10, 10, 7, 270)
    assert black(row, *THINK) == (10, 10, 10, 10, 4, 290)


@pytest.mark.parametrize("company", [1, 2, 3, 9])
def test_seconds_do_not_depend_on_how_many_games_are_computed_at_once(company: int) -> None:
    # Polars divides short columns and long ones in two ways: 47 / 100 can become 0.47000000000000003.
    game = {"val_moves": "e4", "n_clock_initial_s": 15, "n_clock_increment_s": 0, "arr_clock_cs": [47]}
    results = plugin.run(frame(*[game] * company))
    assert results.get_column("n_time_left_s_white").to_list() == [0.47] * company


def test_a_side_that_moved_once_has_time_left_and_nothing_more() -> None:
    row = usage([300.03, 300.03, 299.03])
    assert black(row, *THINK) == (None, None, None, None, None, 300.03)
    assert black(row, "n_moves_time_trouble", "ind_time_trouble", "ind_berserk") == (None, None, False)


def test_a_side_that_never_moved_has_nothing() -> None:
    row = usage([300.03])
    assert {row[name] for name in row if name.endswith("_black")} == {None}


def test_a_game_without_clocks_has_nothing() -> None:
    row = usage([], arr_clock_cs=None, id_tournament="arena001")
    assert {value for name, value in row.items() if name != "id_game"} == {None, "no clocks"}


@needs_recordings
def test_real_clocks_give_what_a_plain_reckoning_gives() -> None:
    documents = recorded_documents("clocks")
    results = plugin.run(from_documents(documents))
    timed = 0
    for document, row in zip(documents, results.iter_rows(named=True), strict=True):
        for side, colour in enumerate(("white", "black")):
            thinks = reckoned(document, side)
            if not thinks:
                assert row[f"n_think_mean_s_{colour}"] is None
                continue
            timed += 1
            seconds = [think for _, think in thinks]
            longest = max(seconds)
            assert row[f"n_think_total_s_{colour}"] == pytest.approx(sum(seconds), abs=1e-3)
            assert row[f"n_think_mean_s_{colour}"] == pytest.approx(statistics.mean(seconds), abs=1e-3)
            assert row[f"n_think_median_s_{colour}"] == pytest.approx(statistics.median(seconds), abs=1e-3)
            assert row[f"n_think_max_s_{colour}"] == pytest.approx(longest)
            assert row[f"n_think_max_ply_{colour}"] == next(ply for ply, think in thinks if think == longest)
    assert timed > 450


def reckoned(document: dict[str, Any], side: int) -> list[tuple[int, float]]:
    """(ply, seconds) of one side's timed moves, in plain Python, from Lichess's JSON: no first moves, no berserkers."""
    plies, increment = len(document["moves"].split()), document["clock"]["increment"] * 100
    thinks = []
    for place in range(side + 2, plies, 2):
        ends = place == plies - 1 and document["status"] in {"mate", "stalemate"}
        gained = 0 if ends else increment
        lost = document["clocks"][place - 2] + gained - document["clocks"][place]
        thinks.append((place + 1, max(0, lost) / 100))
    return thinks


@needs_recordings
def test_the_players_of_real_games_thought_for_most_of_the_time_that_passed_on_the_server() -> None:
    documents = recorded_documents("clocks")
    shares = []
    for document, row in zip(documents, plugin.run(from_documents(documents)).iter_rows(named=True), strict=True):
        thought = [row["n_think_total_s_white"], row["n_think_total_s_black"]]
        if None not in thought:
            shares.append(1000 * sum(thought) / (document["lastMoveAt"] - document["createdAt"]))
    assert len(shares) > 200
    # First moves and the way over the net are nobody's thinking.
    assert max(shares) < 1
    assert statistics.median(shares) > 0.9


@needs_recordings
def test_a_recorded_berserker_is_seen() -> None:
    recorded = RECORDINGS / "lichess" / "api_recorded" / "lichesssharp" / "Games" / "game_with_analysis.json"
    document = json.loads(recorded.read_text(encoding="utf-8"))
    (row,) = plugin.run(from_documents([document])).iter_rows(named=True)
    assert (row["ind_berserk_white"], row["ind_berserk_black"]) == (True, False)
    # Without an increment, all that is gone from White's clock was thought away.
    halved = document["clock"]["initial"] / 2
    assert row["n_think_total_s_white"] + row["n_time_left_s_white"] == pytest.approx(halved, abs=0.05)
