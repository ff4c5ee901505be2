"""Fixtures that all tests share: a lakehouse in a temporary folder, and an instance of Dagster that forgets."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from lakehouse import Lakehouse
from plugins.chess.largest_swing import plugin as largest_swing
from plugins.chess.move_count import plugin as move_count
from plugins.chess.opening import plugin as opening


@pytest.fixture(autouse=True)
def _no_settings_of_the_tester(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see no setting and no `.env` of whoever runs them."""
    for name in [name for name in os.environ if name.startswith(("KSHIFT_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KSHIFT_HOME", str(tmp_path / "home"))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def lakehouse(tmp_path: Path, instance: DagsterInstance) -> Lakehouse:
    """A lakehouse without data, whose dumps come from a folder of its own, with a few of the analytics and their marts.

    `whole_lakehouse` has all of them, and takes several times as long.
    """
    return Lakehouse(tmp_path, instance, [move_count, largest_swing, opening])


@pytest.fixture
def whole_lakehouse(tmp_path: Path, instance: DagsterInstance) -> Lakehouse:
    """The same with everything that there is."""
    return Lakehouse(tmp_path, instance)
