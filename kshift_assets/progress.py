"""How far long work has come: a line for whoever looks on, and now and then an observation in Dagster's log."""

import time
from collections.abc import Callable

import dagster as dg
from rich.filesize import decimal

from kshift_assets.reporting import PROGRESS, Metadata

SHOWN_SECONDS = 0.5
OBSERVED_SECONDS = 30.0
_MEGABYTE = 1_000_000
_MINUTE, _HOUR = 60, 3600

Clock = Callable[[], float]


class Meter:
    """Measures work on bytes. Those that were done before count as done, but tell nothing of the speed."""

    def __init__(self, n_bytes: int | None, now: Clock = time.monotonic) -> None:
        """`n_bytes`: all that there is to do, if that is known."""
        self.n_here = 0
        self._n_bytes, self._n_before, self._now, self._begin = n_bytes, 0, now, now()

    def skip(self, n_bytes: int) -> None:
        """Count bytes that were done before."""
        self._n_before += n_bytes
        self.n_here += n_bytes

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._now() - self._begin

    @property
    def mb_per_second(self) -> float:
        """Megabytes a second, from the beginning on."""
        return (self.n_here - self._n_before) / _MEGABYTE / max(self.seconds, 1e-6)

    @property
    def share(self) -> float | None:
        """What part is done, from 0 to 1; None if nobody knows."""
        return self.n_here / self._n_bytes if self._n_bytes else None

    @property
    def seconds_left(self) -> float | None:
        """How long it takes yet at this speed; None if nobody knows."""
        speed = self.mb_per_second * _MEGABYTE
        return (self._n_bytes - self.n_here) / speed if speed and self._n_bytes else None

    def metadata(self) -> Metadata:
        """The same as numbers."""
        numbers = {"MB/s": self.mb_per_second, "seconds left": self.seconds_left, "done %": 100 * (self.share or 0)}
        return {name: round(number, 1) for name, number in numbers.items() if number is not None}

    def __str__(self) -> str:
        """All of it in some words, e.g. `37 % of 30.1 GB, 14.2 MB/s, 12 min left`."""
        share, left = self.share, self.seconds_left
        done = decimal(self.n_here) if share is None else f"{100 * share:.0f} % of {decimal(self._n_bytes or 0)}"
        words = [done, f"{self.mb_per_second:.1f} MB/s", *([] if left is None else [f"{duration(left)} left"])]
        return ", ".join(words)


def duration(seconds: float) -> str:
    """As one says it: `40 s`, `12 min`, `2 h 05 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:02.0f} min"


class Progress:
    """Tells of the work of a run, seldom enough not to slow it down."""

    def __init__(self, context: dg.AssetExecutionContext, now: Clock = time.monotonic) -> None:
        self._context, self._now = context, now
        self._shown, self._observed = now() - SHOWN_SECONDS, now()

    def tell(self, text: str, meter: Meter, metadata: Metadata) -> None:
        """Show a line, with the meter's words and a bar; the metadata are for Dagster."""
        moment, key, month = self._now(), self._context.asset_key, self._context.partition_key
        if moment - self._shown >= SHOWN_SECONDS:
            self._shown = moment
            line = f"{key.to_user_string()} {month}: {text}, {meter}"
            PROGRESS.info("%s", line, extra={"share": meter.share})
        if moment - self._observed >= OBSERVED_SECONDS:
            self._observed = moment
            self._context.log_event(
                dg.AssetObservation(
                    key, partition=month, metadata={"progress": str(meter), **metadata, **meter.metadata()}
                )
            )
