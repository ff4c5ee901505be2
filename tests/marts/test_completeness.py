"""Stored games against the profile's count: badges and shares by hand."""

from datetime import timedelta

import pytest

from kshift_assets.chess.marts import completeness
from tests.mart_tables import NOON, game, games_in_a_row, lake_of, made, row, values

LATER = NOON + timedelta(days=30)


def profile(user: str, n_games: int | None, **more):
    return {"id_user": user, "n_games": n_games, "tm_facts": LATER} | more


def test_the_badge_follows_from_the_profile_as_it_was_when_it_was_fetched():
    games = [
        *games_in_a_row(*["1-0"] * 4, white="ann", black=None),
        game("ann", None, at=LATER + timedelta(days=1)),
        game("ann", None, ind_rated=False),
        game("ann", None, "*"),
        game("ann", None, val_perf="atomic", val_variant="atomic"),
        *games_in_a_row("1-0", "1-0", white="bob", black="cyd"),
    ]
    profiles = [
        profile("ann", 6, n_games_blitz=4, n_games_atomic=100, n_games_rapid=7),
        profile("bob", None),
        profile("dee", 5),
    ]
    found = made(completeness.mart, lake_of(games, profiles=profiles))
    columns = ("val_badge", "n_games", "n_games_compared", "n_games_profile", "n_stored_pct")
    assert values(found, *columns, id_user="ann", val_perf="all") == ("complete", 7, 6, 6, 100)
    assert values(found, *columns, id_user="ann", val_perf="blitz") == ("complete", 6, 4, 4, 100)
    assert values(found, *columns, id_user="ann", val_perf="atomic") == ("partial", 1, 1, 100, 1)
    assert values(found, *columns, id_user="ann", val_perf="rapid") == ("partial", 0, 0, 7, 0)
    assert values(found, *columns, id_user="bob", val_perf="all") == ("unknown", 2, 2, None, None)
    assert values(found, *columns, id_user="cyd", val_perf="all") == ("unknown", 2, 0, None, None)
    assert set(found["id_user"]) == {"ann", "bob", "cyd"}, "who has no stored game is not listed"


@pytest.mark.parametrize(("stored", "badge"), [(98, "partial"), (99, "complete"), (100, "complete"), (103, "complete")])
def test_ninety_nine_of_a_hundred_are_complete(stored: int, badge: str):
    games = games_in_a_row(*["1-0"] * stored, white="ann", black=None)
    found = made(completeness.mart, lake_of(games, profiles=[profile("ann", 100, n_games_blitz=100)]))
    assert set(found["val_badge"]) == {badge}


def test_shares_are_of_the_stored_games():
    games = [
        game("ann", "bob", arr_clock_cs=[1], arr_eval_cp=[3], val_eco="C20"),
        game("ann", "bob", arr_clock_cs=[1], arr_eval_mate=[3]),
        game("ann", "bob", arr_clock_cs=[1]),
        game("bob", "ann"),
    ]
    ann = row(made(completeness.mart, lake_of(games)), id_user="ann", val_perf="blitz")
    assert (ann["n_clocks_pct"], ann["n_evaluations_pct"], ann["n_openings_pct"]) == (75, 50, 25)
    assert (ann["val_badge"], ann["tm_profile"]) == ("unknown", None)
