"""An interrupt ends the work, also one that came where Python ignores exceptions."""

import signal
import weakref
from collections.abc import Callable

import pytest
import typer

from serving.cli import _shown
from serving.interrupts import interrupts


class Something:
    pass


def lose_an_interrupt() -> None:
    """As when it comes while a weak reference is told that its object is gone."""
    something = Something()
    reference = weakref.ref(something, lambda _: signal.raise_signal(signal.SIGINT))
    del something
    assert reference() is None


def test_one_that_was_swallowed_is_told_once() -> None:
    with interrupts() as were_told:
        assert not were_told()
        lose_an_interrupt()
        assert were_told()
        assert not were_told()


def test_no_further_batch_starts_after_one_that_was_swallowed(capfd: pytest.CaptureFixture[str]) -> None:
    started = []

    def work(listen: Callable[..., None]) -> list[object]:
        for batch in ("first", "second", "third"):
            listen(batch, None)
            started.append(batch)
            if batch == "second":
                lose_an_interrupt()
        return []

    with pytest.raises(typer.Exit) as ended:
        _shown(work)
    assert ended.value.exit_code == 1
    assert started == ["first", "second"]
    assert capfd.readouterr().err.split(".")[0] == "Interrupted"


def test_what_was_there_before_is_there_again() -> None:
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with interrupts():
        pass
    assert signal.set_wakeup_fd(before) == before
