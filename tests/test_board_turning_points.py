"""Games that are left as soon as all is known: what they have once is what whole replays and python-chess say."""

from itertools import combinations

import numpy as np
import pytest
from board_oracle import games_of, told
from hypothesis import given, settings
from hypothesis import strategies as st
from legal_games import legal_game
from sample_files import GAMES

from plugins.chess_rules.replay import (
    UNTIL_CASTLING,
    UNTIL_PHASES,
    UNTIL_QUEENS,
    TurningPoints,
    UnplayableGame,
    playable,
    replay,
    sound,
    turning_points,
)

_FIELDS = {
    UNTIL_PHASES: ("middlegame_ply", "endgame_ply"),
    UNTIL_CASTLING: ("castling_ply", "castled"),
    UNTIL_QUEENS: ("queenless_ply",),
}
_ALL = [sum(some) for number in (1, 2, 3) for some in combinations(_FIELDS, number)]

# The queens leave with ply 8, the last right to castle with ply 10; there is no endgame.
_QUEENLESS = "e4 e5 Qg4 Qg5 Qxg5 Nf6 Qxg7 Bxg7 Ke2 Ke7"


def assert_same(found: TurningPoints, whole: TurningPoints, until: int) -> None:
    for wanted, fields in _FIELDS.items():
        for field in fields if until & wanted else ():
            assert np.array_equal(getattr(found, field), getattr(whole, field)), (until, field)


@pytest.mark.parametrize("until", _ALL)
def test_the_sample_has_the_same_turning_points_as_when_it_is_played_to_its_end(until: int) -> None:
    games = games_of(*((one["moves"], one.get("initialFen")) for one in GAMES if one["variant"] == "standard"))
    assert_same(turning_points(games, until), replay(games), until)


@settings(deadline=None)  # how long it takes depends on what else the machine does
@given(st.lists(legal_game(), min_size=1, max_size=4), st.sampled_from(_ALL))
def test_random_games_have_the_turning_points_that_python_chess_sees(rows: list[dict[str, object]], until: int) -> None:
    games = games_of(*((str(row["val_moves"]), str(row["val_initial_fen"])) for row in rows))
    found, whole = turning_points(games, until), replay(games)
    assert_same(found, whole, until)
    for number, game in enumerate(told(moves, fen) for moves, fen in games.iter_rows()):
        assert found.status[number] == 0
        if until & UNTIL_PHASES:
            assert found.division().row(number) == (game.middlegame, game.endgame)
        if until & UNTIL_CASTLING:
            assert found.castling_ply[number].tolist() == game.castling_ply
        if until & UNTIL_QUEENS:
            assert found.queenless_ply[number] == game.queenless_ply


@settings(deadline=None)  # the same
@given(legal_game(), st.integers(0, 30), st.sampled_from(["Kh9", "e5e5", "Qa1xa1", "--"]), st.sampled_from(_ALL))
def test_a_move_that_cannot_be_played_is_found_unless_all_is_known_before(
    row: dict[str, object], place: int, word: str, until: int
) -> None:
    words = str(row["val_moves"]).split()
    words.insert(place, word)
    games = games_of((" ".join(words), str(row["val_initial_fen"])))
    found, whole = turning_points(games, until), replay(games)
    assert whole.status[0] > 0
    if found.status[0]:
        assert found.status[0] == whole.status[0]
    else:
        assert_same(found, turning_points(games_of((str(row["val_moves"]), str(row["val_initial_fen"]))), until), until)


def test_what_comes_after_the_last_that_is_asked_for_is_not_looked_at() -> None:
    games = games_of(f"{_QUEENLESS} Kh8")
    for seen in (turning_points(games, UNTIL_QUEENS), turning_points(games, UNTIL_QUEENS + UNTIL_CASTLING)):
        assert sound(games, seen).queenless_ply.tolist() == [8]
    with pytest.raises(UnplayableGame, match="ply 11, 'Kh8'"):
        sound(games, turning_points(games, UNTIL_PHASES))
    with pytest.raises(UnplayableGame, match="ply 11, 'Kh8'"):
        playable(games)


def test_threads_do_not_change_what_is_found() -> None:
    games = games_of(*([_QUEENLESS, "d4 d5 Kh4", None] * 700))
    one, three = (turning_points(games, UNTIL_QUEENS, threads=number) for number in (1, 3))
    assert_same(one, three, UNTIL_QUEENS)
    assert one.status.tolist() == three.status.tolist() == [0, 3, 0] * 700
