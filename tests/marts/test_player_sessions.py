"""Sessions, streaks and tilt: by hand, and of random games by a plain walk through them."""

from datetime import timedelta
from itertools import groupby, pairwise
from random import Random

import pytest

from kshift_assets.chess.marts import player_sessions
from tests.mart_tables import NOON, game, games_in_a_row, lake_of, made, row, values


def at(minutes: float):
    return NOON + timedelta(minutes=minutes)


def played(*games: tuple[float, float, str], white: str = "ann", **more):
    """Games from minute to minute, with their results."""
    return [game(white, None, result, at(start), tm_last_move=at(end), **more) for start, end, result in games]


def sessions(games):
    return made(player_sessions.mart, lake_of(games))


def test_a_session_ends_where_thirty_minutes_pass_from_the_end_of_a_game():
    found = sessions(played((0, 10, "1-0"), (39, 45, "0-1"), (75, 80, "1-0")))
    assert found.select("tm_started", "tm_ended", "n_games", "id_game_first", "id_game_last").rows() == [
        (at(0), at(45), 2, "g000", "g001"),
        (at(75), at(80), 1, "g002", "g002"),
    ]


def test_a_long_game_that_outlasts_later_ones_holds_the_session_together():
    found = sessions(played((0, 90, "1-0"), (1, 2, "1-0"), (100, 101, "0-1")))
    assert found["n_games"].to_list() == [3]


def test_correspondence_and_unfinished_games_are_in_no_session():
    games = [*played((0, 1, "*")), *played((2, 3, "1-0"), val_speed="correspondence"), *played((4, 5, "1-0"))]
    assert sessions(games)["n_games"].to_list() == [1]


def test_each_player_has_sessions_of_their_own():
    games = games_in_a_row("1-0", "1-0", "0-1", minutes=20, tm_last_move=NOON)
    games[1] |= {"id_user_black": "cyd"}
    found = sessions(games)
    assert sorted(found.select("id_user", "n_games").rows()) == [("ann", 3), ("bob", 1), ("bob", 1), ("cyd", 1)]


@pytest.mark.parametrize(
    ("known", "seconds"),
    [
        ({"tm_last_move": NOON + timedelta(seconds=77)}, 77),
        # 2 × 180 s + 60 × 2 s came in, 100 s and 30 s are left
        ({"arr_clock_cs": [18000, 18000, 10_000, 3_000], "n_plies": 60, "n_clock_increment_s": 2}, 350),
        # 40 moves a side would take 180 + 40 × 2 s each: 60 of 80 plies
        ({"n_plies": 60, "n_clock_increment_s": 2}, 2 * 260 * 60 / 80),
        ({"n_plies": 300, "n_clock_increment_s": 0}, 2 * 180),
        ({"n_plies": 60, "n_clock_initial_s": None, "n_clock_increment_s": None}, 0),
    ],
    ids=["last move", "clocks", "estimate", "long game", "nothing known"],
)
def test_the_end_is_the_last_move_or_what_the_clocks_tell_or_an_estimate(known, seconds: float):
    (found,) = sessions([game("ann", None, **known)]).to_dicts()
    assert found["tm_ended"] == NOON + timedelta(seconds=seconds)
    assert found["ind_end_estimated"] == ("tm_last_move" not in known)


def test_quality_and_pauses_are_told_by_what_came_before():
    games = played((0, 1, "1-0"), (2, 3, "0-1"), (3.5, 4, "0-1"), (4.25, 5, "1-0"), (9, 10, "1/2-1/2"))
    for one, accuracy, change in zip(games, (50.0, 60.0, 70.0, None, 92.0), (5, -5, -6, None, 0), strict=True):
        one |= {"n_accuracy_white": accuracy, "n_rating_diff_white": change}
    (found,) = sessions(games).to_dicts()
    assert found["n_accuracy_mean"] == 68
    assert (found["n_accuracy_after_win"], found["n_accuracy_after_loss"]) == (76, 70)
    assert (found["n_pause_after_win_s"], found["n_pause_after_loss_s"]) == ((60 + 240) / 2, (30 + 15) / 2)
    assert found["n_rating_change"] == -6
    assert (found["n_streak_wins"], found["n_streak_losses"], found["n_score_pct"]) == (1, 2, 50)


def test_the_last_game_of_a_session_does_not_count_for_the_next():
    found = sessions(played((0, 1, "0-1"), (60, 61, "0-1"), (61.5, 62, "1-0")))
    second = row(found, tm_started=at(60))
    assert (second["n_streak_losses"], second["n_pause_after_loss_s"]) == (1, 30)
    assert row(found, tm_started=at(0))["n_pause_after_loss_s"] is None


@pytest.mark.parametrize(
    ("games", "tilt"),
    [
        ([(0, 1, "0-1"), (2, 3, "0-1"), (4, 5, "0-1")], True),  # each began 60 s after the loss before it
        ([(0, 1, "0-1"), (2, 3, "0-1"), (4.02, 5, "0-1")], False),
        ([(0, 1, "0-1"), (2, 3, "0-1")], False),
        ([(0, 1, "0-1"), (2, 3, "0-1"), (4, 5, "1-0"), (6, 7, "0-1")], False),
        ([(0, 1, "0-1"), (2, 3, "1/2-1/2"), (4, 5, "0-1"), (6, 7, "0-1")], False),
        ([(0, 1, "1-0"), (9, 10, "0-1"), (10, 11, "0-1"), (11, 12, "0-1"), (20, 21, "1-0")], True),
        ([(0, 1, "0-1"), (9, 10, "0-1"), (10, 11, "0-1"), (11, 12, "0-1")], True),
        ([(0, 1, "0-1"), (1, 2, "0-1"), (40, 41, "0-1")], False),
    ],
)
def test_tilt_is_three_losses_each_begun_at_once_after_the_other(games, tilt):
    assert sessions(played(*games))["ind_tilt"].any() is tilt


@pytest.mark.parametrize("seed", range(4))
def test_random_games_fall_into_sessions_as_a_walk_through_them_finds(seed: int):
    random = Random(seed)
    games, start = [], 0.0
    for _ in range(150):
        start += random.choice([1, 2, 5, 29, 31, 60])
        games += played((start, start + random.choice([0.5, 1, 8]), random.choice(["1-0", "0-1", "0-1", "1/2-1/2"])))
    walked: list[list[dict]] = []
    free_since = None
    for one in games:
        if free_since is None or one["tm_created"] - free_since >= timedelta(minutes=30):
            walked.append([])
        walked[-1].append(one)
        free_since = max(one["tm_last_move"], free_since or one["tm_last_move"])
    random.shuffle(games)
    found = sessions(games)
    assert found.height == len(walked) > 3
    for session in walked:
        streaks = [(result, len([*run])) for result, run in groupby(one["val_result"] for one in session)]
        triples = zip(session, session[1:], session[2:], strict=False)
        expected = (
            session[-1]["tm_last_move"] if len(session) == 1 else max(one["tm_last_move"] for one in session),
            len(session),
            max((n for result, n in streaks if result == "1-0"), default=0),
            max((n for result, n in streaks if result == "0-1"), default=0),
            any(all(one["val_result"] == "0-1" for one in three) and hasty(*three) for three in triples),
        )
        columns = ("tm_ended", "n_games", "n_streak_wins", "n_streak_losses", "ind_tilt")
        assert values(found, *columns, tm_started=session[0]["tm_created"]) == expected


def hasty(*games: dict) -> bool:
    pairs = pairwise(games)
    return all(after["tm_created"] - before["tm_last_move"] <= timedelta(minutes=1) for before, after in pairs)
