"""Lichess TV, on real runs against the replay server: what runs is kept, what is over is stored, nothing twice."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from clocks import HandClock
from dagster._core.test_utils import create_run_for_test

from kshift_assets.chess.tv_store import RUNNING_SCHEMA, TV_SCHEMA, TvStore
from kshift_assets.chess.tv_watch import CHANNELS, TvHarvest, watch_tv
from lakehouse import Lakehouse, pgn
from resources.lake import Lake
from sensors.tv import TV_JOB, watch_tv_every_minute
from serving.replay import ReplayServer
from serving.replay_api import Answer, Question
from serving.replay_wire import Fault
from serving.replay_world import World
from worlds import DAY, MARCH, game, game_id, hasty, lichess

TV = "key:lichess/tv_games"


def running(number: int, created: int = MARCH) -> dict:
    return game(number, created, status="started", moves="e4 e5")


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer(World()) as replay:
        yield replay


@pytest.fixture
def house(lakehouse: Lakehouse, server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> Lakehouse:
    """A lakehouse whose Lichess is the replay server."""
    monkeypatch.setenv("KSHIFT_LICHESS_URL", server.url)
    return lakehouse


def look(house: Lakehouse, *months: str) -> dict[str, int]:
    """Run the asset, as `kshift run lichess/tv_games` does: rows by asset and month."""
    runner = house.runner
    keys = runner.select(TV)
    [outcome] = runner.run_all(runner.plan(keys, months or None, set() if months else keys), lambda *_: None)
    assert outcome.succeeded, outcome.problems
    return dict(outcome.rows)


def stored(house: Lakehouse) -> list[str]:
    return sorted(house.lake.scan("lichess.tv_games", TV_SCHEMA).collect()["id_game"])


def unfinished(house: Lakehouse) -> dict[str, str]:
    """Game → state."""
    rows = house.lake.scan("lichess.tv_running", RUNNING_SCHEMA).collect()
    return dict(rows.select("id_game", "val_state").iter_rows())


def by_id(server: ReplayServer) -> list[list[str]]:
    """The ids of each request for games by id."""
    questions = [asked.question for asked in server.ledger.asked]
    return [one.body.decode().split(",") for one in questions if one.path.endswith("_ids")]


def test_every_channel_is_looked_at_and_every_game_kept_once(house: Lakehouse, server: ReplayServer) -> None:
    for number, channel in enumerate(CHANNELS):
        server.world.add(running(number))
        server.world.tv[channel] = [game_id(number)]
    server.world.tv["best"] = [game_id(1), game_id(2)]  # Lichess repeats another channel's games there
    assert look(house) == {}
    asked = [one.question.path for one in server.ledger.asked]
    assert sorted(asked) == sorted(["/api/tv/channels", *(f"/api/tv/{channel}" for channel in CHANNELS)])
    assert len(CHANNELS) == 16
    assert unfinished(house) == {game_id(number): "running" for number in range(1, 16)}
    assert server.ledger.together == []


def test_a_running_game_is_replaced_when_it_is_over(house: Lakehouse, server: ReplayServer) -> None:
    for number in range(3):
        server.world.add(running(number))
    server.world.tv["blitz"] = [game_id(0), game_id(1), game_id(2)]
    assert look(house) == {}
    assert look(house) == {}, "what is still on TV is not asked for"
    assert by_id(server) == []
    server.world.add(game(0, MARCH))
    server.world.tv["blitz"] = [game_id(1), game_id(2)]
    assert look(house) == {"lichess/tv_games 2024-03": 1}
    assert by_id(server) == [[game_id(0)]]
    assert stored(house) == [game_id(0)]
    assert unfinished(house) == {game_id(1): "running", game_id(2): "running"}
    assert look(house) == {}, "nothing ended, so no month is marked"
    assert by_id(server) == [[game_id(0)]]


def test_only_games_that_are_over_reach_the_cleaned_table(house: Lakehouse, server: ReplayServer) -> None:
    server.world.add(game(0, MARCH))
    server.world.add(running(1))
    server.world.tv = {"rapid": [game_id(0)], "blitz": [game_id(1)]}
    look(house)
    assert all(outcome.succeeded for outcome in house.carry_on())
    query = "SELECT id_game, val_source, val_result, arr_clock_cs FROM chess.games"
    assert house.query(query) == [(game_id(0), "tv", "1-0", [18003, 18003, 17900, 17950])]
    assert house.query("SELECT id_game, val_state FROM lichess.tv_running") == [(game_id(1), "running")]
    assert house.query("SELECT id_game, val_channel FROM lichess.tv_games") == [(game_id(0), "rapid")]


def test_a_game_of_all_three_sources_has_one_row(
    house: Lakehouse, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The player's export gives it, and the dump's evaluations fill what both documents lack."""
    server.world.add(game(0, MARCH, moves="e4 e5 Nf3 f6 Nxe5", clocks=[18003] * 5, opening=None))
    server.world.tv["blitz"] = [game_id(0)]
    house.write_dump("2024-03", pgn(game_id(0), day="2024.03.01", white="Alice_A", black="Bob-B"))
    monkeypatch.setenv("KSHIFT_PLAYERS", "alice_a")
    look(house)
    runner = house.runner
    players = runner.select("key:lichess/player_games")
    assert all(one.succeeded for one in runner.run_all(runner.plan(players, None, players), lambda *_: None))
    assert [one.problems for one in house.make("key:lichess/dump_games", "2024-03")] == [[]]
    assert all(one.succeeded for one in house.carry_on())
    query = "SELECT id_game, val_source, arr_eval_cp, arr_clock_cs[1] FROM chess.games"
    assert house.query(query) == [(game_id(0), "player", [30, 20, 25, 210, 180], 18003)]
    assert house.query("SELECT count(*) FROM chess.rejected_games") == [(0,)]


def test_a_variant_that_nobody_knew_does_not_stop_the_others(house: Lakehouse, server: ReplayServer) -> None:
    server.world.add(game(0, MARCH, variant="cannons", perf="cannons", status="checkmateByCannon"))
    server.world.add(game(1, MARCH))
    server.world.tv["best"] = [game_id(0), game_id(1)]
    assert look(house) == {"lichess/tv_games 2024-03": 2}
    house.carry_on()
    assert house.query("SELECT id_game FROM chess.games") == [(game_id(1),)]
    [(rejected, reasons)] = house.query("SELECT id_game, val_reasons FROM chess.rejected_games")
    assert rejected == game_id(0)
    assert "cannons" in reasons


def test_a_month_asks_for_its_own_games_only_those_given_up_included(house: Lakehouse, server: ReplayServer) -> None:
    april = MARCH + 31 * DAY
    for number, created in enumerate([MARCH, MARCH, april]):
        server.world.add(running(number, created))
    server.world.tv["classical"] = [game_id(0), game_id(1), game_id(2)]
    look(house)
    frame = house.lake.scan("lichess.tv_running", RUNNING_SCHEMA).collect()
    given_up = frame.with_columns(val_state=pl.lit("given up"))
    house.lake.overwrite("lichess.tv_running", lambda: [given_up], RUNNING_SCHEMA)
    server.world.add(game(0, MARCH))
    assert look(house, "2024-03") == {"lichess/tv_games 2024-03": 1}
    assert by_id(server) == [[game_id(0), game_id(1)]]
    assert unfinished(house) == {game_id(1): "running", game_id(2): "given up"}


def test_a_kill_between_the_two_commits_loses_and_doubles_nothing(
    house: Lakehouse, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.world.add(running(0))
    server.world.tv["blitz"] = [game_id(0)]
    look(house)
    server.world.add(game(0, MARCH))
    server.world.tv.clear()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    api = lichess(server.url, house.folder / "state")
    with monkeypatch.context() as patch:
        patch.setattr(TvStore, "_keep", die)
        with pytest.raises(KeyboardInterrupt):
            watch_tv(house.lake, api)
    assert (stored(house), unfinished(house)) == ([], {game_id(0): "running"}), "killed before the first commit"
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "overwrite", die)
        with pytest.raises(KeyboardInterrupt):
            watch_tv(house.lake, api)
    assert (stored(house), unfinished(house)) == ([game_id(0)], {game_id(0): "running"}), "killed between the two"
    assert look(house) == {"lichess/tv_games 2024-03": 1}, "the month that nobody heard of is told"
    assert stored(house) == [game_id(0)]
    assert unfinished(house) == {}


def test_a_channel_that_cannot_be_read_fails_the_run_with_an_alert_and_the_others_are_stored(
    house: Lakehouse, server: ReplayServer, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        server.world.add(game(number, MARCH))
    server.world.tv = {"blitz": [game_id(0)], "horde": [game_id(1)]}
    page = f'{{"id": "{game_id(0)}"}}\n'.encode()

    def plan(_: int, question: Question) -> Fault | None:
        broken = Answer(200, (("Content-Type", "application/x-ndjson"),), [page])
        return Fault(change=lambda _: broken) if question.path == "/api/tv/blitz" else None

    server.stage.plan = plan
    runner = house.runner
    keys = runner.select(TV)
    [outcome] = runner.run_all(runner.plan(keys, None, keys), lambda *_: None)
    assert not outcome.succeeded
    assert stored(house) == [game_id(0), game_id(1)], "the list of channels names it, and it is fetched by id"
    told = [record.getMessage() for record in caplog.records if record.name == "kshift.alerts"]
    assert len(told) == 1
    assert "trouble: lichess/tv_games" in told[0]
    assert "rated: field required" in told[0]


class Watcher:
    """Looks at TV under a clock that is turned by hand."""

    def __init__(self, folder: Path, server: ReplayServer) -> None:
        self.lake, self.clock, self.server = Lake(uri=str(folder / "lake")), HandClock(), server
        self.api = lichess(server.url, folder / "state", clock=self.clock, limits=hasty())

    def look(self, minutes: float = 1) -> TvHarvest:
        self.clock.pass_time(60 * minutes)
        harvest = watch_tv(self.lake, self.api)
        assert harvest.problems == []
        return harvest


@pytest.fixture
def watcher(tmp_path: Path, server: ReplayServer) -> Watcher:
    return Watcher(tmp_path, server)


def test_many_games_are_asked_for_in_batches_of_300(watcher: Watcher, server: ReplayServer) -> None:
    for place in range(22):
        ids = range(30 * place, 30 * place + 30)
        for number in ids:
            server.world.add(running(number))
        server.world.tv[CHANNELS[place % 16]] = [game_id(number) for number in ids]
        if place in (15, 21):
            watcher.look()
    for number in range(660):
        server.world.add(game(number, MARCH))
    server.world.tv.clear()
    assert watcher.look().n_new == 660
    assert [len(ids) for ids in by_id(server)[-3:]] == [300, 300, 60]
    assert watcher.look().n_new == 0


def test_a_game_that_ends_days_later_is_stored_and_asked_for_ever_more_rarely(
    watcher: Watcher, server: ReplayServer
) -> None:
    server.world.add(running(0))
    server.world.tv["classical"] = [game_id(0)]
    watcher.look()
    server.world.tv.clear()
    for _ in range(5 * 24):
        assert watcher.look(60).n_new == 0
    assert 10 <= len(by_id(server)) <= 20, "doubling from a minute to a day, then daily"
    server.world.add(game(0, MARCH))
    assert watcher.look(24 * 60).n_new == 1
    assert watcher.look(24 * 60).n_running == 0


def test_a_game_that_vanishes_is_given_up_after_14_days_and_said_so(watcher: Watcher, server: ReplayServer) -> None:
    server.world.add(running(0))
    server.world.tv["blitz"] = [game_id(0)]
    watcher.look()
    server.world.tv.clear()
    server.world.games.clear()
    given_up = [watcher.look(24 * 60).given_up for _ in range(20)]
    assert given_up == [[]] * 14 + [[game_id(0)]] + [[]] * 5
    n_asked = len(by_id(server))
    watcher.look(24 * 60)
    assert len(by_id(server)) == n_asked
    server.world.add(running(0))
    server.world.tv["blitz"] = [game_id(0)]
    watcher.look()
    server.world.add(game(0, MARCH))
    server.world.tv.clear()
    assert watcher.look().n_new == 1


def test_a_game_that_a_channel_shows_without_listing_it_is_fetched_by_id(
    watcher: Watcher, server: ReplayServer
) -> None:
    server.world.add(running(0))
    server.world.tv["blitz"] = [game_id(0)]

    def plan(_: int, question: Question) -> Fault | None:
        empty = Answer(200, (("Content-Type", "application/x-ndjson"),), [])
        return Fault(change=lambda _: empty) if question.path == "/api/tv/blitz" else None

    server.stage.plan = plan
    watcher.look()
    assert by_id(server) == [[game_id(0)]]
    assert watcher.look().n_running == 1


LOOKING = """
import sys
from pathlib import Path
from kshift_assets.chess.tv_watch import watch_tv
from resources.lake import Lake
from worlds import lichess
folder, url = Path(sys.argv[1]), sys.argv[2]
for _ in range(2):
    assert watch_tv(Lake(uri=str(folder / "lake")), lichess(url, folder / "state")).problems == []
"""


def test_two_processes_that_look_at_once_store_every_game_once(tmp_path: Path, server: ReplayServer) -> None:
    for number in range(80):
        server.world.add(game(number, MARCH))
        server.world.tv.setdefault(CHANNELS[number % 16], []).append(game_id(number))
    command = [sys.executable, "-c", LOOKING, str(tmp_path), server.url]
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": os.environ["PATH"]}
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(timeout=200) for process in both] == [0, 0]
    ids = Lake(uri=str(tmp_path / "lake")).scan("lichess.tv_games", TV_SCHEMA).collect()["id_game"]
    assert sorted(ids) == sorted(game_id(number) for number in range(80))
    assert server.ledger.together == []


def test_the_sensor_is_off_until_somebody_turns_it_on_and_looks_do_not_pile_up(lakehouse: Lakehouse) -> None:
    definitions = lakehouse.definitions
    assert watch_tv_every_minute.default_status == dg.DefaultSensorStatus.STOPPED
    assert watch_tv_every_minute.minimum_interval_seconds == 60
    context = dg.build_sensor_context(instance=lakehouse.instance, repository_def=definitions.get_repository_def())
    asked = watch_tv_every_minute.evaluate_tick(context)
    assert len(asked.run_requests) == 1
    create_run_for_test(lakehouse.instance, job_name=TV_JOB.name, status=dg.DagsterRunStatus.STARTED)
    asked = watch_tv_every_minute.evaluate_tick(context)
    assert asked.run_requests == []
    assert asked.skip_message == "the last look at TV is not over"


@pytest.fixture(autouse=True)
def _hear_alerts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kshift.alerts")
