"""The gate before a host: of all processes on this machine, one at a time may ask it."""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from resources.breaker import HostState
from resources.clock import Clock, Span

POLL_SECONDS = 0.02
TELL_SECONDS = 60.0

_log = logging.getLogger("kshift.gate")


@dataclass
class Turn:
    """The right to ask the host, held until given back, and what is known of the host."""

    state: HostState
    _file: Path

    def save(self, state: HostState, *, durable: bool = False) -> None:
        """Remember the state for all processes; durably where forgetting it in a power cut would annoy the host."""
        self.state = state
        fresh = self._file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            json.dump(asdict(state), out)
            if durable:
                out.flush()
                os.fsync(out.fileno())
        fresh.replace(self._file)


class Gate:
    """One host's gate: a kernel lock, which a dead process cannot keep, and the host's state beside it."""

    def __init__(self, folder: Path, host: str, clock: Clock, unknown_seconds: float) -> None:
        """`folder`: where all processes keep their state; `unknown_seconds`: silence if that state is unreadable."""
        name = re.sub(r"[^a-z0-9.-]", "_", host.lower())
        self._lock_file = folder / f"{name}.lock"
        self._state_file = folder / f"{name}.json"
        self._host, self._clock, self._unknown_seconds = host, clock, unknown_seconds

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait for the turn, hold it for the block. Not for use inside another turn at the same host."""
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_file, poll_interval=POLL_SECONDS)
        while True:
            try:
                lock.acquire(timeout=TELL_SECONDS)
                break
            except Timeout:
                _log.info("still waiting for another process that talks to %s", self._host)
        try:
            read = self._read()
            turn = Turn(read.seen_by(self._clock), self._state_file)
            if turn.state != read or not self._state_file.exists():
                turn.save(turn.state)
            yield turn
        finally:
            lock.release()

    def state(self) -> HostState:
        """What is known of the host, for those who only want to look."""
        return self._read().seen_by(self._clock)

    def _read(self) -> HostState:
        try:
            known = json.loads(self._state_file.read_text(encoding="utf-8"))
            spans = {key: Span(**known[key]) if known[key] else None for key in ("quiet", "pause")}
            return HostState(**(known | spans))
        except FileNotFoundError:
            return HostState()
        except (ValueError, TypeError, KeyError):
            self._state_file.unlink()
            _log.warning("the state of %s was unreadable: it is left alone for a while", self._host)
            return HostState(quiet=Span.starting(self._clock, self._unknown_seconds))
