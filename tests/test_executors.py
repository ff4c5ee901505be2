"""Where assets are made: each setting has its executor, and a run of several processes makes what one makes."""

import socket
import sys
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from kshift_assets.definitions import build
from kshift_assets.executors import executor_of, refuse_without_redis, worker_command
from resources.errors import UserError
from resources.settings import load_settings
from serving.cli import app


@pytest.mark.parametrize(
    ("name", "expected"), [(None, "in_process"), ("in_process", "in_process"), ("multiprocess", "multiprocess")]
)
def test_the_setting_chooses_the_executor_of_the_whole_graph(
    monkeypatch: pytest.MonkeyPatch, name: str | None, expected: str
):
    if name:
        monkeypatch.setenv("KSHIFT_EXECUTOR", name)

    job = build(load_settings(), []).resolve_implicit_global_asset_job_def()

    assert job.executor_def.name == expected


def test_celery_gets_the_broker_of_the_settings_and_not_its_own_default():
    pytest.importorskip("dagster_celery", reason="the extra `cluster` is not installed")
    settings = load_settings(executor="celery", celery_broker="redis://redis.example:6380/3", celery_redo_seconds=77)

    job = build(settings, []).resolve_implicit_global_asset_job_def()
    config = job.executor_def.config_schema.resolve_config({}).value["config"]

    assert job.executor_def.name == "celery"
    assert (config["broker"], config["backend"]) == ("redis://redis.example:6380/3",) * 2
    assert config["config_source"]["broker_transport_options"]["visibility_timeout"] == 77


def test_celery_without_its_packages_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dagster_celery", None)

    with pytest.raises(UserError, match=r"not installed: pip install 'knightshift\[cluster\]'"):
        executor_of(load_settings(executor="celery"))


def test_a_worker_away_from_home_serves_no_asset_that_asks_others_or_publishes():
    graph = build(load_settings(), [])
    steps = graph.resolve_implicit_global_asset_job_def().nodes
    at_home = {step.name for step in steps if step.tags.get("dagster-celery/queue") == "home"}

    assert at_home == {
        "player_games",
        "tv_games",
        "user_profiles",
        "rating_histories",
        "ops__maintenance",
        "ops__retention",
        "published__snapshot",
    }
    assert "dagster,home" in worker_command(at_home=True, at_once=1)
    assert "dagster" in worker_command(at_home=False, at_once=1)


def test_every_asset_that_reaches_lichess_or_the_snapshots_is_made_at_home():
    assets = build(load_settings(), []).assets or []
    bound = [one for one in assets if isinstance(one, dg.AssetsDefinition) and one.is_executable]

    for one in bound:
        needs_home = bool({"lichess", "snapshots"} & one.required_resource_keys)
        assert (one.op.tags.get("dagster-celery/queue") == "home") == needs_home, one.op.name


def test_a_broker_that_is_no_redis_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KSHIFT_CELERY_BROKER", "amqp://guest:secret@localhost")  # pragma: allowlist secret

    with pytest.raises(UserError, match=r"KSHIFT_CELERY_BROKER: it must be .* redis://") as caught:
        load_settings()

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_the_address_of_postgres_names_the_driver_that_is_installed(scheme: str):
    settings = load_settings(dagster_postgres=f"{scheme}://me:pw@db:5432/dagster")

    assert settings.dagster_postgres
    # pragma: allowlist nextline secret
    assert settings.dagster_postgres.get_secret_value() == "postgresql+psycopg2://me:pw@db:5432/dagster"
    assert "pw" not in repr(settings)


def test_what_is_no_address_of_postgres_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KSHIFT_DAGSTER_POSTGRES", "db.example:5432")

    with pytest.raises(UserError, match=r"KSHIFT_DAGSTER_POSTGRES: it must be an address such as postgresql://"):
        load_settings()


def test_a_redis_that_does_not_answer_is_told_in_a_sentence():
    pytest.importorskip("redis", reason="the extra `cluster` is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = load_settings(executor="celery", celery_broker=f"redis://me:secret@127.0.0.1:{port}/0")

    with pytest.raises(UserError, match=r"the Redis of KSHIFT_CELERY_BROKER does not answer") as caught:
        refuse_without_redis(settings)

    assert "secret" not in str(caught.value)
    refuse_without_redis(load_settings())


def test_a_worker_without_the_executor_is_told_which_setting_it_needs():
    found = CliRunner().invoke(app, ["worker"])

    assert isinstance(found.exception, UserError)
    assert "KSHIFT_EXECUTOR=celery" in str(found.exception)
