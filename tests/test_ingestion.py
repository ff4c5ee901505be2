"""Ingestion of players' games: what is stored, what is asked, and what happens when something breaks."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from clocks import HandClock

from kshift_assets.chess.game_store import FETCHES_SCHEMA, GAMES_SCHEMA
from kshift_assets.chess.ingestion import Harvest, pull_month, pull_player, pull_players
from kshift_assets.chess.source_schemas import Fetches, PlayerGames
from resources.breaker import Patience
from resources.errors import UserError
from resources.lake import Lake
from resources.lichess import Lichess
from serving.replay import ReplayServer
from serving.replay_api import Answer, Question, error
from serving.replay_wire import Ending, Fault, Plan, lines
from serving.replay_world import Document, World
from worlds import DAY, MARCH, MINUTE, analysed, game, game_id, hasty, lichess, world

TABLE = "lichess.player_games"


class House:
    """A lake, a client and a server with its world."""

    def __init__(self, folder: Path, made: World, plan: Plan | None = None) -> None:
        self.lake = Lake(uri=str(folder / "lake"))
        self.faults: list[Fault | None] = []
        self.server = ReplayServer(made, plan or self._next_fault)
        self.clock = HandClock()
        self.api: Lichess = lichess(self.server.url, folder / "state", clock=self.clock, limits=hasty(read_seconds=1.0))

    def _next_fault(self, _: int, __: Question) -> Fault | None:
        return self.faults.pop(0) if self.faults else None

    def pull(self, *users: str, page_games: int = 300, days: float = 14) -> Harvest:
        return pull_players(self.lake, self.api, users or ["alice_a"], page_games, timedelta(days=days))

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def stored(self) -> pl.DataFrame:
        return self.lake.scan(TABLE, GAMES_SCHEMA).collect()

    @property
    def ids(self) -> list[str]:
        """Stored ids, one a row."""
        return sorted(self.stored["id_game"])

    def asked(self) -> list[dict[str, str]]:
        """Parameters of the requests since the last look."""
        found = [dict(one.question.params) for one in self.server.ledger.asked]
        self.server.ledger.asked.clear()
        return found


@pytest.fixture
def furnish(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes houses that end with the test."""
    houses: list[House] = []

    def make(made: World, plan: Plan | None = None) -> House:
        house = House(tmp_path / str(len(houses)), made, plan)
        house.server.__enter__()
        houses.append(house)
        return house

    yield make
    for house in houses:
        house.server.__exit__()


Furnish = Callable[..., House]


def everything(made: World) -> list[str]:
    return sorted(made.games)


# What is stored


@pytest.mark.parametrize("page_games", [1, 3, 7, 20, 300])
def test_every_game_is_stored_once_as_it_was_sent(furnish: Furnish, page_games: int) -> None:
    house = furnish(world(20, step=DAY * 3))
    harvest = house.pull(page_games=page_games)
    stored = {row["id_game"]: orjson.loads(row["val_document"]) for row in house.stored.iter_rows(named=True)}
    assert stored == house.world.games
    assert house.stored.height == 20
    assert [player.state for player in harvest.players] == ["done"]
    assert harvest.months == Counter({"2024-03": 11, "2024-04": 9})  # 1 March and every third day after it
    PlayerGames.validate(house.stored)


def test_a_second_run_stores_nothing_and_asks_twice_a_player(furnish: Furnish) -> None:
    house = furnish(world(30, players=["alice_a", "carol", "dave"], step=DAY))
    house.pull("alice_a", "carol", "dave")
    before = house.lake.version(TABLE)
    house.asked()
    harvest = house.pull("alice_a", "carol", "dave")
    assert harvest.n_new == 0
    assert harvest.months == {}
    assert len(house.asked()) == harvest.n_requests == 6
    assert house.lake.version(TABLE) == before


def test_a_new_game_is_all_that_the_next_run_stores(furnish: Furnish) -> None:
    house = furnish(world(30))
    house.pull()
    house.world.add(game(99, MARCH + 40 * DAY))
    assert house.pull().months == {"2024-04": 1}
    assert house.ids == everything(house.world)


def test_a_game_between_two_followed_players_is_stored_once(furnish: Furnish) -> None:
    house = furnish(world(10))
    house.pull("alice_a", "bob-b")
    assert house.ids == everything(house.world)


def test_a_running_game_is_stored_when_it_is_finished(furnish: Furnish) -> None:
    made = world(5, step=DAY)
    made.add(running := game(50, MARCH + 2 * DAY + 5, status="started"))
    house = furnish(made)
    house.pull()
    assert game_id(50) not in house.ids
    made.add(running | {"status": "mate", "winner": "black"})
    assert house.pull().n_new == 1
    assert house.ids == everything(made)


def test_a_game_that_finishes_before_the_look_back_begins_is_not_seen(furnish: Furnish) -> None:
    """Which is why the look-back is there, and why it is as long as people want to pay for."""
    made = world(5, step=10 * DAY)
    made.add(running := game(50, MARCH + 5, status="started"))
    house = furnish(made)
    house.pull()
    made.add(running | {"status": "mate"})
    assert house.pull(days=14).n_new == 0
    assert house.pull(days=200).n_new == 1


def test_an_analysis_added_later_is_a_further_version_and_the_newest(furnish: Furnish) -> None:
    house = furnish(world(5, step=DAY))
    house.pull()
    house.world.add(analysed(house.world.games[game_id(2)]))
    house.clock.set_wall(-3600)  # somebody sets our clock back meanwhile
    house.pull()
    versions = house.stored.filter(id_game=game_id(2)).sort("tm_ingested")
    assert ["analysis" in orjson.loads(text) for text in versions["val_document"]] == [False, True]
    assert house.stored.height == 6
    assert house.pull().n_new == 0


def test_more_games_in_one_millisecond_than_fit_on_a_page_are_all_stored(furnish: Furnish) -> None:
    made = world(3)
    for number in range(300):
        made.add(game(1000 + number, MARCH + 10 * MINUTE))
    made.add(game(2000, MARCH + 20 * MINUTE))
    house = furnish(made)
    house.pull(page_games=40)
    assert house.ids == everything(made)
    assert int(house.asked()[-1]["max"]) == 40  # back to the usual page


def test_games_from_before_2013_are_stored_too(furnish: Furnish) -> None:
    made = world(0)
    for number in range(50):
        made.add(game(number, 1_300_000_000_000 + number * DAY))  # March 2011 on
    made.add(game(77, MARCH))
    house = furnish(made)
    house.pull(page_games=20)
    assert house.ids == everything(made)
    house.asked()
    assert house.pull(page_games=20).n_new == 0
    assert len(house.asked()) == 2


def test_a_player_without_games_costs_two_requests(furnish: Furnish) -> None:
    made = world(1)
    made.users["quiet_one"] = {"id": "quiet_one", "username": "Quiet_One"}
    house = furnish(made)
    harvest = house.pull("quiet_one")
    assert (harvest.n_requests, harvest.n_new, harvest.players[0].state) == (2, 0, "done")


# How it is asked


def test_only_what_is_new_is_asked_for_from_the_last_game_on_that_one_included(furnish: Furnish) -> None:
    house = furnish(world(10, step=DAY))
    house.pull(page_games=4)
    sinces = [asked.get("since") for asked in house.asked()]
    assert sinces == [None, str(MARCH + 3 * DAY), str(MARCH + 6 * DAY), str(MARCH + 9 * DAY)]
    house.pull(page_games=40)
    forward, back = house.asked()
    assert (forward["since"], "until" in forward) == (str(MARCH + 9 * DAY), False)
    assert (back["since"], back["until"]) == (str(MARCH - 5 * DAY), str(MARCH + 9 * DAY + 1))


def test_players_take_turns_page_by_page(furnish: Furnish) -> None:
    made = world(8, players=["alice_a", "carol"])
    made.add(game(900, MARCH, white="dave"))
    house = furnish(made)
    house.pull("alice_a", "carol", "dave", page_games=4)
    turns = [one.question.path.rsplit("/", 1)[1] for one in house.server.ledger.asked]
    assert turns[:6] == ["alice_a", "carol", "dave"] * 2
    assert house.ids == everything(made)


def test_a_month_is_filled_without_moving_the_cursor(furnish: Furnish) -> None:
    house = furnish(world(40, step=DAY))
    harvest = pull_month(house.lake, house.api, ["alice_a"], "2024-03", page_games=10)
    assert harvest.months == {"2024-03": 31}
    assert house.stored["dt_month"].unique().to_list() == ["2024-03"]
    assert pull_month(house.lake, house.api, ["alice_a"], "2024-03").n_new == 0
    assert house.pull().months == {"2024-04": 9}
    assert house.ids == everything(house.world)


def test_the_first_month_of_all_can_be_filled(furnish: Furnish) -> None:
    made = world(0)
    made.add(game(1, 1357000000000))  # 1 January 2013
    house = furnish(made)
    assert pull_month(house.lake, house.api, ["alice_a"], "2013-01").n_new == 1


@pytest.mark.parametrize("name", ["../etc", "", "a'--", "x" * 31])
def test_what_is_no_name_is_refused_before_anything_is_asked(furnish: Furnish, name: str) -> None:
    house = furnish(world(1))
    with pytest.raises(UserError):
        house.pull("alice_a", name)
    with pytest.raises(UserError):
        pull_month(house.lake, house.api, ["alice_a"], "2024-13")
    assert house.asked() == []


def test_every_request_is_in_the_fetch_log_and_every_row_names_its_request(furnish: Furnish) -> None:
    house = furnish(world(10))
    house.faults = [None, Fault(Ending.REFUSED)]
    harvest = house.pull(page_games=4)
    log = house.lake.scan("lichess.fetches", FETCHES_SCHEMA).collect()
    Fetches.validate(log)
    assert log.height == harvest.n_requests == len(house.asked())
    assert log["val_error"].null_count() == log.height - 1
    rows = house.stored.join(log, on="id_fetch", how="left")
    assert rows["val_request"].null_count() == 0


# What breaks


def test_a_player_who_is_gone_is_told_and_the_others_go_on(furnish: Furnish) -> None:
    made = world(5, players=["alice_a", "carol"])
    made.closed.add("alice_a")
    house = furnish(made)
    harvest = house.pull("alice_a", "carol", "nobody")
    assert {player.id_user: player.state for player in harvest.players} == {
        "alice_a": "gone",
        "nobody": "gone",
        "carol": "done",
    }
    assert harvest.failed == []
    assert len(house.ids) == 5


def broken_for(name: str, change: Callable[[Answer], Answer]) -> Plan:
    def plan(_: int, question: Question) -> Fault | None:
        return Fault(change=change) if question.path.endswith(f"/{name}") else None

    return plan


def without_moves(found: list[bytes]) -> list[bytes]:
    document = orjson.loads(found[0])
    del document["moves"]
    return [orjson.dumps(document) + b"\n", *found[1:]]


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        (lines(without_moves), "broken", "moves: field required"),
        (lambda _: error(500, "oops"), "failed", "answered 500"),
        (lambda _: Answer(200, (), (b"<html></html>",)), "broken", "a web page instead of data"),
        (lambda _: Answer(200, (), (b'{"error":"no"}\n',)), "broken", "an error instead of a game"),
        (lambda _: error(400, "no"), "failed", "answered 400"),
    ],
)
def test_one_players_failure_is_told_and_the_others_go_on(
    furnish: Furnish, change: Callable[[Answer], Answer], state: str, reason: str
) -> None:
    house = furnish(world(5, players=["alice_a", "carol"]), broken_for("alice_a", change))
    harvest = house.pull("alice_a", "carol")
    states = {player.id_user: (player.state, player.n_new) for player in harvest.players}
    assert states == {"alice_a": (state, 0), "carol": ("done", 5)}
    assert reason in str(harvest.failed[0].reason)


def test_when_the_contract_breaks_for_everybody_the_run_ends(furnish: Furnish) -> None:
    names = [f"player{number}" for number in range(10)]
    house = furnish(world(3, players=names), lambda *_: Fault(change=lines(without_moves)))
    harvest = house.pull(*names)
    assert Counter(player.state for player in harvest.players) == {"broken": 3, "postponed": 7}
    assert len(house.asked()) == 3


def test_an_open_breaker_postpones_everybody_and_the_next_run_goes_on(furnish: Furnish) -> None:
    names = [f"player{number}" for number in range(4)]
    house = furnish(world(6, players=names))
    house.faults = [None] * 4 + [Fault(change=lambda _: error(503, "busy"))] * 5
    harvest = house.pull(*names, page_games=4)
    assert Counter(player.state for player in harvest.players) == {"failed": 1, "postponed": 3}
    assert harvest.n_new == 16
    assert len(house.asked()) == 9
    assert {player.state for player in house.pull(*names).players} == {"postponed"}
    assert house.asked() == []
    house.clock.pass_time(300)
    house.pull(*names, page_games=4)
    assert house.ids == everything(house.world)


def test_a_token_that_is_refused_ends_the_run_at_once(furnish: Furnish) -> None:
    house = furnish(
        world(6, players=["alice_a", "carol"]), lambda *_: Fault(change=lambda _: error(401, "No such token"))
    )
    harvest = house.pull("alice_a", "carol")
    assert [player.state for player in harvest.players] == ["postponed", "postponed"]
    assert len(house.asked()) == 1


@pytest.mark.parametrize("ending", [Ending.RESET, Ending.CLOSED, Ending.CLEAN, Ending.IN_CHUNK, Ending.IN_CHUNK_HEAD])
@pytest.mark.parametrize("cut_at", [0, 300, 1500, 1626, 1627, 1628, 4000])
def test_a_page_that_is_cut_costs_requests_and_no_game(furnish: Furnish, ending: Ending, cut_at: int) -> None:
    house = furnish(world(20))
    house.faults = [Fault(ending, cut_at)] * 2
    harvest = house.pull(page_games=7)
    assert [player.state for player in harvest.players] == ["done"]
    if not (ending is Ending.CLEAN and cut_at == 0):  # two empty answers look like a player without games
        assert house.ids == everything(house.world)
    house.pull(page_games=7)
    assert house.ids == everything(house.world)


def test_a_server_that_always_cuts_before_the_next_game_is_given_up_and_told(furnish: Furnish) -> None:
    size = len(orjson.dumps(game(0, MARCH))) + 1
    house = furnish(world(20), lambda *_: Fault(Ending.RESET, size + 50))
    (player,) = house.pull(page_games=7).players
    assert player.state == "failed"
    assert "4 times in a row" in str(player.reason)
    assert house.ids == [game_id(0)]


def test_a_line_that_was_damaged_on_the_way_is_asked_for_again(furnish: Furnish) -> None:
    def damage(found: list[bytes]) -> list[bytes]:
        return [*found[:3], b"\x00" + found[3][1:], *found[4:]]

    house = furnish(world(12))
    house.faults = [Fault(change=lines(damage))]
    (player,) = house.pull(page_games=6).players
    assert house.ids == everything(house.world)
    assert (player.state, player.n_broken) == ("done", 1)


def test_a_line_that_stays_damaged_is_passed_over_and_told(furnish: Furnish) -> None:
    bad = game_id(3).encode()

    def damage(found: list[bytes]) -> list[bytes]:
        return [b"\x00" + line[1:] if bad in line else line for line in found]

    house = furnish(world(12), lambda *_: Fault(change=lines(damage)))
    (player,) = house.pull(page_games=5).players
    assert house.ids == [one for one in everything(house.world) if one != game_id(3)]
    assert player.state == "done"
    assert player.n_broken >= 2


def test_lines_twice_and_whole_pages_twice_are_stored_once(furnish: Furnish) -> None:
    house = furnish(world(20))
    house.faults = [
        Fault(change=lines(lambda found: [line for line in found for _ in range(2)])),
        Fault(change=lines(lambda found: found + found)),
    ]
    house.pull(page_games=7)
    assert house.ids == everything(house.world)


def test_a_page_out_of_order_does_not_move_the_cursor_past_what_is_missing(furnish: Furnish) -> None:
    def shuffle_and_cut(found: list[bytes]) -> list[bytes]:
        return [found[5], found[1], found[3]]

    house = furnish(world(20))
    house.faults = [Fault(change=lines(shuffle_and_cut))]
    house.pull(page_games=7, days=0)
    assert house.ids == everything(house.world)


def test_a_server_that_ignores_the_order_is_told(furnish: Furnish) -> None:
    house = furnish(world(20), lambda *_: Fault(change=lines(lambda found: found[::-1])))
    (player,) = house.pull(page_games=7).players
    assert player.state == "broken"
    assert "do not come oldest first" in str(player.reason)


def test_an_old_page_again_moves_nothing_back(furnish: Furnish) -> None:
    old: list[list[bytes]] = []

    def remember(found: list[bytes]) -> list[bytes]:
        old.append(found)
        return found

    house = furnish(world(20))
    house.faults = [Fault(change=lines(remember)), None, Fault(change=lines(lambda _: old[0]))]
    house.pull(page_games=7, days=0)
    assert house.ids == everything(house.world)
    assert house.lake.cursor(TABLE, "lichess.player_games/alice_a") == MARCH + 19 * MINUTE


def test_documents_that_differ_each_time_do_not_keep_a_run_going(furnish: Furnish) -> None:
    count = iter(range(10_000))

    def flicker(found: list[bytes]) -> list[bytes]:
        return [orjson.dumps(orjson.loads(line) | {"mood": next(count)}) + b"\n" for line in found]

    house = furnish(world(6), lambda *_: Fault(change=lines(flicker)))
    house.pull(page_games=4)
    assert len(house.asked()) <= 4
    assert sorted(set(house.ids)) == everything(house.world)


def test_nothing_moves_when_the_page_cannot_be_stored(furnish: Furnish, monkeypatch: pytest.MonkeyPatch) -> None:
    house = furnish(world(12))
    append, failures = Lake.append, iter([OSError(28, "No space left on device")])

    def full(self: Lake, table: str, *args: Any, **more: Any) -> Any:
        if table == TABLE and (failure := next(failures, None)):
            raise failure
        return append(self, table, *args, **more)

    monkeypatch.setattr(Lake, "append", full)
    with pytest.raises(OSError, match="No space left"):
        house.pull(page_games=5)
    assert house.lake.cursor(TABLE, "lichess.player_games/alice_a") is None
    house.pull(page_games=5)
    assert house.ids == everything(house.world)


def test_a_cursor_that_another_process_moved_is_followed(furnish: Furnish, tmp_path: Path) -> None:
    house = furnish(world(20))
    other = lichess(house.server.url, tmp_path / "other gate", limits=hasty())
    append, is_first = Lake.append, iter([True])

    def overtaken(self: Lake, *args: Any, **more: Any) -> Any:
        if next(is_first, False):
            pull_player(Lake(uri=self.uri), other, "alice_a", page_games=6)
        return append(self, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lake, "append", overtaken)
        (player,) = house.pull(page_games=5).players
    assert player.state == "done"
    assert house.ids == everything(house.world)


def test_an_account_that_is_renamed_keeps_its_games(furnish: Furnish) -> None:
    house = furnish(world(6))
    house.pull()
    made = house.world
    for one in copy.deepcopy(list(made.games.values())):
        one["players"]["white"]["user"] = {"id": "alice_new", "name": "Alice_New"}
        made.add(one)
    made.closed.add("alice_a")
    assert [player.state for player in house.pull().players] == ["gone"]
    assert house.stored.height == 6
    house.pull("alice_new")
    assert sorted(set(house.ids)) == everything(made)


def test_no_document_holds_the_secret_full_id(furnish: Furnish) -> None:
    def own(found: list[bytes]) -> list[bytes]:
        documents: list[Document] = [orjson.loads(line) for line in found]
        return [orjson.dumps({**one, "fullId": f"{one['id']}SECR"}) + b"\n" for one in documents]

    house = furnish(world(4), lambda *_: Fault(change=lines(own)))
    house.pull()
    assert house.stored.height == 4
    assert not house.stored["val_document"].str.contains("SECR").any()


def test_a_quiet_time_in_the_middle_of_a_run_is_sat_out(furnish: Furnish) -> None:
    house = furnish(world(12))
    house.faults = [None, Fault(change=lambda _: error(429, "slow down"))]
    house.pull(page_games=5)
    assert house.clock.slept == [Patience().quiet_seconds]
    assert house.ids == everything(house.world)
