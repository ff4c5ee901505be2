"""What the terminal shows of work: a line for each batch that ended, and what runs now below them."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from serving.interrupts import interrupts

PROGRESS = logging.getLogger("kshift.progress")  # long work tells there how far it is


class Batch(Protocol):
    """What runs together; as text: names and month."""

    @property
    def month(self) -> str | None:
        """The month that it runs for; None for all or none."""


class Outcome(Protocol):
    """What became of it."""

    @property
    def succeeded(self) -> bool:
        """Whether all of it went well."""

    @property
    def rows(self) -> Mapping[str, int]:
        """Rows by asset."""

    @property
    def problems(self) -> Sequence[str]:
        """What went wrong."""

    @property
    def warnings(self) -> Sequence[str]:
        """What was noticed, and stopped nothing."""


T = TypeVar("T")
Listener = Callable[[Batch, Outcome | None], None]


def shown(work: Callable[[Listener], T], console: Console) -> T:
    """Do the work, which tells the listener of the start (no outcome yet) and end of each batch.

    No batch starts after somebody wanted an end: the listener raises KeyboardInterrupt.
    """
    columns = (SpinnerColumn(), BarColumn(20), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def tell(text: str, share: float | None) -> None:
            progress.tasks[task].total = None if share is None else 1  # `update` leaves it where it is to be None
            progress.update(task, description=text, completed=share or 0)

        def listen(batch: Batch, outcome: Outcome | None) -> None:
            if outcome is None:
                if were_told():
                    raise KeyboardInterrupt
                progress.reset(task)
                tell(str(batch), None)
                return
            for line in _lines(batch, outcome):
                progress.console.print(line, soft_wrap=True)

        with _told(tell), interrupts() as were_told:
            return work(listen)


@contextmanager
def _told(tell: Callable[[str, float | None], None]) -> Iterator[None]:
    """Hand on what long work says of its progress, with the share that is done, from 0 to 1, if it says that."""
    handler = logging.Handler()
    # The whole of this one.
    handler.emit = lambda record: tell(record.getMessage(), getattr(record, "share", None))  # type: ignore[method-assign]
    level = PROGRESS.level
    PROGRESS.setLevel(logging.INFO)
    PROGRESS.propagate = False  # else they would stand in the terminal once more, a line each
    PROGRESS.addHandler(handler)
    try:
        yield
    finally:
        PROGRESS.removeHandler(handler)
        PROGRESS.setLevel(level)
        PROGRESS.propagate = True


def _lines(batch: Batch, outcome: Outcome) -> Iterator[str]:
    for name, rows in outcome.rows.items():
        month = f" {batch.month}" if batch.month and batch.month not in name else ""
        yield f"[green]done[/]    {escape(name)}{month}: {rows:,} rows"
    if outcome.succeeded and not outcome.rows:
        yield f"[green]done[/]    {escape(str(batch))}: nothing new"
    for warning in outcome.warnings:
        yield f"[yellow]warning[/] {escape(warning)}"
    for problem in outcome.problems:
        yield f"[red]failed[/]  {escape(str(batch))}: {escape(problem)}"
