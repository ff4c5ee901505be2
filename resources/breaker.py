"""What all processes remember of one host: its quiet time after a 429 and its circuit breaker. Pure transitions."""

from dataclasses import dataclass, replace

from resources.clock import Clock, Span


@dataclass(frozen=True)
class Patience:
    """How long to leave a host alone, and when."""

    quiet_seconds: float = 60.0
    """Silence after a 429; doubles each time it happens again."""
    longest_seconds: float = 3600.0
    """What doubling ends at, for the silence and for the breaker's pause."""
    calm_seconds: float = 600.0
    """A 429 that comes later than this after the last silence starts the doubling anew."""
    failures_to_open: int = 5
    """So many failed requests in a row open the breaker."""
    open_seconds: float = 300.0
    """Pause of an open breaker, before one probe; doubles each time the probe fails."""


@dataclass(frozen=True)
class HostState:
    """The state of one host, shared by all processes on disk."""

    refusals: int = 0
    """429s of late."""
    failures: int = 0
    """Failed requests since the last good one, 429s included."""
    openings: int = 0
    """Times that the breaker opened since the last good request."""
    quiet: Span | None = None
    """The last silence after a 429, over or not."""
    pause: Span | None = None
    """The pause of an open breaker; once it is over, the next request is the probe."""
    is_busy: bool = False
    """A request began and was not read to its end (yet, or because its process died)."""

    def quiet_left(self, clock: Clock) -> float:
        """Seconds of silence still owed."""
        return max(0.0, self.quiet.left(clock)) if self.quiet else 0.0

    def pause_left(self, clock: Clock) -> float:
        """Seconds until the open breaker lets a probe through."""
        return max(0.0, self.pause.left(clock)) if self.pause else 0.0

    def seen_by(self, clock: Clock) -> "HostState":
        """The same state with its spans counted by this start of this machine."""
        return replace(
            self,
            quiet=self.quiet.seen_by(clock) if self.quiet else None,
            pause=self.pause.seen_by(clock) if self.pause else None,
        )

    def after_success(self) -> "HostState":
        """A request was answered: the breaker closes. What is left of a silence stays, as does its memory."""
        return replace(self, failures=0, openings=0, pause=None)

    def after_failure(self, patience: Patience, clock: Clock) -> "HostState":
        """A request failed: at the limit, or if it was the probe, the breaker opens."""
        failures = self.failures + 1
        if failures < patience.failures_to_open:
            return replace(self, failures=failures)
        seconds = min(
            patience.open_seconds * 2.0 ** min(self.openings, 16), max(patience.longest_seconds, patience.open_seconds)
        )
        return replace(self, failures=failures, openings=self.openings + 1, pause=Span.starting(clock, seconds))

    def after_refusal(self, patience: Patience, clock: Clock, retry_after: float | None) -> "HostState":
        """A 429: silence, longer each time and at least as long as the source says; it counts as a failure too."""
        is_repeated = self.quiet is not None and self.quiet.left(clock) > -patience.calm_seconds
        refusals = self.refusals + 1 if is_repeated else 1
        longest = max(patience.longest_seconds, patience.quiet_seconds)
        seconds = min(patience.quiet_seconds * 2.0 ** min(refusals - 1, 16), longest)
        quiet = Span.starting(clock, max(seconds, retry_after or 0.0, self.quiet_left(clock)))
        return replace(self.after_failure(patience, clock), refusals=refusals, quiet=quiet)
