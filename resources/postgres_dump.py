"""Dagster's storage in Postgres: written out, as one moment has it, and read back by Postgres's own tools."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from resources.errors import UserError

FILE = "dagster.dump"
CHUNK_BYTES = 1 << 20
# pragma: allowlist nextline secret
_VARIABLES = {"hostname": "PGHOST", "port": "PGPORT", "username": "PGUSER", "password": "PGPASSWORD"}


class PostgresFailed(Exception):
    """One of Postgres's tools did not do it; the message is its own."""


@dataclass(frozen=True)
class Exported:
    """A moment of a database that a dump can see as long as the connection that exported it is open."""

    address: SecretStr
    snapshot: str

    def dump(self) -> Iterator[bytes]:
        """The database in Postgres's own form. Raises PostgresFailed."""
        command = [_tool("pg_dump"), "--format=custom", "--compress=0", "--no-owner", f"--snapshot={self.snapshot}"]
        with tempfile.TemporaryFile() as told:
            process = subprocess.Popen(  # noqa: S603  # its own arguments
                command, env=_environment(self.address), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told
            )
            with process:
                while process.stdout and (chunk := process.stdout.read(CHUNK_BYTES)):
                    yield chunk
            if process.returncode:
                raise PostgresFailed(_last_words(told))


@contextmanager
def exported(address: SecretStr) -> Iterator[Exported]:
    """Keep a moment of the database until the block ends; nobody waits for it. Raises PostgresFailed."""
    import psycopg2  # noqa: PLC0415  # an extra: whoever has such a storage has it

    _tool("pg_dump")
    try:
        connection = psycopg2.connect(address.get_secret_value().replace("+psycopg2", "", 1))
    except psycopg2.OperationalError as error:
        raise PostgresFailed(str(error).strip()) from None  # the cause may show the password
    try:
        connection.set_session("REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_export_snapshot()")
            yield Exported(address, cursor.fetchone()[0])
    finally:
        connection.close()


def put_back(address: SecretStr, chunks: Iterable[bytes], *, again: bool) -> None:
    """Fill an empty database from a dump, whole or not at all; `again` replaces what an earlier try put there.

    Raises PostgresFailed.
    """
    command = [_tool("pg_restore"), "--exit-on-error", "--single-transaction", "--no-owner"]
    command += ["--clean", "--if-exists"] if again else []
    environment = _environment(address)
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(  # noqa: S603  # its own arguments
            [*command, f"--dbname={environment['PGDATABASE']}"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=told,
        )
        with suppress(BrokenPipeError), process:  # it says itself why it takes no more
            for chunk in chunks:
                if process.stdin:
                    process.stdin.write(chunk)
        if process.returncode:
            raise PostgresFailed(_last_words(told))


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UserError(f"Dagster's storage is in Postgres, and {name} is not here: apt install postgresql-client")
    return found


def _environment(address: SecretStr) -> dict[str, str]:
    """Where the database is, as Postgres's tools take it: an argument would show the password to everybody."""
    parts = urlsplit(address.get_secret_value())
    given = {
        variable: unquote(str(getattr(parts, name))) for name, variable in _VARIABLES.items() if getattr(parts, name)
    }
    return os.environ | given | {"PGDATABASE": parts.path.lstrip("/")}


def _last_words(told: IO[bytes]) -> str:
    told.seek(0)
    return " ".join(told.read().decode("utf-8", "replace").split())[-300:] or "it ended without a word"
