"""Large files over HTTP: fetched in pieces that survive interruptions, and believed only once their checksum fits."""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import stamina
from filelock import FileLock

from resources.exchange import retry_after_seconds
from resources.source_errors import NotThere, SourceError, StreamBroken, TooManyRequests, TransientError, error_for

MAX_LIST_BYTES = 4 << 20
"""Largest list of checksums that is read; Lichess's has 20 KB."""
ATTEMPTS = 6
QUIET_SECONDS = 60.0
"""Silence after a 429, at least."""

STEP_BYTES = 64 << 20

Progress = Callable[[str, int, int | None], object]
"""Hears the file's name, the bytes that are here, and the bytes that it has, if the server said so.

Called whenever a request begins, after every 64 MiB, and at the end.
"""

_log = logging.getLogger("kshift.downloads")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class DownloadFailed(SourceError):
    """A file could not be fetched or kept; what is here already stays, unless the message says otherwise."""


@dataclass(frozen=True)
class _Version:
    """Which version of the file a part belongs to: the server's strong ETag or date, and its size."""

    tag: str | None
    n_bytes: int | None


class Download:
    """One file on its way: `<target>.part` grows, `<target>.part.json` says of which version it is a part."""

    def __init__(self, client: httpx.Client, url: str, target: Path, sha256: str | None = None) -> None:
        """`sha256` is what the whole file must have; None where the server states none."""
        self._client, self._url, self._target, self._sha256 = client, url, target, sha256
        self._part = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    def run(self, progress: Progress | None = None) -> None:
        """Fetch the file, unless it is there. Goes on where an earlier run, or another process, stopped.

        Raises a SourceError, with one sentence, if that did not work.
        """
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._target.with_name(f"{self._target.name}.lock")):
                if not self._target.exists():
                    self._fetch_all(progress or _nobody)
                    self._check()
                    self._keep()
        except OSError as error:
            raise DownloadFailed(
                f"{self._part} could not be written ({error.strerror or error}): make room or choose another folder, "
                "and run again; the download goes on from there"
            ) from error

    def _fetch_all(self, progress: Progress) -> None:
        while True:
            before = _size(self._part)
            try:
                for attempt in _attempts():
                    with attempt:
                        self._fetch(progress)
            except TransientError as error:
                if _size(self._part) <= before:  # as long as something arrives, nobody gives up
                    raise DownloadFailed(f"{error}; run again, it goes on from there") from error
            else:
                return

    def _fetch(self, progress: Progress) -> None:
        """One request: for the rest of the part, if the server still has that version, else for the whole file."""
        version, here = self._known(), _size(self._part)
        if here and here == version.n_bytes:
            return
        headers = {"Accept-Encoding": "identity"}
        if here and (version.tag or self._sha256):
            headers["Range"] = f"bytes={here}-"
            if version.tag:
                headers["If-Range"] = version.tag
        try:
            with self._client.stream("GET", self._url, headers=headers) as response:
                self._receive(response, version, here, progress)
        except httpx.TransportError as error:
            raise StreamBroken(f"{self._url} broke off: {error or type(error).__name__}") from error

    def _receive(self, response: httpx.Response, version: _Version, here: int, progress: Progress) -> None:
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            n_bytes = self._rest_size(response, version, here)
        elif response.status_code == httpx.codes.OK:
            here, n_bytes = 0, _number(response.headers.get("Content-Length"))
            self._part.unlink(missing_ok=True)
            self._note.write_text(json.dumps(asdict(_Version(_strong_tag(response), n_bytes))))
        elif response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise self._start_over("has fewer bytes than are here already")
        else:
            raise _error_for(response)
        self._check_room(n_bytes, here)
        told = here
        progress(self._target.name, here, n_bytes)
        with self._part.open("ab") as part:
            for chunk in response.iter_raw():  # with a chunk size, httpx would throw away what a break leaves unfilled
                part.write(chunk)
                here += len(chunk)
                if here - told >= STEP_BYTES:
                    progress(self._target.name, here, n_bytes)
                    told = here
        progress(self._target.name, here, n_bytes)
        if n_bytes is not None and here != n_bytes:
            if here > n_bytes:
                raise self._start_over(f"sent {here:,} bytes where it has {n_bytes:,}")
            raise StreamBroken(f"{self._url} ended after {here:,} of {n_bytes:,} bytes")

    def _rest_size(self, response: httpx.Response, version: _Version, here: int) -> int | None:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        n_bytes = _number(found[2]) if found else None
        changed = version.tag is not None and _strong_tag(response) not in (None, version.tag)
        if not found or int(found[1]) != here or version.n_bytes not in (None, n_bytes) or changed:
            raise self._start_over("is not the file any more of which a part is here")
        return n_bytes

    def _check_room(self, n_bytes: int | None, here: int) -> None:
        free = shutil.disk_usage(self._part.parent).free
        if n_bytes is not None and n_bytes - here > free:
            raise DownloadFailed(
                f"{self._url} needs {n_bytes - here:,} more bytes, and {self._part.parent} has {free:,}: make room or "
                "choose another folder, and run again"
            )

    def _start_over(self, why: str) -> TransientError:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        return StreamBroken(f"{self._url} {why}: the download begins anew")

    def _known(self) -> _Version:
        try:
            noted = json.loads(self._note.read_text())
            return _Version(noted["tag"], noted["n_bytes"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # no note, or one that a power cut left torn
            self._part.unlink(missing_ok=True)
            return _Version(None, None)

    def _check(self) -> None:
        if self._sha256 is None:
            if self._known().n_bytes is None:
                self._start_over("")
                raise DownloadFailed(
                    f"{self._url} states neither its size nor a checksum: nobody can tell whether it arrived whole"
                )
            _log.warning("%s has no checksum on its server: only its size was checked", self._url)
        elif (found := sha256_of(self._part)) != self._sha256:
            self._start_over("")
            raise DownloadFailed(
                f"{self._url} arrived with the checksum {found[:12]}… instead of {self._sha256[:12]}… and was thrown "
                "away: run again, and if that does not help, the file or sha256sums.txt on the server is wrong"
            )

    def _keep(self) -> None:
        """Give the file its name once it is on the disk for good."""
        with self._part.open("rb") as part:
            os.fsync(part.fileno())
        self._part.replace(self._target)
        folder = os.open(self._target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._note.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(text: str) -> dict[str, str]:
    """File name → SHA-256, from the lines that `sha256sum` writes; other lines are left out."""
    found = re.findall(r"^([0-9a-fA-F]{64})[ \t]+\*?(\S+)[ \t]*\r?$", text, re.MULTILINE)
    return {name.rpartition("/")[2]: digest.lower() for digest, name in found}


def fetch_sums(client: httpx.Client, url: str) -> dict[str, str]:
    """The checksums that a server lists; none if it has no list."""
    for attempt in _attempts():
        with attempt:
            try:
                return read_sums(_small_text(client, url))
            except NotThere:
                return {}
    raise AssertionError("stamina tries at least once")


def _small_text(client: httpx.Client, url: str) -> str:
    data = bytearray()
    try:
        with client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise _error_for(response)
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MAX_LIST_BYTES:
                    raise DownloadFailed(f"{url} is longer than {MAX_LIST_BYTES:,} bytes: it is no list of checksums")
            expected = _number(response.headers.get("Content-Length"))
            if expected is not None and response.num_bytes_downloaded < expected:
                raise StreamBroken(f"{url} ended after {len(data):,} of {expected:,} bytes")
    except httpx.TransportError as error:
        raise StreamBroken(f"{url} broke off: {error or type(error).__name__}") from error
    return data.decode(errors="replace")


def _attempts() -> Iterable[AbstractContextManager[object]]:
    return stamina.retry_context(on=_wait_before_next, attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=60.0)


def _error_for(response: httpx.Response) -> SourceError:
    error = error_for(response.status_code, f"{response.url} answered {response.status_code}")
    if isinstance(error, TooManyRequests):
        error.retry_after = retry_after_seconds(response.headers, time.time())
    return error


def _wait_before_next(error: Exception) -> bool | float:
    """Whether to try again, and where the server asked for silence, after how many seconds."""
    if isinstance(error, TooManyRequests):
        return max(QUIET_SECONDS, error.retry_after or 0.0)
    return isinstance(error, TransientError)


def _strong_tag(response: httpx.Response) -> str | None:
    """What If-Range takes: a strong ETag, else the date of the last change (RFC 9110, 13.1.5)."""
    etag: str | None = response.headers.get("ETag")
    date: str | None = response.headers.get("Last-Modified")
    return etag if etag and etag.startswith('"') else date


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _nobody(_name: str, _here: int, _n_bytes: int | None) -> None:
    """Nobody listens."""
