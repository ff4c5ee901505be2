"""Dagster's instance file: ours says where runs and events are kept; somebody else's is never overwritten."""

from pathlib import Path

import pytest
import yaml

from resources.errors import UserError
from resources.settings import load_settings
from serving.home import POSTGRES, prepare

URL = "postgresql://me:secret@db/dagster"  # pragma: allowlist secret


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(POSTGRES, "")  # what `prepare` sets is undone after the test
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return tmp_path / "dagster" / "dagster.yaml"


def storage(file: Path) -> object:
    return yaml.safe_load(file.read_text()).get("storage")


def test_without_the_setting_runs_and_events_are_kept_in_files(file: Path):
    prepare(load_settings())

    assert storage(file) is None


def test_with_it_they_go_to_postgres_and_back_and_no_password_is_written(file: Path):
    pytest.importorskip("dagster_postgres", reason="the extra `cluster` is not installed")
    for url, expected in ((None, None), (URL, {"postgres": {"postgres_url": {"env": POSTGRES}}}), (None, None)):
        prepare(load_settings(dagster_postgres=url))

        assert storage(file) == expected
        assert "secret" not in file.read_text()


def test_a_file_of_somebody_else_stays_and_is_refused_if_it_ignores_the_setting(file: Path):
    pytest.importorskip("dagster_postgres", reason="the extra `cluster` is not installed")
    file.parent.mkdir()
    file.write_text("telemetry: {enabled: false}\n")
    prepare(load_settings())

    with pytest.raises(UserError, match=r"does not use KSHIFT_DAGSTER_POSTGRES: add to it"):
        prepare(load_settings(dagster_postgres=URL))

    assert file.read_text() == "telemetry: {enabled: false}\n"


def test_postgres_without_its_package_is_refused_with_the_remedy(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("serving.home.find_spec", lambda _: None)

    with pytest.raises(UserError, match=r"not installed: pip install 'knightshift\[cluster\]'"):
        prepare(load_settings(dagster_postgres=URL))

    assert not file.exists()
