"""Dagster's web UI and daemon as child processes of `kshift up`: started together, ended together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

import httpx
from rich.console import Console

from resources.errors import UserError

HOST = "127.0.0.1"  # nobody else reaches a web UI that knows no passwords
POLL_SECONDS = 0.5
GRACE_SECONDS = 30.0  # Dagster ends its processes in order, in 5 s where nothing else runs


def refuse_taken(port: int) -> None:
    """Raise UserError if nothing can listen on the port: Dagster would say so in thirty lines."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise UserError(
            f"port {port} cannot be used ({os.strerror(error.errno or 0)}): choose another, e.g. --port {port + 1}"
        ) from error


class Services:
    """The processes of `dagster dev`, in a group of their own: Ctrl-C reaches them once, through us."""

    def __init__(self, workspace: Path, port: int, environment: Mapping[str, str]) -> None:
        self._url = f"http://{HOST}:{port}"
        self._command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", HOST, "-p", str(port)]
        # Each evaluation of a sensor is ten lines else; what runs and fails is told by the UI.
        self._command += ["--log-level", "error"]
        # `dg dev`, its successor, wants a project's folder layout.
        self._environment = {**environment, "PYTHONWARNINGS": "ignore:Function `dev_command` is superseded"}
        self._stopping = False

    def run(self, console: Console) -> int:
        """Run until a signal ends it; 0 if it was asked to end, 1 if it ended by itself. No process is left behind."""
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means it
            signals.append(signal.SIGHUP)
        # Before the start: what a shell ignores in the background would be ignored by the children too.
        before = {number: signal.signal(number, self._stop) for number in signals}
        process = subprocess.Popen(self._command, env=self._environment, start_new_session=True)  # noqa: S603  # ours
        try:
            with console.status("Starting Dagster's web UI and daemon"):
                ready = self._wait_ready(process)
            if ready:
                console.print(f"The asset graph: [bold]{self._url}[/]  (Ctrl-C ends it)")
            self._wait(process)
            if self._stopping:
                console.print("Stopping")
        finally:
            _end_group(process)
            for number, handler in before.items():
                signal.signal(number, handler)
        return 0 if self._stopping else 1

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _wait_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        while not self._stopping and process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self._url}/server_info", trust_env=False).is_success:
                    return True
            time.sleep(POLL_SECONDS)
        return False

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        while not self._stopping and process.poll() is None:
            time.sleep(POLL_SECONDS)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End what is left of the group, the runs of the daemon included: first by asking, then by force."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # to the first alone: it ends the others in order
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    deadline = time.monotonic() + GRACE_SECONDS
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # a dead leader that nobody asked after still counts as alive
            os.killpg(process.pid, 0)
            time.sleep(POLL_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
