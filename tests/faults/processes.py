"""A real ingesting process, for trials in which it is killed, or works beside others.

What it stores it tells through a pipe once the store has acknowledged it: those games must survive any kill.
"""

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import stamina.instrumentation

from kshift_assets.chess import game_store, ingestion, late_finishers
from kshift_assets.chess.ingestion import pull_month, pull_players
from kshift_assets.chess.late_finishers import pull_pending
from resources import gate
from resources.breaker import Patience
from resources.clock import SystemClock
from resources.exchange import Limits, Response
from resources.lake import Lake
from worlds import lichess

STEPS = (
    "in the answer",
    "page read",
    "before the commit",
    "in the commit",
    "before a sync",
    "page and cursor stored",
    "before the fetch log",
    "in the gate",
)
"""Where a process can be told to die."""


@dataclass(frozen=True)
class Job:
    """What a process does."""

    url: str
    lake: str
    state: str
    players: tuple[str, ...]
    page_games: int = 3
    month: str | None = None
    """Fill this month instead of following the players."""
    step: str | None = None
    """Die there, at the `countdown`-th time."""
    countdown: int = 1
    wall_offset: float = 0.0
    """Seconds by which this process's wall clock is wrong."""
    quiet_seconds: float = 1.0


class WrongClock(SystemClock):
    """The machine's clocks, the wall's set forward or back."""

    def __init__(self, offset: float) -> None:
        self.offset = offset

    def wall(self) -> float:
        """What the wall clock shows."""
        return super().wall() + self.offset


class NoLock:
    """A lock that locks nobody out."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def acquire(self, *_: object, **__: object) -> None:
        """At once."""

    def release(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def ingest(job: Job, told: Connection) -> None:
    """Do the job, or die in it. Sends the ids of each page that is stored, and at the end how the players stand."""
    logging.disable(logging.CRITICAL)  # what goes wrong here goes wrong on purpose
    stamina.instrumentation.set_on_retry_hooks([])
    with pytest.MonkeyPatch.context() as patch:
        _tell_what_is_stored(patch, told)
        if job.step:
            _arm(patch, job.step, job.countdown)
        clock = WrongClock(job.wall_offset)
        api = lichess(
            job.url,
            Path(job.state),
            clock=clock,
            limits=Limits(retry_seconds=0, settle_seconds=0.05, read_seconds=5.0, attempts=5),
            patience=Patience(quiet_seconds=job.quiet_seconds, longest_seconds=4.0, failures_to_open=50),
        )
        store = Lake(uri=job.lake)
        if job.month:
            harvest = pull_month(store, api, job.players, job.month, job.page_games)
        else:
            harvest = pull_players(store, api, job.players, job.page_games, timedelta(days=14))
            pull_pending(store, api, datetime.fromtimestamp(clock.wall(), UTC))
        told.send([one.state for one in harvest.players])


def _tell_what_is_stored(patch: pytest.MonkeyPatch, told: Connection) -> None:
    add = game_store.GameStore.add

    def add_and_tell(self: game_store.GameStore, *arguments: Any, **more: Any) -> Any:
        added = add(self, *arguments, **more)
        told.send({game.id_game for game in added})
        return added

    patch.setattr(game_store.GameStore, "add", add_and_tell)


def _arm(patch: pytest.MonkeyPatch, step: str, countdown: int) -> None:  # noqa: C901  # one place for each step
    left = iter(range(countdown - 1, -1, -1))

    def maybe_die() -> None:
        if next(left, 1) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(target: Any, name: str) -> None:
        real = getattr(target, name)

        def dying(*arguments: Any, **more: Any) -> Any:
            maybe_die()
            return real(*arguments, **more)

        patch.setattr(target, name, dying)

    def after(target: Any, name: str) -> None:
        real = getattr(target, name)

        def dying(*arguments: Any, **more: Any) -> Any:
            found = real(*arguments, **more)
            maybe_die()
            return found

        patch.setattr(target, name, dying)

    match step:
        case "in the answer":
            chunks = Response.chunks

            def dying_chunks(self: Response) -> Any:
                for chunk in chunks(self):
                    yield chunk
                    maybe_die()

            patch.setattr(Response, "chunks", dying_chunks)
        case "page read":
            before(ingestion.Pass, "sound")
        case "before the commit":
            before(Lake, "append")
        case "in the commit":
            delay = countdown * 0.002

            def fuse() -> None:
                time.sleep(delay)
                maybe_die()

            append = Lake.append

            def lit_append(self: Lake, *arguments: Any, **more: Any) -> Any:
                threading.Thread(target=fuse, daemon=True).start()
                return append(self, *arguments, **more)

            patch.setattr(Lake, "append", lit_append)
        case "before a sync":
            before(os, "fsync")
        case "page and cursor stored":
            after(game_store.GameStore, "add")
        case "before the fetch log":
            before(ingestion, "store_fetches")
            before(late_finishers, "store_fetches")
        case "in the gate":
            before(gate.json, "dump")  # with an empty new file there, not yet in its place
