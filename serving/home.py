"""The folders of a lakehouse, made where they are missing, and Dagster's instance in them."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from resources.errors import UserError
from resources.redaction import redact
from resources.settings import UNFINISHED, Settings

if TYPE_CHECKING:  # it takes a second to import
    from dagster import DagsterInstance

ROOT = Path(__file__).parents[1]
POSTGRES = "KSHIFT_DAGSTER_POSTGRES"
IN_POSTGRES = f"""
storage:
  postgres:
    postgres_url:
      env: {POSTGRES}
"""


def prepare(settings: Settings) -> None:
    """Make the lakehouse's folders, with an instance file for Dagster where there is none.

    Raises UserError where they cannot be written. Sets DAGSTER_HOME and, where it is not set, KSHIFT_HOME.
    """
    refuse_unfinished(settings)
    try:
        settings.dagster_home.mkdir(parents=True, exist_ok=True)
        settings.published.mkdir(parents=True, exist_ok=True)
        _write_instance_file(settings.dagster_home / "dagster.yaml", settings)
    except OSError as error:
        raise UserError(
            f"the folder {settings.home} cannot be written ({error.strerror}): choose another with KSHIFT_HOME"
        ) from error
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    os.environ.setdefault("KSHIFT_HOME", str(settings.home))


def refuse_unfinished(settings: Settings) -> None:
    """Raise UserError where a restore was not finished: what is there is not all, and looks as if it were."""
    if (settings.home / UNFINISHED).exists():
        raise UserError(
            f"a restore into {settings.home} was not finished: run the same `kshift restore` again, or empty the folder"
        )


def _write_instance_file(file: Path, settings: Settings) -> None:
    """Ours where there is none or an older one of ours; a file that somebody else wrote stays, if it serves."""
    plain = (ROOT / "dagster.yaml").read_text(encoding="utf-8")
    if settings.dagster_postgres:
        if find_spec("dagster_postgres") is None:
            raise UserError(f"{POSTGRES} needs packages that are not installed: pip install 'knightshift[cluster]'")
        os.environ[POSTGRES] = settings.dagster_postgres.get_secret_value()  # it may stand in .env alone
    wanted = plain + IN_POSTGRES if settings.dagster_postgres else plain
    there = file.read_text(encoding="utf-8") if file.exists() else None
    if there in {None, plain, plain + IN_POSTGRES}:
        if there != wanted:
            file.write_text(wanted, encoding="utf-8")
    elif settings.dagster_postgres and POSTGRES not in there:
        raise UserError(f"{file} does not use {POSTGRES}: add to it\n{IN_POSTGRES}")


def open_instance(home: Path) -> "DagsterInstance":
    """Dagster's instance. Two processes that make its databases at the same time would stumble over each other.

    Raises UserError if they are in Postgres and that cannot be reached.
    """
    from dagster import DagsterInstance  # noqa: PLC0415  # it takes a second

    with FileLock(home / "opening.lock"):
        try:
            instance = DagsterInstance.get()
            # Each storage is made when it is first asked for.
            _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage
        except Exception as error:
            if POSTGRES not in os.environ:
                raise
            cause: BaseException = error
            while cause.__cause__:
                cause = cause.__cause__
            reason = redact(str(cause).partition("\n")[0])
            raise UserError(f"Dagster's Postgres cannot be used ({reason}): look at {POSTGRES}") from error
    return instance
