"""Time that can be relied on: a clock that tests can replace, and stretches of time that outlive a process."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What time is asked for here: the wall's (may be set), the machine's (only runs), and a way to wait."""

    def wall(self) -> float:
        """Seconds since 1970, UTC; people and servers may set it back or forward."""

    def steady(self) -> float:
        """Seconds since this machine started, sleep included; the same for all its processes."""

    def boot(self) -> str:
        """Which start of which machine `steady` counts from; empty where the system does not tell."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def steady(self) -> float:
        """Seconds since this machine started, sleep included."""
        return time.clock_gettime(_STEADY)

    def boot(self) -> str:
        """The kernel's id of this start."""
        return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Span:
    """A stretch of time, kept on disk, that is never shorter than promised whatever happens to the wall clock.

    It counts on the steady clock alone. After another start (or on another machine) what has passed is unknown: then
    it counts from the first look, see `seen_by`.
    """

    seconds: float
    since: float
    boot: str

    @classmethod
    def starting(cls, clock: Clock, seconds: float) -> "Span":
        """A span that starts now."""
        return cls(seconds, clock.steady(), clock.boot())

    def left(self, clock: Clock) -> float:
        """Seconds until its end; negative once it is over."""
        now = clock.steady()
        if self.boot != clock.boot():
            return self.seconds
        # A clock that reads less than at the start has started anew (where no boot id tells): count from there.
        return self.seconds - (now - self.since if now >= self.since else now)

    def seen_by(self, clock: Clock) -> "Span":
        """The same span counted by this start of this machine."""
        return self if self.boot == clock.boot() else Span(self.seconds, clock.steady(), clock.boot())
