"""Ctrl-C that is not lost: an interrupt that was raised where Python ignores exceptions is noticed all the same."""

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ENDS = {signal.SIGINT, signal.SIGTERM}


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether somebody has wanted an end since it was asked last.

    A signal becomes an exception wherever the main thread is just then: in a destructor or the callback of a weak
    reference it is printed and forgotten, and the work goes on.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are not for others
        yield lambda: False
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        for end in (reader, writer):
            end.settimeout(0)
        before, tell = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False), sys.unraisablehook

        def were_told() -> bool:
            try:
                return not _ENDS.isdisjoint(reader.recv(4096))
            except BlockingIOError:
                return False

        def tell_of_errors(ignored: "sys.UnraisableHookArgs") -> None:
            if issubclass(ignored.exc_type, Exception):  # the others want an end, which is not ignored here
                tell(ignored)

        sys.unraisablehook = tell_of_errors
        try:
            yield were_told
        finally:
            sys.unraisablehook = tell
            signal.set_wakeup_fd(before)
