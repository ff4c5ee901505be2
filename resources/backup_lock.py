"""One backup at a time in a target, from whatever machine: a kernel lock in a folder, a lease in an object store."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING

import obstore
import orjson
from filelock import FileLock, Timeout
from obstore.exceptions import AlreadyExistsError, PreconditionError

from resources.backup_store import BackupStore
from resources.errors import UserError

if TYPE_CHECKING:  # it is nowhere else
    from obstore import UpdateVersion

LOCK = "lock"
LEASE_SECONDS = 300.0


@contextmanager
def locked(store: BackupStore) -> Iterator[None]:
    """Keep others out until the block ends; UserError if there is another backup under way."""
    if store.folder:
        lock = FileLock(store.folder / f".{LOCK}", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise UserError(f"another backup to {store.target} is under way: wait until it is done") from None
        try:
            yield
        finally:
            lock.release()
        return
    with _lease(store):
        yield


@contextmanager
def _lease(store: BackupStore) -> Iterator[None]:
    """An object that says until when; who is killed leaves it, and it runs out by itself."""
    name, is_over = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}", Event()
    _take(store, name)

    def renew() -> None:
        while not is_over.wait(LEASE_SECONDS / 5):
            with suppress(Exception):  # once more a minute later, before it runs out
                obstore.put(store.store, LOCK, _lease_of(name))

    thread = Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        obstore.delete(store.store, LOCK)


def _take(store: BackupStore, name: str) -> None:
    try:
        obstore.put(store.store, LOCK, _lease_of(name), mode="create")
    except (AlreadyExistsError, PreconditionError):
        found = obstore.get(store.store, LOCK)
        held = orjson.loads(bytes(found.bytes()))
        if held["until"] > time.time():
            until = datetime.fromtimestamp(held["until"], UTC)
            raise UserError(
                f"another backup to {store.target} is under way ({held['by'].rsplit(' ', 1)[0]}), or was killed: "
                f"try again after {until:%H:%M:%S} UTC"
            ) from None
        try:  # of two that find it run out, one
            unchanged: UpdateVersion = {"e_tag": found.meta["e_tag"]}
            obstore.put(store.store, LOCK, _lease_of(name), mode=unchanged)
        except PreconditionError:
            raise UserError(f"another backup to {store.target} has just begun: wait until it is done") from None


def _lease_of(name: str) -> bytes:
    return orjson.dumps({"by": name, "until": time.time() + LEASE_SECONDS})
