"""The files for Prometheus and Grafana: they ask for numbers that exist, and name the incidents that the docs name."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from lakehouse import Lakehouse
from resources.alerts import Kind
from scraping import exporter, text_of
from serving.home import prepare

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = DEPLOY / "prometheus" / "knightshift.rules.yml"


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels(file: Path) -> list[dict[str, Any]]:
    return list(json.loads(file.read_text())["panels"])


def test_every_number_that_is_asked_for_exists(lakehouse: Lakehouse) -> None:
    prepare(lakehouse.settings)
    text = text_of(exporter(lakehouse.settings))
    there = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    there |= {f"{name}_{end}" for name in set(there) for end in ("bucket", "sum", "count")}
    asked = [rule["expr"] for rule in rules()]
    asked += [target["expr"] for file in DASHBOARDS for panel in panels(file) for target in panel["targets"]]
    named = {name for expr in asked for name in re.findall(r"\bkshift_\w+", expr)}
    assert len(named) > 30
    assert named <= there
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in named}
    told = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert told - shown <= {"kshift_build_info"}, "a number that nobody looks at"


def test_alerts_name_the_incidents_that_the_docs_name() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("| alert | cause | remedy |")[2].partition("\n\n")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert documented == set(get_args(Kind)) - {"test"}
    assert {rule["labels"]["kind"] for rule in rules() if "kind" in rule["labels"]} == documented


def test_every_alert_says_how_bad_it_is_what_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["alert"].startswith("KnightShift")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "remedy"}, rule["alert"]


def test_every_alert_has_a_unit_test() -> None:
    tested = (ROOT / "tests" / "observability" / "rules.test.yml").read_text()
    assert {rule["alert"] for rule in rules() if rule["alert"] not in tested} == set()


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_whole(file: Path) -> None:
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]
    board = json.loads(file.read_text())
    assert board["uid"] == f"kshift-{file.stem}"
    assert board["title"]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["description"].endswith((".", "?")), f"{panel['title']} says what it answers"
        assert panel["type"] in {"stat", "timeseries", "table", "heatmap"}
        assert panel["targets"], panel["title"]
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": source["type"], "uid": source["uid"]}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_provisioned_folder_is_where_the_compose_file_mounts_the_dashboards() -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/knightshift.yaml").read_text())
    path = provider["providers"][0]["options"]["path"]
    grafana = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]
    assert f"./grafana/dashboards:{path}:ro" in grafana["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in grafana["volumes"]


def test_prometheus_asks_the_exporter_that_the_compose_file_starts() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    [target] = config["scrape_configs"][0]["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    command = services[host]["command"]
    assert command[:2] == ["kshift", "metrics"]
    assert command[command.index("--port") + 1] == port
    assert (DEPLOY / "prometheus" / config["rule_files"][0]).exists()
    assert "./prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
    url = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]
    assert url["url"] == "http://prometheus:9090"
