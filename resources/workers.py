"""Worker processes: work that holds Python's lock, spread over the cores."""

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

import cloudpickle
import dagster as dg
import loky
from loky.process_executor import BrokenProcessPool

# Pieces that are handed out before the first answer is asked for, by worker: enough to keep them busy.
AHEAD = 4
# Workers that had nothing to do for so long end by themselves, seconds.
IDLE = 30


class WorkerDied(Exception):
    """A worker process ended in the middle of its work, as by a crash in compiled code or for lack of memory."""


class Workers(dg.ConfigurableResource["Workers"]):
    """As many processes as set, 0 for one a core; they start with the first work and stay for the next."""

    processes: int = 0

    def map(self, work: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        """The answers of `work`, in the order of the pieces; a single piece is done here. Raises WorkerDied."""
        waiting = iter(pieces)
        first = list(islice(waiting, 2))
        processes = self.processes or loky.cpu_count()
        if len(first) < 2 or processes == 1:  # noqa: PLR2004  # one piece alone is not worth a process
            yield from map(work, chain(first, waiting))
            return
        _carry_along(work)
        executor = loky.get_reusable_executor(max_workers=processes, timeout=IDLE)
        pieces = chain(first, waiting)
        try:
            running = [executor.submit(work, piece) for piece in islice(pieces, AHEAD * processes)]
            while running:
                yield running.pop(0).result()
                running += [executor.submit(work, piece) for piece in islice(pieces, 1)]
        except BrokenProcessPool as error:
            raise WorkerDied(f"a worker process died: {' '.join(str(error).split())[:300]}") from error


def _carry_along(work: Callable[[Any], Any]) -> None:
    """Have modules that workers could not import, as those of a folder of plugins elsewhere, sent with the work."""
    for part in (work, *getattr(work, "args", ())):
        module = sys.modules.get(getattr(part, "__module__", None) or "")
        if module and module.__spec__ and module.__name__.startswith("kshift_plugins_in_"):
            cloudpickle.register_pickle_by_value(module)
