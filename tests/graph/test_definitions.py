"""The graph as a whole: every asset says what it is, names keep their convention, imports point down only."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from kshift_assets.chess.marts import MARTS
from kshift_assets.definitions import build, find_plugins
from kshift_assets.partitions import MONTHS
from kshift_assets.tables import descriptions, polars_schema
from lakehouse import Lakehouse
from resources.settings import load_settings

ROOT = Path(__file__).parents[2]
COLUMN = re.compile(r"(id|tm|dt|n|ind|val|arr)_[a-z0-9_]+")


@pytest.fixture
def graph(whole_lakehouse: Lakehouse) -> AssetGraph:
    return whole_lakehouse.definitions.resolve_asset_graph()


def test_imports_point_down_only() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def test_every_asset_says_what_it_is(graph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        name = key.to_user_string()
        assert node.description, name
        assert node.owners, name
        assert node.kinds, name
        assert node.tags.get("layer"), name
        assert node.group_name != "default", name
        assert "dagster/code_references" in node.metadata, name
        if name not in {"published/snapshot", "ops/maintenance", "ops/retention"}:  # no tables
            columns = node.metadata["dagster/column_schema"].value.columns
            assert columns, name
            assert all(column.description for column in columns), name


def test_last_parts_of_keys_are_unique_since_the_ui_shows_only_these(graph) -> None:
    names = [key.path[-1] for key in graph.get_all_asset_keys()]
    assert len(names) == len(set(names))


def test_code_references_lead_to_lines_that_exist(graph) -> None:
    for key in graph.get_all_asset_keys():
        for reference in graph.get(key).metadata["dagster/code_references"].code_references:
            lines = Path(reference.file_path).read_text().splitlines()
            assert 1 <= reference.line_number <= len(lines)


def test_the_code_reference_of_a_mart_leads_to_its_own_file(graph) -> None:
    for mart in MARTS:
        if graph.has(mart.table.key):
            (reference,) = graph.get(mart.table.key).metadata["dagster/code_references"].code_references
            assert Path(reference.file_path).name == f"{mart.name}.py"


def test_a_plugin_cannot_bear_the_name_of_a_mart(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    monkeypatch.setattr("kshift_assets.definitions.discover", lambda _, taken: seen.update(taken))
    find_plugins()
    assert seen > {"player_summary", "opening_results", "games", "snapshot"}


def test_columns_keep_the_convention(lakehouse: Lakehouse) -> None:
    for table in lakehouse.tables():
        for column, text in descriptions(table.model).items():
            assert COLUMN.fullmatch(column), f"{table.full_name}.{column}"
            assert text, f"{table.full_name}.{column} has no description"
        for column, dtype in polars_schema(table.model).items():
            prefix = column.partition("_")[0]
            expected = {"tm": "Datetime", "ind": "Boolean", "arr": "List"}.get(prefix)
            assert expected is None or str(dtype).startswith(expected), f"{table.full_name}.{column} is {dtype}"


def test_marts_and_published_promise_freshness(graph) -> None:
    promised = {key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).freshness_policy}
    marts = {key.to_user_string() for key in graph.materializable_asset_keys if key.path[0] == "marts"}
    assert promised == {*marts, "published/snapshot"}
    assert marts > {"marts/player_summary", "marts/opening_results", "marts/head_to_head"}


def test_a_graph_without_analytics_has_the_marts_that_need_none(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = []
    keys = lakehouse.definitions.resolve_asset_graph().materializable_asset_keys
    assert {key.path[-1] for key in keys if key.path[0] == "marts"} == {
        *("player_summary", "head_to_head", "opponent_network", "opponent_nodes", "opponent_distances"),
    }


def test_every_check_of_a_monthly_asset_is_monthly(graph) -> None:
    for key in graph.materializable_asset_keys:
        for check in graph.get(key).check_keys:
            assert graph.get(check).partitions_def == graph.get(key).partitions_def, check


def test_months_begin_with_the_first_dump_and_hold_the_running_one() -> None:
    keys = MONTHS.get_partition_keys()
    assert keys[0] == "2013-01"
    assert len(keys) >= 12 * 13


def test_workspace_and_pyproject_name_the_same_module() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert workspace["load_from"] == [{"python_module": project["dagster"]["module_name"]}]
    assert project["dg"]["project"]["code_location_target_module"] == project["dagster"]["module_name"]


def test_dagster_loads_the_workspace(tmp_path: Path) -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("dagster"), "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "DAGSTER_HOME": str(tmp_path), "KSHIFT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_the_token_is_nowhere_in_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHIFT_LICHESS_TOKEN", "lip_" + "secret" * 4)
    definitions = build(load_settings())
    assert "secretsecret" not in repr(definitions.resources)
    assert "secretsecret" not in repr(definitions.resources["lichess"])


def test_no_module_postpones_annotations() -> None:
    """Dagster cannot read the context's annotation then."""
    for package in ("kshift_assets", "plugins", "resources", "sensors", "serving"):
        for file in (ROOT / package).rglob("*.py"):
            assert "from __future__ import annotations" not in file.read_text(), file


def test_analytics_of_evaluations_follow_the_engine_and_the_others_do_not(graph: AssetGraph) -> None:
    engine = dg.AssetKey(["analytics", "engine_eval"])
    followers = {key.path[-1] for key in graph.get(engine).child_keys if key.path[0] == "analytics"}
    assert followers >= {"accuracy", "acpl", "judgments", "largest_swing", "comeback"}
    assert followers.isdisjoint({"move_count", "time_usage", "opening"})


def test_an_optional_asset_runs_only_where_the_selection_names_it(whole_lakehouse: Lakehouse) -> None:
    names = lambda selection: {key.to_user_string() for key in whole_lakehouse.runner.select(selection)}  # noqa: E731
    assert "analytics/engine_eval" not in names("*")
    assert "analytics/engine_eval" not in names("key:chess/games+")
    assert names("analytics/engine_eval") == {"analytics/engine_eval"}
    assert "analytics/engine_eval" in names("key:analytics/engine_eval+")
