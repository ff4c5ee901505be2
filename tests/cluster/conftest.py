"""Servers for the tests of the cluster, each a process of its own on a free port: S3 (moto), Redis, Postgres."""

import getpass
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from drills.web import free_port

START_SECONDS = 60
# Debian keeps Postgres's own programs out of the path.
PROGRAMS = os.pathsep.join([os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))])

sys.path.insert(0, str(Path(__file__).parents[1] / "lake"))  # the races of the lake's own tests


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=PROGRAMS)
    return found or pytest.fail(f"{name} is missing: apt-get install {package}")


@contextmanager
def serving(command: list[str], log: Path, is_up: Callable[[], bool], **options: Any) -> Iterator[None]:
    """A server, from the moment that it answers until the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_up():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(START_SECONDS)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that reaches an S3-compatible server, which has a bucket `lake`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(url, trust_env=False).is_success
        return False

    log = tmp_path_factory.mktemp("s3") / "moto.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with serving(command, log, is_up):
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request"}
        httpx.put(f"{url}/lake", headers=signed, trust_env=False).raise_for_status()
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",  # pragma: allowlist secret
            "AWS_REGION": "us-east-1",
        }


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis that keeps nothing."""
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    client = program("redis-cli", "redis-server")

    def is_up() -> bool:
        asked = subprocess.run([client, "-p", str(port), "ping"], capture_output=True, text=True, check=False)
        return asked.stdout.strip() == "PONG"

    with serving(command, folder / "redis.log", is_up, cwd=folder):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of an empty Postgres; it does not run as root, so then as Debian's user for it.

    Its folder is not pytest's, which each start of pytest closes for all users but its own.
    """
    port, is_root = free_port(), getpass.getuser() == "root"
    account = pwd.getpwnam("postgres" if is_root else getpass.getuser())
    options: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid} if is_root else {}
    with tempfile.TemporaryDirectory(prefix="kshift-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data = folder / "data"
        if is_root:
            shutil.chown(folder, account.pw_uid, account.pw_gid)
        make = [program("initdb", "postgresql"), "-D", str(data), "-U", "dagster", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(make, capture_output=True, text=True, check=False, cwd=folder, **options)
        assert made.returncode == 0, made.stderr
        command = [program("postgres", "postgresql"), "-D", str(data), "-p", str(port), "-k", str(folder)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        ask = [program("pg_isready", "postgresql"), "-h", "127.0.0.1", "-p", str(port), "-q"]

        def is_up() -> bool:
            return subprocess.run(ask, check=False).returncode == 0

        with serving(command, folder / "postgres.log", is_up, cwd=folder, **options):
            yield f"postgresql://dagster@127.0.0.1:{port}/postgres"
