"""The folders of a lakehouse, made where they are missing, and Dagster's instance in them."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from resources.errors import UserError
from resources.settings import Settings

if TYPE_CHECKING:  # it takes a second to import
    from dagster import DagsterInstance

ROOT = Path(__file__).parents[1]


def prepare(settings: Settings) -> None:
    """Make the lakehouse's folders, with an instance file for Dagster where there is none.

    Raises UserError where they cannot be written. Sets DAGSTER_HOME and, where it is not set, KSHIFT_HOME.
    """
    try:
        settings.dagster_home.mkdir(parents=True, exist_ok=True)
        settings.published.mkdir(parents=True, exist_ok=True)
        target = settings.dagster_home / "dagster.yaml"
        if not target.exists():
            shutil.copyfile(ROOT / "dagster.yaml", target)
    except OSError as error:
        raise UserError(
            f"the folder {settings.home} cannot be written ({error.strerror}): choose another with KSHIFT_HOME"
        ) from error
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    os.environ.setdefault("KSHIFT_HOME", str(settings.home))


def open_instance(home: Path) -> "DagsterInstance":
    """Dagster's instance. Two processes that make its databases at the same time would stumble over each other."""
    from dagster import DagsterInstance  # noqa: PLC0415  # it takes a second

    with FileLock(home / "opening.lock"):
        instance = DagsterInstance.get()
        # Each storage is made when it is first asked for.
        _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage
    return instance
