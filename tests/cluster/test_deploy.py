"""The files of deploy/ are what their own schemas ask for, and name what exists: no engine runs here."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance
from dagster._config import process_config, resolve_to_config_type
from dagster_k8s import K8sRunLauncher

from resources.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def test_the_compose_file_keeps_the_compose_specification():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    found = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", ["home", "metrics"])
def test_what_is_applied_keeps_the_schema_of_kubernetes(name: str):
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", str(DEPLOY / "kubernetes" / f"{name}.yaml")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stdout + found.stderr


def test_dagster_takes_the_run_launchers_values():
    values = read("kubernetes/values.yaml")["runLauncher"]["config"]["k8sRunLauncher"]
    config = {
        "image_pull_policy": values.pop("imagePullPolicy"),
        "resources": values.pop("resources"),
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster/dagster_home",
    }

    found = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), config)

    assert not values
    assert found.success, found.errors


def test_every_setting_that_is_named_exists():
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for file in DEPLOY.rglob("*.*"):
        if file.suffix == ".yaml":
            assert set(re.findall(rf"{PREFIX}[A-Z_]+", file.read_text())) <= names, file


def test_every_command_of_the_compose_file_is_a_program_of_the_image():
    programs = {"dagster", "dagster-webserver", "dagster-daemon", "kshift"}
    built = {name: one["command"][0] for name, one in read("compose.yaml")["services"].items() if "build" in one}

    assert set(built.values()) <= programs
    assert set(built) == {"code", "webserver", "daemon", "home", "worker", "metrics"}
    assert all((Path(sys.executable).parent / program).exists() for program in programs)


def test_the_instance_file_differs_from_the_laptops_only_in_storage_and_number_of_runs(tmp_path: Path):
    ours, laptop = read("dagster.yaml"), yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert ours.pop("storage") == {"postgres": {"postgres_url": {"env": f"{PREFIX}DAGSTER_POSTGRES"}}}
    assert ours["concurrency"]["runs"].pop("max_concurrent_runs") > laptop["concurrency"]["runs"].pop(
        "max_concurrent_runs"
    )
    assert ours == laptop

    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(ours))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled


def test_the_graph_is_where_the_files_say():
    args = read("kubernetes/values.yaml")["dagster-user-deployments"]["deployments"][0]["dagsterApiGrpcArgs"]

    assert args == ["--module-name", "kshift_assets.definitions"]
    assert importlib.util.find_spec(args[1])
