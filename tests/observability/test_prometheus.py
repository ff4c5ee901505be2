"""The real Prometheus, from Debian, against the real exporter: every panel has an answer, and a killed run an alert."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from drills.web import environment, free_port

from commands import KSHIFT, Processes
from lakehouse import pgn
from serving.replay import Manners, ReplayServer
from worlds import world

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
EVERY, LIMIT = "5s", 180.0
"""So often Prometheus asks here, and so many seconds it may take until something shows, on a busy machine."""

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="Prometheus is not here: apt-get install prometheus",
    ),
    pytest.mark.timeout(1_200),  # all analytics are made once, by a process of their own
]


def promtool(*arguments: str) -> None:
    found = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_promtool_finds_nothing_wrong_with_configuration_and_rules() -> None:
    promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(PROMETHEUS / "knightshift.rules.yml"))


def test_the_rules_pass_their_unit_tests() -> None:
    promtool("test", "rules", str(Path(__file__).with_name("rules.test.yml")))


@dataclass
class Scene:
    """A lakehouse, a source, the exporter and Prometheus, each a process of its own but for the source."""

    home: Path
    server: ReplayServer
    url: str
    processes: Processes

    @property
    def settings(self) -> dict[str, str]:
        return environment(
            {
                "KSHIFT_HOME": str(self.home),
                "KSHIFT_LICHESS_URL": self.server.url,
                "KSHIFT_DUMP_DIR": str(self.home.parent / "dumps"),
                "KSHIFT_PLAYERS": "alice_a",
                "KSHIFT_PROFILE_BUDGET": "0",
                "KSHIFT_PAGE_GAMES": "5",
            }
        )

    def kshift(self, *arguments: str) -> int:
        """Run a command to its end; gives its exit code."""
        process = self.start(*arguments)
        printed, _ = process.communicate(timeout=600)
        print(printed)  # noqa: T201  # pytest shows it where the test fails
        return process.returncode

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return self.processes.begin([*KSHIFT, *arguments], self.settings, self.home.parent)

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """What Prometheus answers: series, each with its labels and value."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expr}, trust_env=False, timeout=30).json()
        assert answer["status"] == "success", f"{expr}: {answer}"
        return list(answer["data"]["result"])

    def firing(self) -> set[str]:
        return {one["metric"]["alertname"] for one in self.ask('ALERTS{alertstate="firing"}')}


def until(what: str, ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.5)
    return pytest.fail(f"waited {LIMIT} s in vain for {what}")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("observed")
    dumps = folder / "dumps"
    dumps.mkdir()
    games = [pgn("aaaaaaa1"), pgn("aaaaaaa2").replace("aaaaaaa2", "a")]  # the second is damaged
    (dumps / "lichess_db_standard_rated_2024-01.pgn").write_text("".join(games))
    processes = Processes()
    with ReplayServer(world(20)) as server:
        scene = Scene(folder / "home", server, f"http://127.0.0.1:{free_port()}", processes)
        try:
            assert scene.kshift("run", "lichess/dump_games", "--partition", "2024-01") == 0
            assert scene.kshift("run", "lichess/dump_games", "--partition", "2024-02") == 1  # there is no such file
            assert scene.kshift("ingest") == 0
            exporter = free_port()
            scene.start("metrics", "--port", str(exporter))
            _start_prometheus(scene, folder, exporter)
            until("the first scrape", lambda: scene.ask('kshift_scrape_ok{part="checks"} == 1'))
            yield scene
        finally:
            processes.end()


def _start_prometheus(scene: Scene, folder: Path, exporter: int) -> None:
    """With the real configuration and rules, but for addresses and for how long things take."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{exporter}"]
    rules = yaml.safe_load((PROMETHEUS / "knightshift.rules.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
        rule["for"] = "2s"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / config["rule_files"][0]).write_text(yaml.safe_dump(rules))
    port = scene.url.rpartition(":")[2]
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
    scene.processes.processes.append(process)

    def is_up() -> bool:
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        try:
            return httpx.get(f"{scene.url}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False

    until("Prometheus", is_up)


def queries() -> list[tuple[str, str]]:
    """Dashboard and panel → what it asks, with Grafana's own variables filled in as for an hour."""
    return [
        (f"{file.stem}: {panel['title']}", target["expr"].replace("$__range", "1h"))
        for file in DASHBOARDS
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    ]


def test_every_panel_has_an_answer(scene: Scene) -> None:
    left = queries()
    assert len(left) > 40

    def is_over() -> bool:
        left[:] = [(panel, expr) for panel, expr in left if not scene.ask(expr)]
        return not left

    try:
        until("answers", is_over)
    finally:
        assert left == []


def test_what_failed_fires_and_nothing_else(scene: Scene) -> None:
    expected = {"KnightShiftRunFailed", "KnightShiftCheckWarns"}
    until("the alerts", lambda: scene.firing() >= expected)
    assert scene.firing() == expected
    [failed] = scene.ask('ALERTS{alertname="KnightShiftRunFailed",alertstate="firing"}')
    assert failed["metric"]["step"] == "lichess/dump_games"
    assert failed["metric"]["kind"] == "run"


def test_killing_a_run_fires_the_right_alert_which_ends_when_the_same_is_run_again(scene: Scene) -> None:
    before = len(scene.server.ledger.asked)
    scene.server.stage.manners = Manners(games_per_second=0.2)
    process = scene.start("run", "lichess/player_games")
    until("its first request", lambda: len(scene.server.ledger.asked) > before)
    until("the run", lambda: scene.ask('kshift_unfinished_runs{status="started"} == 1'))
    assert scene.ask("kshift_killed_runs == 0"), "it lives"
    assert "KnightShiftRunKilled" not in scene.firing()

    process.kill()
    process.communicate()
    until("the alert", lambda: "KnightShiftRunKilled" in scene.firing())
    [alert] = [
        one
        for one in httpx.get(f"{scene.url}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
        if one["labels"]["alertname"] == "KnightShiftRunKilled"
    ]
    assert alert["labels"]["kind"] == "run"
    assert alert["annotations"]["summary"].startswith("1 runs are not over")

    scene.server.stage.manners = Manners()
    assert scene.kshift("run", "lichess/player_games") == 0
    until("the end of the alert", lambda: "KnightShiftRunKilled" not in scene.firing())
    until("the count", lambda: scene.ask('kshift_runs_finished_total{status="failure"} == 2'))
    assert not scene.ask('kshift_failing_steps{step="lichess/player_games"} > 0'), "it succeeded since"


def test_an_exporter_that_died_is_noticed(scene: Scene) -> None:
    [exporter] = [one for one in scene.processes.processes if "metrics" in one.args and one.poll() is None]
    exporter.kill()
    exporter.communicate()
    until("the alert", lambda: "KnightShiftMetricsDown" in scene.firing())
