"""`kshift` as tests call it: in this process, or as processes that are ended with the test."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Kshift = Callable[..., subprocess.CompletedProcess[str]]
"""Arguments, and settings by their names → what became of it."""

KSHIFT = ("-m", "serving.cli")


class Processes:
    """Processes of `kshift`; whoever made them calls `end` when the test is over."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def begin(
        self, program: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start Python with this program, e.g. `[*KSHIFT, "ingest"]`."""
        process = subprocess.Popen(
            [sys.executable, *program],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Leave no process behind that a failed test no longer waits for."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
