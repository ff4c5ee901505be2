"""The schedules: off on a laptop, on in deploy/, and what the nightly one tries again."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import typer
import yaml

from kshift_assets.catching_up import behind, monthly_keys
from kshift_assets.chess.tables import GAMES, REJECTED_GAMES
from lakehouse import Lakehouse, pgn
from serving.cli import app

DEPLOY = Path(__file__).parents[2] / "deploy"
SCHEDULES = {
    "ingest_player_games_hourly": "7 * * * *",
    "catch_up_analytics_nightly": "41 1 * * *",
    "ask_about_players_daily": "37 3 * * *",
    "keep_the_lake_in_shape_weekly": "23 2 * * 0",
}
NIGHTLY = "catch_up_analytics_nightly"


def statuses(lakehouse: Lakehouse) -> set[dg.DefaultScheduleStatus]:
    repository = lakehouse.definitions.get_repository_def()
    assert {one.name: one.cron_schedule for one in repository.schedule_defs} == SCHEDULES
    return {one.default_status for one in repository.schedule_defs}


def test_schedules_are_off_until_the_setting_says_otherwise(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert statuses(lakehouse) == {dg.DefaultScheduleStatus.STOPPED}
    monkeypatch.setenv("KSHIFT_SCHEDULES", "on")
    assert statuses(lakehouse) == {dg.DefaultScheduleStatus.RUNNING}


def test_deploy_turns_them_on_where_the_graph_is_loaded() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("code", "daemon", "webserver"):
        assert services[name]["environment"]["KSHIFT_SCHEDULES"] == "on"
    values = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
    [deployment] = values["dagster-user-deployments"]["deployments"]
    assert {"name": "KSHIFT_SCHEDULES", "value": "on"} in deployment["env"]


def tick(lakehouse: Lakehouse) -> Any:
    """What the nightly schedule asks for now."""
    definitions = lakehouse.definitions
    repository = definitions.get_repository_def()
    context = dg.build_schedule_context(instance=lakehouse.instance, repository_def=repository)
    return definitions.resolve_schedule_def(NIGHTLY).evaluate_tick(context)


def test_what_is_behind_is_made_once_a_night_month_by_month(lakehouse_on_disk: Lakehouse) -> None:
    lakehouse = lakehouse_on_disk
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.write_dump("2024-02", pgn("aaaaaaa2", day="2024.02.05"))
    lakehouse.make("lichess/dump_games", "2024-01", "2024-02")
    lakehouse.make('group:"chess/cleaned" or group:"chess/analytics"', "2024-01")
    asked = tick(lakehouse)
    assert [request.partition_key for request in asked.run_requests] == ["2024-02"]
    [request] = asked.run_requests
    assert {GAMES.key, REJECTED_GAMES.key, dg.AssetKey(["analytics", "move_count"])} <= set(request.asset_selection)
    assert not [key for key in request.asset_selection if key.path[-1] in ("players", "positions", "dump_games")]

    job = lakehouse.definitions.resolve_job_def("catch_up_analytics")
    done = job.execute_in_process(
        instance=lakehouse.instance, partition_key="2024-02", asset_selection=list(request.asset_selection)
    )
    assert done.success
    assert tick(lakehouse).skip_message == "nothing is behind its sources, or it is under way"


def test_an_analytic_alone_is_made_alone_and_not_while_its_month_is_under_way(lakehouse_on_disk: Lakehouse) -> None:
    lakehouse = lakehouse_on_disk
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    lakehouse.make('group:"chess/cleaned" or key:"analytics/move_count"', "2024-01")
    graph = lakehouse.definitions.resolve_asset_graph()
    late = behind(lakehouse.instance, graph, monthly_keys(lakehouse.runner.assets))
    assert {key.path[-1] for key in late["2024-01"]} == {"largest_swing", "opening"}

    run = lakehouse.instance.create_run_for_job(lakehouse.runner._job, tags={"dagster/partition": "2024-01"})
    assert tick(lakehouse).skip_message
    lakehouse.instance.report_run_failed(run)
    assert len(tick(lakehouse).run_requests) == 1


def test_cron_calls_commands_that_exist_and_has_them_alert() -> None:
    commands = typer.main.get_command(app).commands
    lines = [line for line in (DEPLOY / "cron" / "knightshift").read_text().splitlines() if re.match(r"\d", line)]
    called = [line.partition(".lock kshift ")[2].partition(" >")[0].split() for line in lines]
    assert [words[0] for words in called] == ["ingest", "run"]
    for name, *arguments in called:
        flags = {flag for parameter in commands[name].params for flag in parameter.opts}
        assert {word for word in arguments if word.startswith("-")} == {"--alert"} <= flags
    assert all(re.match(r"(\S+ ){4}\S+  kshift  flock ", line) for line in lines)


def test_upkeep_from_cron_is_an_asset_that_can_be_run(lakehouse: Lakehouse) -> None:
    assert lakehouse.runner.select("ops/maintenance")
