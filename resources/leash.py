"""A program that dies with the one who started it, even if that was killed: how such a program is started on Linux.

The kernel is asked by the program's own process, before it becomes the program: so this file is run as one itself, and
imports nothing of ours.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def leashed(program: Path) -> list[str]:
    """The command that starts a program for this thread: when the thread ends, however it does, so does the program.

    Elsewhere than on Linux the program alone: it has to see by itself that nobody speaks to it any more.
    """
    if sys.platform != "linux":
        return [str(program)]
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(program)]


def _become(program: str, parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        return
    try:
        os.execv(program, [program])  # noqa: S606  # the program that the user names, without a shell
    except OSError as error:
        sys.exit(f"{program}: {error.strerror}")


if __name__ == "__main__":
    _become(sys.argv[2], int(sys.argv[1]))
