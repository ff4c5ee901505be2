"""Profiles and rating histories, on real runs against the replay server: who is asked for, and what becomes of it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from clocks import HandClock

from kshift_assets.chess.player_rows import player_rows, standings
from kshift_assets.chess.profile_pull import PeopleHarvest, pull_histories, pull_profiles
from kshift_assets.chess.profile_store import HISTORIES_SCHEMA, PROFILES_SCHEMA, ProfileStore
from kshift_assets.chess.schemas import Players
from kshift_assets.tables import split
from lakehouse import Lakehouse
from recordings import RECORDINGS, needs_recordings
from resources.lake import Lake
from serving.replay import ReplayServer
from serving.replay_api import Answer, error
from serving.replay_wire import Fault
from serving.replay_world import World
from worlds import MARCH, game, hasty, lichess

PROFILE: dict[str, Any] = {
    "id": "alice_a",
    "username": "Alice_A",
    "title": "WFM",
    "flair": "nature.seedling",
    "patron": True,
    "verified": True,
    "createdAt": 1290415680000,
    "seenAt": MARCH,
    "playTime": {"total": 6440161, "tv": 17974},
    "profile": {"bio": "<b>Likes</b> rooks.", "flag": "NO", "realName": "A. Ample", "fideRating": 2011, "links": ""},
    "count": {"all": 23469, "rated": 21098, "ai": 12, "draw": 1029, "loss": 11211, "win": 11224, "import": 73},
    "perfs": {
        "ultraBullet": {"games": 3, "rating": 1688, "rd": 353, "prog": -7, "prov": True},
        "kingOfTheHill": {"games": 94, "rating": 1744, "rd": 278, "prog": 14},
        "storm": {"runs": 44, "score": 33},
    },
}


class People:
    """A lake, a client under a clock that is turned by hand, and a server with its world."""

    def __init__(self, folder: Path, server: ReplayServer) -> None:
        self.lake, self.clock, self.server = Lake(uri=str(folder / "lake")), HandClock(), server
        self.api = lichess(server.url, folder / "state", clock=self.clock, limits=hasty())

    def pull(self, *users: str, days: int = 30, budget: int = 3000) -> PeopleHarvest:
        self.clock.pass_time(1)
        return pull_profiles(self.lake, self.api, users, timedelta(days=days), budget)

    def histories(self, *users: str) -> PeopleHarvest:
        self.clock.pass_time(1)
        return pull_histories(self.lake, self.api, users)

    def stored(self) -> list[tuple[str, str]]:
        """User and state of every row, oldest first."""
        rows = self.lake.scan("lichess.user_profiles", PROFILES_SCHEMA).sort("tm_ingested", "id_user").collect()
        return list(rows.select("id_user", "val_state").iter_rows())

    def points(self) -> list[tuple[str, date, int]]:
        rows = self.lake.scan("lichess.rating_histories", HISTORIES_SCHEMA).sort("val_perf", "dt_day").collect()
        return list(rows.select("val_perf", "dt_day", "n_rating").iter_rows())

    def asked(self) -> list[list[str]]:
        """The ids of each request for profiles."""
        questions = [one.question for one in self.server.ledger.asked]
        return [one.body.decode().split(",") for one in questions if one.path == "/api/users"]


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer(World()) as replay:
        yield replay


@pytest.fixture
def people(tmp_path: Path, server: ReplayServer) -> People:
    return People(tmp_path, server)


def users(*ids: str, **more: Any) -> dict[str, dict[str, Any]]:
    return {one: {"id": one, "username": one.title()} | more for one in ids}


def test_profiles_are_asked_for_300_a_request_and_only_once(people: People, server: ReplayServer) -> None:
    names = [f"player{number:03}" for number in range(650)]
    server.world.users = users(*names)
    assert people.pull(*names).n_new == 650
    assert [len(ids) for ids in people.asked()] == [300, 300, 50]
    assert people.pull(*names, "another-one").n_asked == 1
    assert len(people.asked()) == 4
    assert len(people.stored()) == 651


def test_an_old_copy_is_fetched_anew_and_stored_only_if_it_changed(people: People, server: ReplayServer) -> None:
    server.world.users = users("anna", "bert")
    people.pull("anna", "bert")
    people.clock.pass_time(29 * 86_400)
    assert people.pull("anna", "bert").n_asked == 0
    people.clock.pass_time(86_400)
    server.world.users["bert"]["title"] = "CM"
    harvest = people.pull("anna", "bert")
    assert (harvest.n_asked, harvest.n_new) == (2, 1)
    assert [name for name, _ in people.stored()] == ["anna", "bert", "bert"]
    assert people.pull("anna", "bert").n_asked == 0, "what did not change was asked for all the same"


def test_a_budget_leaves_the_rest_for_later_runs(people: People, server: ReplayServer) -> None:
    server.world.users = users("anna", "bert", "carl")
    harvest = people.pull("carl", "anna", "bert", budget=2)
    assert (harvest.n_asked, harvest.n_left) == (2, 1)
    assert people.pull("carl", "anna", "bert", budget=2).n_asked == 1
    assert people.asked() == [["carl", "anna"], ["bert"]]


def test_an_answer_that_knows_nobody_is_not_believed(people: People, server: ReplayServer) -> None:
    names = [f"player{number}" for number in range(20)]
    server.world.users = users(*names)
    server.stage.plan = lambda number, _: Fault(change=lambda __: Answer(200, (), [b"[]"])) if number == 0 else None
    assert len(people.pull(*names).problems) == 1
    assert people.stored() == []
    assert people.pull(*names).n_new == 20


def test_what_breaks_half_way_leaves_the_rest_for_the_next_run(people: People, server: ReplayServer) -> None:
    names = [f"player{number:03}" for number in range(650)]
    server.world.users = users(*names)
    server.stage.plan = lambda number, _: Fault(change=lambda __: error(401, "No.")) if number == 1 else None
    harvest = people.pull(*names)
    assert (harvest.n_new, len(harvest.problems)) == (300, 1)
    assert len(people.asked()) == 2, "nobody is asked for after a refusal"
    server.stage.plan = None
    assert people.pull(*names).n_new == 350


def test_a_kill_before_the_question_is_noted_stores_nothing_twice(
    people: People, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.world.users = users("anna")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProfileStore, "_note", die)
        with pytest.raises(KeyboardInterrupt):
            people.pull("anna")
    assert people.stored() == [("anna", "open")]
    harvest = people.pull("anna")
    assert (harvest.n_asked, harvest.n_new) == (1, 0)
    assert people.stored() == [("anna", "open")]


def test_months_of_rating_histories_count_from_0(people: People, server: ReplayServer) -> None:
    server.world.users = users("anna")
    server.world.rating_histories["anna"] = [
        {"name": "King of the Hill", "points": [[2024, 0, 31, 1500], [2023, 11, 1, 1490]]},
        {"name": "Cannons", "points": [[2024, 1, 29, 900]]},
    ]
    assert people.histories("anna").n_new == 3
    assert people.points() == [
        ("Cannons", date(2024, 2, 29), 900),
        ("kingOfTheHill", date(2023, 12, 1), 1490),
        ("kingOfTheHill", date(2024, 1, 31), 1500),
    ]


def test_the_newest_rating_of_a_day_counts_and_an_empty_history_takes_nothing_away(
    people: People, server: ReplayServer
) -> None:
    server.world.users = users("anna")
    histories = server.world.rating_histories
    histories["anna"] = [{"name": "Blitz", "points": [[2024, 2, 1, 1500], [2024, 2, 2, 1510]]}]
    people.histories("anna")
    histories["anna"] = [{"name": "Blitz", "points": [[2024, 2, 1, 1500], [2024, 2, 2, 1523], [2024, 2, 3, 1530]]}]
    assert people.histories("anna").n_asked == 0, "one point a day: once a day is enough"
    people.clock.pass_time(86_400)
    assert people.histories("anna").n_new == 2
    histories["anna"] = []
    people.clock.pass_time(86_400)
    assert people.histories("anna").n_new == 0
    assert people.points() == [
        ("blitz", date(2024, 3, 1), 1500),
        ("blitz", date(2024, 3, 2), 1523),
        ("blitz", date(2024, 3, 3), 1530),
    ]


def rows_of(*versions: tuple[str, dict[str, Any] | None]) -> tuple[list[dict[str, Any]], int]:
    """What becomes of a user's versions, one a day: rows of chess.players, and how many values were unreadable."""
    first = datetime(2024, 3, 1, tzinfo=UTC)
    listed = [
        ("alice_a", state, document and orjson.dumps(document).decode(), str(day), "fetch", first + timedelta(days=day))
        for day, (state, document) in enumerate(versions)
    ]
    frame = pl.DataFrame(listed, schema=PROFILES_SCHEMA, orient="row")
    rows, n_odd = player_rows(frame, standings(frame.select("id_user", "val_state", "tm_ingested")))
    good, bad = split(Players, rows)
    assert bad.height == 0
    return good.to_dicts(), n_odd


def test_every_fact_of_a_profile_has_its_column() -> None:
    [row], n_odd = rows_of(("open", PROFILE))
    assert n_odd == 0
    expected = {
        "id_user": "alice_a",
        "val_name": "Alice_A",
        "val_title": "WFM",
        "ind_closed": False,
        "ind_patron": True,
        "ind_verified": True,
        "ind_tos_violation": False,
        "val_flair": "nature.seedling",
        "val_country": "NO",
        "val_real_name": "A. Ample",
        "val_bio": "<b>Likes</b> rooks.",
        "val_links": None,
        "n_rating_fide": 2011,
        "tm_created": datetime(2010, 11, 22, 8, 48, tzinfo=UTC),
        "tm_seen": datetime(2024, 3, 1, tzinfo=UTC),
        "n_play_time_s": 6440161,
        "n_play_time_tv_s": 17974,
        "n_games": 23469,
        "n_games_rated": 21098,
        "n_games_ai": 12,
        "n_wins": 11224,
        "n_draws": 1029,
        "n_losses": 11211,
        "n_imported": 73,
        "n_rating_ultra_bullet": 1688,
        "n_rd_ultra_bullet": 353,
        "n_games_ultra_bullet": 3,
        "n_progress_ultra_bullet": -7,
        "ind_provisional_ultra_bullet": True,
        "n_rating_king_of_the_hill": 1744,
        "ind_provisional_king_of_the_hill": False,
        "n_rating_blitz": None,
        "ind_provisional_blitz": None,
        "n_runs_storm": 44,
        "n_score_storm": 33,
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    "version", [("closed", {"id": "alice_a", "username": "Alice_A", "disabled": True}), ("missing", None)]
)
def test_a_closed_account_keeps_what_was_last_known(version: tuple[str, dict[str, Any] | None]) -> None:
    [row], _ = rows_of(("open", PROFILE | {"title": None}), ("open", PROFILE), version)
    assert (row["ind_closed"], row["val_title"], row["n_games"]) == (True, "WFM", 23469)
    assert (row["tm_facts"].day, row["tm_ingested"].day) == (2, 3)
    [row], _ = rows_of(("open", PROFILE), version, ("open", PROFILE | {"title": "WIM"}))
    assert (row["ind_closed"], row["val_title"]) == (False, "WIM")
    [row], _ = rows_of(version)
    assert (row["ind_closed"], row["n_games"]) == (True, None)


def test_what_is_new_or_odd_in_a_profile_harms_nothing_else() -> None:
    odd = PROFILE | {
        "perfs": {"cannons": {"games": 1, "rating": 99_999}, "blitz": {"games": -1, "rating": 1e300, "rd": "wide"}},
        "profile": {"bio": 7, "fideRating": 2**40},
        "playTime": "long",
        "seenAt": 0,
    }
    [row], n_odd = rows_of(("open", odd))
    assert n_odd == 5
    assert (row["val_bio"], row["n_games_blitz"], row["tm_seen"], row["n_games"]) == (None, None, None, 23469)


@needs_recordings
def test_recorded_profiles_are_read_to_the_last_rating() -> None:
    found = list((RECORDINGS / "lichess").rglob("user_extended_*.json"))
    assert found
    for file in found:
        document = orjson.loads(file.read_bytes())
        [row], n_odd = rows_of(("open", document))
        assert n_odd == 0
        ratings = {value for name, value in row.items() if name.startswith("n_rating_") and value is not None}
        assert ratings == {perf["rating"] for perf in document["perfs"].values() if "rating" in perf}
        assert (row["n_games"], row["n_wins"]) == (document["count"]["all"], document["count"]["win"])


def test_followed_players_come_first_then_those_with_most_games(
    lakehouse: Lakehouse, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        opponent = "often-met" if number < 4 else f"rare{number}"
        server.world.add(game(number, MARCH + number, white="zz-followed", black=opponent))
    for name, value in {"LICHESS_URL": server.url, "PLAYERS": "zz-followed", "PROFILE_BUDGET": "3"}.items():
        monkeypatch.setenv(f"KSHIFT_{name}", value)
    runner = lakehouse.runner
    games = runner.select("key:lichess/player_games")
    assert all(one.succeeded for one in runner.run_all(runner.plan(games, None, games), lambda *_: None))
    assert all(one.succeeded for one in lakehouse.carry_on())
    made = lakehouse.make("key:lichess/user_profiles or key:lichess/rating_histories")
    assert [one.problems for one in made] == [[]]
    asked = [one.question for one in server.ledger.asked]
    assert [one.body for one in asked if one.path == "/api/users"] == [b"zz-followed,often-met,rare4"]
    assert [one.path for one in asked if "rating" in one.path] == ["/api/user/zz-followed/rating-history"]
    assert all(one.succeeded for one in lakehouse.carry_on())
    names = [name for (name,) in lakehouse.query("SELECT id_user FROM chess.players ORDER BY 1")]
    assert names == ["often-met", "rare4", "zz-followed"]
