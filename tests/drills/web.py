"""A running `kshift up`: started as a user does, asked as its own web UI asks, ended by its own process id."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 180


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment(settings: dict[str, str]) -> dict[str, str]:
    """That of the tester, without the tester's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KSHIFT_", "DAGSTER_"))}
    return kept | settings


def kshift(*arguments: str, settings: dict[str, str]) -> None:
    """Run the console command to its good end."""
    command = [sys.executable, "-m", "serving.cli", *arguments]
    found = subprocess.run(
        command,
        env=environment(settings),
        cwd=tempfile.gettempdir(),  # no `.env` of the tester
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def until(what: str, seconds: float, ask: Callable[[], Any]) -> Any:
    """The first answer that is not false; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(1)
    message = f"waited {seconds} s in vain for {what}"
    raise AssertionError(message)


class Web:
    """The GraphQL of a running web UI."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    def is_up(self) -> bool:
        try:
            return self.client.get("/server_info").is_success
        except httpx.TransportError:
            return False

    def ask(self, query: str, **variables: Any) -> Any:
        answer = self.client.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch_backfill(self, assets: list[str], months: list[str]) -> str:
        """Start a backfill with the mutation that the button 'Launch backfill' sends; returns its id."""
        found = self.ask(
            """
            mutation ($params: LaunchBackfillParams!) {
              launchPartitionBackfill(backfillParams: $params) {
                __typename
                ... on LaunchBackfillSuccess { backfillId }
                ... on Error { message }
              }
            }
            """,
            params={
                "partitionNames": months,
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
                "title": "drill",
            },
        )["launchPartitionBackfill"]
        assert found["__typename"] == "LaunchBackfillSuccess", found
        return str(found["backfillId"])

    def backfill(self, backfill_id: str) -> Any:
        """Its status, error and runs."""
        return self.ask(
            """
            query ($id: String!) {
              partitionBackfillOrError(backfillId: $id) {
                ... on PartitionBackfill { status error { message } runs { id runStatus tags { key value } } }
              }
            }
            """,
            id=backfill_id,
        )["partitionBackfillOrError"]

    def instigators(self) -> dict[str, str]:
        """Sensor or schedule → RUNNING or STOPPED; empty until the code location is loaded."""
        found = self.ask(
            """
            query {
              repositoriesOrError {
                ... on RepositoryConnection {
                  nodes { sensors { name sensorState { status } } schedules { name scheduleState { status } } }
                }
                ... on Error { message }
              }
            }
            """
        )["repositoriesOrError"]
        assert "message" not in found, found
        return {
            one["name"]: (one.get("sensorState") or one["scheduleState"])["status"]
            for node in found["nodes"]
            for one in node["sensors"] + node["schedules"]
        }


@contextmanager
def running(settings: dict[str, str], log: Path) -> Iterator[Web]:
    """`kshift up` on a free port, up when entered; SIGTERM must end it and all its children when left."""
    web = Web(free_port())
    command = [sys.executable, "-m", "serving.cli", "up", "--port", str(web.port)]
    with web.client, log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env=environment(settings),
            cwd=tempfile.gettempdir(),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until("the web UI", START_SECONDS, lambda: web.is_up() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield web
            children = descendants(process.pid)
            assert len(children) >= 3, children  # the web server, the daemon, the code
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
            left = [pid for pid in children if is_alive(pid)]
            assert not left, f"still there after its end: {left}"
        finally:
            if process.poll() is None:
                process.terminate()  # it ends its own children
                process.wait(60)


def descendants(pid: int) -> list[int]:
    """All processes below one, by what the kernel says."""
    found = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for child in found for below in descendants(child)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
