"""Fixtures that all tests share: a lakehouse in a temporary folder, and an instance of Dagster that forgets."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from lakehouse import Lakehouse


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
    """A complete lakehouse without data, whose dumps come from a folder of its own."""
    return Lakehouse(tmp_path, instance)
