"""Which processes still live: a kernel lock that dies with its process tells; frees what the dead ones held.

A run that is killed keeps its place in Dagster's pool, and the next one would wait for it for ever: with the daemon
Dagster's own run monitoring frees it, without the daemon this does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

from dagster import DagsterInstance, RunRecord
from filelock import FileLock, Timeout

TAG = "kshift/process"
LOOK_SECONDS = 5.0


class Liveness:
    """A sign of life of this process, and an eye on those of others that run assets of the same instance."""

    def __init__(self, instance: DagsterInstance) -> None:
        self.name = uuid4().hex
        self._instance = instance
        self._folder = _folder(instance)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sign = FileLock(self._folder / self.name)
        self._sign.acquire()

    def free_places_of_the_dead(self) -> None:
        """Give back the places in pools that killed processes held, and end their runs as failed."""
        storage = self._instance.event_log_storage
        if not storage.supports_global_concurrency_limits:
            return
        holders = storage.get_concurrency_run_ids()
        for run_id in holders:
            run = self._instance.get_run_by_id(run_id)
            process = run.tags.get(TAG) if run else None
            if run and process and self._is_dead(process):
                if not run.is_finished:
                    self._instance.report_run_failed(run, "The process that ran it was killed.")
                storage.free_concurrency_slots_for_run(run_id)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Free the places of the dead now and, in this block, every few seconds: others may die while we wait."""
        self.free_places_of_the_dead()
        is_over = Event()

        def watch() -> None:
            while not is_over.wait(LOOK_SECONDS):
                self.free_places_of_the_dead()

        thread = Thread(target=watch, name="liveness", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _is_dead(self, process: str) -> bool:
        return process != self.name and _is_dead(self._folder / process)


def is_killed(instance: DagsterInstance, record: RunRecord) -> bool:
    """Whether a process of this machine worked on a run and is dead, though Dagster lists the run as not over."""
    run = record.dagster_run
    process = run.tags.get(TAG)
    return process is not None and not run.is_finished and _is_dead(_folder(instance) / process)


def _folder(instance: DagsterInstance) -> Path:
    return Path(instance.root_directory) / "processes"


def _is_dead(sign: Path) -> bool:
    if not sign.exists():  # a process of another machine
        return False
    try:
        with FileLock(sign, timeout=0):
            return True
    except Timeout:
        return False
