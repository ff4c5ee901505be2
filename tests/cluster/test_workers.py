"""A backfill of four months by two of Celery's workers, one of which is killed: the tables of a single process.

Dagster's runs and events are in Postgres, work goes through Redis, the lake lies in an object store.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import zstandard
from dagster import DagsterInstance
from drills.web import environment, kshift, until
from polars.testing import assert_frame_equal

from kshift_assets.definitions import consumer_tables, find_plugins
from kshift_assets.reporting import Table
from kshift_assets.tables import polars_schema
from resources.lake import Lake

pytestmark = pytest.mark.timeout(1_500)

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04"]
MONTHLY = 'key:"lichess/dump_games" or key:"chess/games" or group:"chess/analytics"'
WHOLE = 'key:"chess/openings" or group:"chess/marts" or key:"published/snapshot"'
REDO_SECONDS = 40
# When a row came into this lakehouse: the one thing that two lakehouses do not share.
OWN_TIMES = {"tm_ingested", "tm_game_ingested"}


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's two dumps, and the same games again two months later under other ids."""
    folder = tmp_path_factory.mktemp("dumps")
    for month, source in zip(MONTHS, MONTHS[:2] * 2, strict=True):
        with (SAMPLE / f"lichess_db_standard_rated_{source}.pgn.zst").open("rb") as packed:
            frames = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            text = frames.read().decode(errors="surrogateescape")
        if month != source:
            text = text.replace(f'Date "{source.replace("-", ".")}.', f'Date "{month.replace("-", ".")}.')
            lines = [line.swapcase() if line.startswith("[Site ") else line for line in text.split("\n")]
            text = "\n".join(lines).replace("[sITE", "[Site").replace("HTTPS://LICHESS.ORG", "https://lichess.org")
        file = folder / f"lichess_db_standard_rated_{month}.pgn"
        file.write_text(text, errors="surrogateescape")
    return folder


@contextmanager
def worker(settings: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker, in a group of its own with the processes that it starts."""
    command = [sys.executable, "-m", "serving.cli", "worker"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env=environment(dict(settings)),
            cwd=tempfile.gettempdir(),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(120)


def executions(instance: DagsterInstance) -> list[tuple[str, str, str]]:
    """Run, step and worker of every execution that began, in their order."""
    found = []
    for run in instance.get_runs():
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            metadata = entry.get_dagster_event().engine_event_data.metadata
            if "Celery worker" in metadata:
                name = str(metadata["Celery worker"].value).partition("@")[0]
                found.append((run.run_id, str(entry.step_key), name))
    return found


def is_at_work(instance: DagsterInstance, name: str) -> bool:
    """Whether a worker has begun a step that has not ended."""
    for run, step, one in executions(instance):
        if one == name:
            ended = instance.all_logs(run, of_type=dg.DagsterEventType.STEP_SUCCESS)
            started = instance.all_logs(run, of_type=dg.DagsterEventType.STEP_START)
            if step in {entry.step_key for entry in started} - {entry.step_key for entry in ended}:
                return True
    return False


def tables() -> list[Table]:
    """What dumps lead to, down to the marts."""
    found = consumer_tables(find_plugins())
    return [one for one in found if one.schema in {"analytics", "marts"} or one.full_name == "chess.games"]


def rows(uri: str, table: Table) -> pl.DataFrame:
    frame = Lake(uri=uri).scan(table.full_name, polars_schema(table.model)).collect()
    kept = frame.drop(OWN_TIMES & set(frame.columns))
    texts = kept.select(pl.struct(pl.exclude(pl.Float32, pl.Float64)).map_elements(str, pl.String).alias("text"))
    return kept[texts["text"].arg_sort()]


def test_two_workers_of_which_one_is_killed_make_what_one_process_makes(
    tmp_path: Path,
    dumps: Path,
    object_store: dict[str, str],
    redis: str,
    postgres: str,
    monkeypatch: pytest.MonkeyPatch,
):
    alone = {"KSHIFT_HOME": str(tmp_path / "alone"), "KSHIFT_DUMP_DIR": str(dumps)}
    spread = object_store | {
        "KSHIFT_HOME": str(tmp_path / "spread"),
        "KSHIFT_DUMP_DIR": str(dumps),
        "KSHIFT_LAKE_URI": "s3://lake/spread",
        "KSHIFT_DAGSTER_POSTGRES": postgres,
        "KSHIFT_EXECUTOR": "celery",
        "KSHIFT_CELERY_BROKER": redis,
        "KSHIFT_CELERY_REDO_SECONDS": str(REDO_SECONDS),
    }
    months = ("--from", MONTHS[0], "--to", MONTHS[-1])
    times = {"one process": _timed(MONTHLY, *months, settings=alone)}
    kshift("run", WHOLE, settings=alone)

    with ExitStack() as stack:
        workers = [stack.enter_context(worker(spread, tmp_path / f"worker{number}.log")) for number in range(2)]
        names = [f"kshift-{process.pid}" for process in workers]
        command = [sys.executable, "-m", "serving.cli", "run", MONTHLY, *months]
        log = tmp_path / "run.log"
        began = time.monotonic()
        run = subprocess.Popen(
            command,
            env=environment(spread),
            cwd=tempfile.gettempdir(),
            stdout=stack.enter_context(log.open("wb")),
            stderr=subprocess.STDOUT,
        )
        stack.callback(lambda: run.poll() is None and run.kill())
        for name, value in spread.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KSHIFT_DAGSTER_POSTGRES", postgres.replace("postgresql:", "postgresql+psycopg2:"))
        home = tmp_path / "spread" / "dagster"
        until("the instance", 120, (home / "opening.lock").exists)
        with DagsterInstance.from_config(str(home)) as instance:
            busy = lambda: len({name for *_, name in executions(instance)}) == 2 and is_at_work(instance, names[0])  # noqa: E731
            until("both at work", 300, lambda: busy() or run.poll() is not None)
            assert run.poll() is None, log.read_text()
            os.killpg(workers[0].pid, signal.SIGKILL)
            seen = {name for *_, name in executions(instance)}
            assert run.wait(900) == 0, log.read_text()
            times["two workers, one killed"] = time.monotonic() - began
            done = executions(instance)
            runs = instance.get_runs()
        kshift("run", WHOLE, settings=spread)

    assert seen == set(names), "both had work before one was killed"
    by_step = defaultdict(set)
    for one, step, name in done:
        by_step[one, step].add(name)
    assert [step for step, makers in by_step.items() if makers == set(names)], "nothing was begun anew elsewhere"
    assert {one.tags["dagster/partition"] for one in runs} == set(MONTHS)
    print({what: round(seconds, 1) for what, seconds in times.items()}, "steps:", len(by_step))  # noqa: T201
    assert sum(table.full_name.startswith("analytics.") for table in tables()) >= 12
    for table in tables():
        expected = rows(f"{alone['KSHIFT_HOME']}/lake", table)
        # DuckDB adds up with several threads: a mean rounded to four digits can differ in the last, run by run.
        assert_frame_equal(rows("s3://lake/spread", table), expected, rel_tol=0, abs_tol=0.0002)
        # Nobody is followed, and there is no engine.
        assert expected.height or table.schema == "marts" or table.optional, f"{table.full_name} is empty"


def _timed(*arguments: str, settings: dict[str, str]) -> float:
    began = time.monotonic()
    kshift("run", *arguments, settings=settings)
    return time.monotonic() - began
