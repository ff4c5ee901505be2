"""`kshift metrics`: what Prometheus asks for. Each scrape looks at the lake, Dagster's instance and this machine.

Everything is looked at part by part, and a part that cannot be read, or takes too long, is told as
`kshift_scrape_ok{part="…"} 0`: the others are answered all the same. Nothing counts in this process alone: numbers come
from what is stored, and go on where they were after a restart.
"""

import platform
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from threading import Event, Lock, Thread

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from rich.console import Console
from rich.markup import escape

from resources.errors import UserError
from resources.redaction import redact

PATIENCE_SECONDS = 8.0
"""A scrape waits no longer: Prometheus itself gives up after ten seconds, if nobody tells it otherwise."""


@dataclass(frozen=True)
class Part:
    """A part of the answer, that can be read or not for reasons of its own."""

    name: str
    read: Callable[[], Iterable[Metric]]


@dataclass
class _Look:
    """One look at a part, in a thread of its own: what hangs holds up nothing else."""

    part: Part
    metrics: list[Metric] = field(default_factory=list)
    problem: str | None = "it takes too long"
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._read, name=f"metrics {self.part.name}", daemon=True)
        self.thread.start()

    def _read(self) -> None:
        began = time.perf_counter()
        try:
            metrics, problem = list(self.part.read()), None
        except Exception as error:  # noqa: BLE001  # whatever it is, the other parts are answered
            metrics, problem = [], redact(f"{type(error).__name__}: {error}")
        self.metrics, self.problem, self.seconds = metrics, problem, time.perf_counter() - began


class Exporter(Collector):
    """All parts, looked at anew for each scrape; `tell` hears once when one cannot be read, and once when it can."""

    def __init__(self, parts: Sequence[Part], tell: Callable[[str], None], patience: float = PATIENCE_SECONDS) -> None:
        self._parts, self._tell, self._patience = parts, tell, patience
        self._looks: dict[str, _Look] = {}
        self._problems: dict[str, str] = {}
        self._turn = Lock()

    def collect(self) -> Iterator[Metric]:
        """What all parts say now, and how it went."""
        with self._turn:
            looks = self._look()
        is_ok = GaugeMetricFamily("kshift_scrape_ok", "Whether a part of this answer could be read", labels=["part"])
        took = GaugeMetricFamily(
            "kshift_scrape_duration_seconds", "How long reading a part took, when it was last read", labels=["part"]
        )
        for look in looks:
            is_ok.add_metric([look.part.name], look.problem is None)
            took.add_metric([look.part.name], look.seconds)
            yield from look.metrics
        yield is_ok
        yield took
        yield InfoMetricFamily(
            "kshift_build",
            "What runs here",
            value={"version": version("knightshift"), "python": platform.python_version()},
        )

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: registering would be the first scrape otherwise."""
        return iter(())

    def _look(self) -> list[_Look]:
        began = time.monotonic()
        for part in self._parts:
            before = self._looks.get(part.name)
            if before is None or not before.thread.is_alive():
                self._looks[part.name] = _Look(part)
        for look in self._looks.values():
            look.thread.join(max(0.0, began + self._patience - time.monotonic()))
        looks = [self._looks[part.name] for part in self._parts]
        for look in looks:
            self._tell_change(look)
        return looks

    def _tell_change(self, look: _Look) -> None:
        name, before = look.part.name, self._problems.get(look.part.name)
        if look.problem and before is None:
            self._tell(f"{name} cannot be read: {look.problem}")
            self._problems[name] = look.problem
        elif before is not None and look.problem is None:
            self._tell(f"{name} can be read again")
            del self._problems[name]


def serve(exporter: Exporter, host: str, port: int, console: Console) -> None:
    """Answer scrapes until a signal ends it; UserError where nothing can listen there."""
    registry = CollectorRegistry()
    registry.register(exporter)
    over = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{host}:{port} cannot be used ({reason}): choose another, e.g. --port {port + 1}") from error
    console.print(f"Metrics for Prometheus: [bold]http://{escape(host)}:{port}/metrics[/]  (Ctrl-C ends it)")
    over.wait()
    server.shutdown()
    server.server_close()
    thread.join()
