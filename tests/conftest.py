"""Fixtures that all tests share: a lakehouse in a temporary folder, and an instance of Dagster that forgets."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from commands import Kshift
from lakehouse import SEVERAL, Lakehouse
from plugins.chess.move_count import plugin as move_count
from resources import redaction
from resources.settings import load_settings
from serving.cli import main
from serving.home import open_instance, prepare


@pytest.fixture(autouse=True)
def _no_settings_of_the_tester(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see no setting and no `.env` of whoever runs them."""
    for name in [name for name in os.environ if name.startswith(("KSHIFT_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KSHIFT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(redaction, "_known", set())  # secrets of one test are words of another


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def lakehouse(tmp_path: Path, instance: DagsterInstance) -> Lakehouse:
    """A lakehouse without data, whose dumps come from a folder of its own, with one analytic and the marts of games.

    With SEVERAL as its plugins it makes most marts; `whole_lakehouse` has all, and takes several times as long.
    """
    return Lakehouse(tmp_path, instance, [move_count])


@pytest.fixture
def lakehouse_on_disk(tmp_path: Path) -> Iterator[Lakehouse]:
    """The same with an instance that lies on the disk, where other processes find it."""
    settings = load_settings(home=tmp_path / "home")
    prepare(settings)
    with open_instance(settings.dagster_home) as instance:
        yield Lakehouse(tmp_path, instance, SEVERAL)


@pytest.fixture
def whole_lakehouse(tmp_path: Path, instance: DagsterInstance) -> Lakehouse:
    """The same with everything that there is."""
    return Lakehouse(tmp_path, instance)


@pytest.fixture
def kshift_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Kshift:
    """`kshift` in this process: importing Dagster takes a second each time in others."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "200")
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["kshift", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(stop.value.code or 0), printed.out, printed.err)

    return run
