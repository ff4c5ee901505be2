"""The tables of the run history: columns, meanings and rules."""

from typing import Annotated

import pandera.polars as pa
import polars as pl

from kshift_assets.reporting import Table

Utc = Annotated[pl.Datetime, "us", "UTC"]
MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
RUN_STATES = ("queued", "not_started", "starting", "started", "success", "failure", "canceling", "canceled", "lost")
STEP_STATES = ("started", "success", "failure", "skipped", "up_for_retry", "unfinished")
CODE_VERSIONS = "Code version of each asset that it made, as a JSON object"


class Runs(pa.DataFrameModel):
    """Every run of the graph, whoever launched it: kept for good, also when Dagster's own storage is emptied."""

    id_run: str = pa.Field(description="Run id, Dagster's")
    val_job: str = pa.Field(description="Job; `__ASSET_JOB` where assets were chosen one by one")
    val_launcher: str = pa.Field(
        description="Who launched it: `kshift`, `schedule …`, `sensor …`, `backfill …`, or `web` for the web UI"
    )
    val_assets: str = pa.Field(description="Assets that it was to make, comma separated")
    val_partition: str = pa.Field(nullable=True, description="Month, or months as 2013-01...2013-03; null for none")
    val_status: str = pa.Field(
        isin=RUN_STATES,
        description="Dagster's status, lower case; lost: it was deleted from Dagster's storage before it ended",
    )
    tm_created: Utc = pa.Field(description="When it was asked for")
    tm_started: Utc = pa.Field(nullable=True, description="When it started; null if it has not")
    tm_ended: Utc = pa.Field(nullable=True, description="When it ended; null if it has not")
    n_duration_ms: pl.Int64 = pa.Field(nullable=True, ge=0, description="From its start to its end, milliseconds")
    val_step_failed: str = pa.Field(nullable=True, description="First step that failed")
    val_error: str = pa.Field(nullable=True, description="What went wrong, in a sentence, without secrets")
    n_steps: pl.Int32 = pa.Field(ge=0, description="Steps that began, see ops.run_steps")
    n_steps_failed: pl.Int32 = pa.Field(ge=0, description="Steps that failed")
    n_checks_failed: pl.Int32 = pa.Field(ge=0, description="Checks that failed, warnings included")
    n_rows: pl.Int64 = pa.Field(ge=0, description="Rows of what it made, all in all")
    n_bytes: pl.Int64 = pa.Field(ge=0, description="Bytes of the files that it read from sources, where steps tell")
    val_code_versions: str = pa.Field(description=CODE_VERSIONS)
    val_version: str = pa.Field(
        nullable=True, description="KnightShift's version; null for runs that the web UI launched"
    )
    val_python: str = pa.Field(nullable=True, description="Python's version; null for runs that the web UI launched")
    tm_updated: Utc = pa.Field(description="When Dagster last changed it")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of tm_created")


class RunSteps(pa.DataFrameModel):
    """Every step of every run of ops.runs."""

    id_run: str = pa.Field(description="Run, see ops.runs")
    val_step: str = pa.Field(description="Step, named after what it makes")
    val_partition: str = pa.Field(nullable=True, description="Month, or months as 2013-01...2013-03; null for none")
    val_status: str = pa.Field(
        isin=STEP_STATES, description="Its last state; unfinished: the run ended before the step did, as when killed"
    )
    tm_started: Utc = pa.Field(nullable=True, description="When its last try started; null if it was skipped")
    tm_ended: Utc = pa.Field(nullable=True, description="When it ended; null if it has not")
    n_duration_ms: pl.Int64 = pa.Field(nullable=True, ge=0, description="Of its last try, milliseconds")
    n_tries: pl.Int32 = pa.Field(ge=0, description="How often it was tried")
    val_error: str = pa.Field(nullable=True, description="What went wrong, in a sentence, without secrets")
    val_assets: str = pa.Field(description="Assets that it made, comma separated")
    n_rows: pl.Int64 = pa.Field(ge=0, description="Rows of what it made, all in all")
    n_bytes: pl.Int64 = pa.Field(ge=0, description="Bytes of the files that it read from sources, where it tells")
    n_checks: pl.Int32 = pa.Field(ge=0, description="Checks that it made")
    n_checks_failed: pl.Int32 = pa.Field(ge=0, description="Checks that failed, warnings included")
    val_code_versions: str = pa.Field(description=CODE_VERSIONS)
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of the run's tm_created")


RUNS = Table("ops", "runs", Runs)
RUN_STEPS = Table("ops", "run_steps", RunSteps)
