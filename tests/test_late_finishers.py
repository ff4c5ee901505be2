"""Games that finish long after they were seen: found once each, whatever the look-back, a kill or a short answer."""

import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from clocks import HandClock

from kshift_assets.chess import pending
from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.ingestion import pull_month, pull_players, wall_time
from kshift_assets.chess.late_finishers import Late, note_unfinished_of_dump, pull_pending
from kshift_assets.chess.pending import Unfinished
from kshift_assets.chess.source_schemas import PendingGames
from kshift_assets.chess.tables import PLAYER_GAMES
from lakehouse import Lakehouse, pgn
from resources.lake import Lake
from serving.replay import ReplayServer
from serving.replay_api import Question, error
from serving.replay_wire import Fault, lines
from worlds import DAY, MARCH, MINUTE, game, game_id, hasty, lichess, world

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
BY_ID = "/api/games/export/_ids"
HOUR = 60 * MINUTE


@dataclass
class Clockwork:
    """A lake, a server and a clock: days pass, and each ingest does what `kshift ingest` does."""

    folder: Path
    server: ReplayServer
    clock: HandClock
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lake = Lake(uri=str(self.folder / "lake"))
        self.api = lichess(self.server.url, self.folder / "state", clock=self.clock, limits=hasty(read_seconds=1.0))
        self.server.stage.plan = self._by_id_only

    def _by_id_only(self, _: int, question: Question) -> Fault | None:
        return self.faults.pop(0) if self.faults and question.path == BY_ID else None

    @property
    def now_ms(self) -> int:
        return int(self.clock.wall_now * 1000)

    def ingest(self, *users: str, most: int = 3_000, page_games: int = 300, days: int = 14) -> Late:
        pull_players(self.lake, self.api, users or ["alice_a"], page_games, timedelta(days=days))
        return self.settle(most)

    def settle(self, most: int = 3_000) -> Late:
        return pull_pending(self.lake, self.api, wall_time(self.api), most)

    def pass_days(self, days: float) -> None:
        self.clock.pass_time(days * 86_400)

    def finish(self, number: int) -> None:
        self.server.world.games[game_id(number)] |= {"status": "mate", "winner": "black"}

    def start(self, number: int, created: int | None = None, **more: Any) -> None:
        self.server.world.add(game(number, created or self.now_ms, status="started", **more))

    def versions(self, number: int) -> list[str]:
        """Status of each stored document of a game."""
        rows = self.lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA).filter(id_game=game_id(number)).collect()
        return [orjson.loads(text)["status"] for text in rows["val_document"]]

    def states(self) -> dict[str, str]:
        rows = pending.pending(self.lake)
        PendingGames.validate(rows)
        return dict(rows.select("id_game", "val_state").iter_rows())

    def asked(self) -> Counter[str]:
        """Requests since the last look, by path."""
        found = Counter(one.question.path for one in self.server.ledger.asked)
        self.server.ledger.asked.clear()
        return found


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Clockwork]:
    """A world in which alice played ten games in the ten days up to now."""
    clock = HandClock()
    made = world(10, start=int(clock.wall_now * 1000) - 10 * DAY, step=DAY)
    with ReplayServer(made) as server:
        yield Clockwork(tmp_path, server, clock)


@pytest.mark.parametrize("lasts", [1 / 24, 0.5, 3, 13, 15, 40, 100, 200], ids=lambda days: f"{days:.2f} days")
def test_a_game_that_lasts_from_an_hour_to_200_days_is_stored_once(works: Clockwork, lasts: float) -> None:
    works.start(500)
    works.pass_days(0.01)
    works.server.world.add(game(501, works.now_ms))  # the cursor passes the running game
    works.ingest()
    for number in range(601, 607):
        works.pass_days(lasts / 7)
        works.server.world.add(game(number, works.now_ms))
        works.ingest()
        assert works.versions(500) == []
    works.pass_days(lasts / 7)
    works.finish(500)
    works.ingest()
    works.pass_days(7)  # by then somebody has asked
    works.ingest()
    works.ingest()
    assert works.versions(500) == ["mate"]
    assert works.states() == {}


def test_without_asking_by_id_such_a_game_would_be_lost(works: Clockwork) -> None:
    """The guard removed: if this finds the game, the test above proves nothing."""
    works.start(500)
    works.ingest()
    for number in range(601, 605):
        works.pass_days(5)
        works.server.world.add(game(number, works.now_ms))
        works.ingest()
    works.finish(500)
    works.pass_days(8)
    pull_players(works.lake, works.api, ["alice_a"])
    assert works.versions(500) == []
    works.settle()
    assert works.versions(500) == ["mate"]


def test_a_running_game_costs_no_request_before_it_is_due(works: Clockwork) -> None:
    works.start(500)
    works.ingest()
    works.asked()
    works.ingest()
    works.ingest()
    assert works.asked() == {"/api/games/user/alice_a": 4}  # what is new, and the look-back, each time


def test_a_game_that_the_export_brings_first_is_not_asked_for_by_id(works: Clockwork) -> None:
    works.start(500)
    works.ingest()
    works.pass_days(2)
    works.finish(500)
    works.asked()
    works.ingest()
    assert BY_ID not in works.asked()
    assert works.versions(500) == ["mate"]
    assert works.states() == {}


def test_the_cursor_rests_on_a_finished_game(works: Clockwork) -> None:
    last = works.now_ms - DAY
    for number in range(500, 510):
        works.start(number, works.now_ms - 10_000 + number)
    works.ingest(page_games=3)
    assert works.lake.cursor(PLAYER_GAMES.full_name, "lichess.player_games/alice_a") == last
    assert len(works.states()) == 10
    for number in range(500, 510):
        del works.server.world.games[game_id(number)]  # aborted: Lichess forgets such games
    works.asked()
    works.ingest()
    assert works.asked() == {"/api/games/user/alice_a": 2}


def test_unfinished_games_of_a_backfilled_month_are_kept_too(works: Clockwork) -> None:
    works.start(700, MARCH + DAY)
    pull_month(works.lake, works.api, ["alice_a"], "2024-03")
    assert works.states() == {game_id(700): "waiting"}
    works.finish(700)
    works.pass_days(7)
    assert works.settle().months == {"2024-03": 1}


def test_more_games_than_fit_a_request_are_asked_for_in_batches_within_the_budget(works: Clockwork) -> None:
    now = wall_time(works.api)
    seen = []
    for number in range(1000, 1700):
        works.start(number, MARCH + number)
        works.finish(number)
        seen.append(Unfinished(game_id(number), "alice_a", datetime(2024, 3, 1, tzinfo=UTC)))
    assert pending.note(works.lake, seen, now, first_due=now) == 700
    assert pending.note(works.lake, seen, now) == 0
    assert (works.settle(most=0).n_asked, works.asked()) == (0, {})
    late = works.settle(most=500)
    assert (late.n_asked, late.n_requests, late.months.total()) == (500, 2, 500)
    assert [len(one.question.body.split(b",")) for one in works.server.ledger.asked] == [300, 200]
    assert works.settle().months.total() == 200
    assert works.states() == {}


def test_an_answer_that_ends_early_is_asked_for_again(works: Clockwork) -> None:
    for number in range(500, 520):
        works.start(number)
    works.ingest()
    for number in range(500, 520):
        works.finish(number)
    works.pass_days(30)
    works.faults = [Fault(change=lines(lambda found: found[:7])), Fault(change=lines(lambda found: found[:1]))]
    late = works.settle()
    assert (late.months.total(), late.n_requests) == (20, 3)


def test_a_game_that_lichess_lacks_three_times_in_a_row_is_given_up_and_stays_visible(works: Clockwork) -> None:
    works.start(500)
    works.start(501)
    works.ingest()
    gone = works.server.world.games.pop(game_id(500))
    seen = []
    for attempt in range(5):
        works.pass_days(8)
        works.settle()
        seen.append(works.states()[game_id(500)])
        if attempt == 0:
            works.server.world.games[game_id(500)] = gone  # it was a short answer only
        if attempt == 1:
            del works.server.world.games[game_id(500)]
    assert seen == ["missing", "waiting", "missing", "missing", "gone"]
    assert works.states()[game_id(501)] == "waiting"
    works.asked()
    works.pass_days(60)
    works.settle()
    (request,) = works.server.ledger.asked
    assert request.question.body == game_id(501).encode()


def test_a_source_that_fails_leaves_the_games_due(works: Clockwork) -> None:
    works.start(500)
    works.ingest()
    works.finish(500)
    works.pass_days(20)
    works.faults = [Fault(change=lambda _: error(503, "busy"))] * 3
    assert "503" in str(works.settle().problem)
    assert works.states() == {game_id(500): "waiting"}
    works.clock.pass_time(600)
    assert works.settle().months.total() == 1


NOTING = """
    import sys
    from datetime import UTC, datetime
    from kshift_assets.chess import pending
    from resources.lake import Lake
    from worlds import game_id

    for number in range(int(sys.argv[2]), int(sys.argv[2]) + 5):
        seen = [pending.Unfinished(game_id(number), "alice_a", datetime.now(UTC))]
        assert pending.note(Lake(uri=sys.argv[1]), seen, datetime.now(UTC)) == 1
"""


def test_processes_that_note_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(NOTING), str(tmp_path)]
    noting = [subprocess.Popen([*command, str(first)], env=ENVIRONMENT) for first in (0, 5, 10)]
    assert [process.wait(120) for process in noting] == [0, 0, 0]
    noted = pending.pending(Lake(uri=str(tmp_path)))["id_game"].to_list()
    assert sorted(noted) == [game_id(number) for number in range(15)]


KILLED = """
    import os, signal, sys
    from datetime import UTC, datetime, timedelta
    from pathlib import Path
    from kshift_assets.chess import {module} as module
    from kshift_assets.chess.ingestion import pull_players
    from kshift_assets.chess.late_finishers import pull_pending
    from resources.lake import Lake
    from worlds import lichess

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    module.{victim} = die
    url, folder = sys.argv[1:]
    lake, api = Lake(uri=folder + "/lake"), lichess(url, Path(folder) / "state")
    pull_players(lake, api, ["alice_a"])
    pull_pending(lake, api, datetime.now(UTC) + timedelta(days=40))
"""


def killed_at(module: str, victim: str, works: Clockwork) -> None:
    """A process of its own ingests, and dies by SIGKILL as soon as it calls the function."""
    text = textwrap.dedent(KILLED).format(module=module, victim=victim)
    done = subprocess.run(
        [sys.executable, "-c", text, works.server.url, str(works.folder)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_kill_before_the_cursor_moves_finds_the_running_game_kept(works: Clockwork) -> None:
    works.start(500)
    killed_at("game_store", "GameStore.add", works)
    assert works.lake.cursor(PLAYER_GAMES.full_name, "lichess.player_games/alice_a") is None
    assert works.states() == {game_id(500): "waiting"}


no_lines = lines(lambda _: [])


def test_a_kill_after_the_late_finisher_is_stored_neither_doubles_it_nor_asks_again(works: Clockwork) -> None:
    works.start(500)
    works.start(501)
    works.ingest()
    works.finish(500)
    works.server.stage.plan = lambda _, question: Fault(change=no_lines) if question.path != BY_ID else None
    killed_at("pending", "_asked_again", works)  # the rewrite of the table, after the documents are stored
    assert works.versions(500) == ["mate"]
    assert works.states() == {game_id(500): "waiting", game_id(501): "waiting"}
    works.pass_days(40)
    works.asked()
    works.settle()
    (request,) = works.server.ledger.asked
    assert request.question.body == game_id(501).encode()
    assert works.versions(500) == ["mate"]
    assert works.states() == {game_id(501): "waiting"}


@pytest.mark.parametrize(
    ("users", "kept"),
    [(["amber"], {"aaaaaaa2": "amber"}), ([], {}), (None, {"aaaaaaa2": "amber", "aaaaaaa3": "clove"})],
    ids=["a tracked player's", "nobody's", "all"],
)
def test_games_that_a_dump_leaves_unfinished_are_kept(
    lakehouse: Lakehouse, users: list[str] | None, kept: dict[str, str]
) -> None:
    lakehouse.write_dump(
        "2024-01",
        pgn("aaaaaaa1"),
        pgn("aaaaaaa2", result="*"),
        pgn("aaaaaaa3", result="*", white="Clove"),
        pgn("aaaaaaa4", result="*", white="?", black="?"),
    )
    lakehouse.make("lichess/dump_games", "2024-01")
    now = datetime.now(UTC)
    note_unfinished_of_dump(lakehouse.lake, "2024-01", now, users)
    rows = pending.due(lakehouse.lake, now, 100)
    assert dict(rows.select("id_game", "id_user").iter_rows()) == kept
    assert set(rows["tm_created"]) <= {datetime(2024, 1, 5, 12, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("setting", "kept"),
    [(None, ["aaaaaaa2"]), ("none", []), ("tracked", ["aaaaaaa2"]), ("all", ["aaaaaaa2", "aaaaaaa3"])],
)
def test_the_setting_says_whose_games_of_a_dump_are_kept(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, setting: str | None, kept: list[str]
) -> None:
    monkeypatch.setenv("KSHIFT_PLAYERS", "basil")
    if setting:
        monkeypatch.setenv("KSHIFT_DUMP_PENDING", setting)
    lakehouse.write_dump(
        "2024-01", pgn("aaaaaaa2", result="*"), pgn("aaaaaaa3", result="*", white="Clove", black="Dill")
    )
    lakehouse.make("lichess/dump_games", "2024-01")
    assert pending.pending(lakehouse.lake)["id_game"].sort().to_list() == kept
