"""An answer that is not what we rely on: the other players go on, and an operator hears of it, once a run."""

import logging
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from serving.replay import ReplayServer
from serving.replay_api import Answer, Question
from serving.replay_wire import Fault
from worlds import world

PLAYERS = ("alice_a", "bruno", "carla-c", "dora")


def broken(question: Question) -> bool:
    return question.path.endswith(("/bruno", "/dora"))


def without_rated(answer: Answer) -> Answer:
    return Answer(200, answer.headers, [line.replace(b'"rated"', b'"ranked"') for line in answer.pieces])


def test_one_alert_a_run_names_field_and_player_and_the_others_go_on(
    lakehouse: Lakehouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "kshift.alerts")
    made = world(5, players=PLAYERS)
    with ReplayServer(made, lambda _, asked: Fault(change=without_rated) if broken(asked) else None) as server:
        monkeypatch.setenv("KSHIFT_LICHESS_URL", server.url)
        monkeypatch.setenv("KSHIFT_PLAYERS", ",".join(PLAYERS))
        runner = lakehouse.runner
        keys = runner.select("key:lichess/player_games")
        [outcome] = runner.run_all(runner.plan(keys, None, keys), lambda *_: None)
    assert not outcome.succeeded
    told = [record.getMessage() for record in caplog.records if record.name == "kshift.alerts"]
    assert len(told) == 1
    assert told[0].startswith("trouble: lichess/player_games: the games of 2 players cannot be read, first bruno: ")
    assert "rated: field required" in told[0]
    assert lakehouse.lake.n_rows("lichess.player_games") == 10
    assert list(Path(lakehouse.settings.state, "quarantine").rglob("*")), "the answer is kept"


def test_there_is_no_alert_where_all_is_well(
    lakehouse: Lakehouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "kshift.alerts")
    with ReplayServer(world(5)) as server:
        monkeypatch.setenv("KSHIFT_LICHESS_URL", server.url)
        monkeypatch.setenv("KSHIFT_PLAYERS", "alice_a,nobody-here")
        runner = lakehouse.runner
        keys = runner.select("key:lichess/player_games")
        [outcome] = runner.run_all(runner.plan(keys, None, keys), lambda *_: None)
    assert outcome.succeeded, outcome.problems
    assert [record for record in caplog.records if record.name == "kshift.alerts"] == []
