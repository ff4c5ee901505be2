"""One question to a host and its answer: what is asked, how the answer is read, what is written down about both."""

import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from resources.clock import Clock
from resources.lines import Line, Truncated, gunzip, split
from resources.source_errors import StreamBroken

LONGEST_RETRY_AFTER = 86_400.0


@dataclass(frozen=True)
class Limits:
    """How long and how much to put up with."""

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    """Longest silence before an answer and in the middle of it."""
    whole_seconds: float = 900.0
    """Longest answer, from its head to its last byte."""
    body_bytes: int = 256 << 20
    line_bytes: int = 4 << 20
    attempts: int = 3
    """Times that one request is tried, when it fails in a way that may pass."""
    retry_seconds: float = 1.0
    """Pause before the second try; doubles up to a minute."""
    settle_seconds: float = 1.0
    """Pause after an answer that was not read to its end, so that the host notices that nobody reads on."""


@dataclass(frozen=True)
class Request:
    """What to ask of a host."""

    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    ok: frozenset[int] = frozenset({200})
    """Statuses that count as an answer."""

    def __str__(self) -> str:
        """The request in one line, as logs show it."""
        query = "&".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.method} {self.path}{'?' if query else ''}{query}"


@dataclass(frozen=True)
class Fetch:
    """One request as it went, answered or not: a row of the fetch log."""

    id_fetch: str
    val_source: str
    val_request: str
    tm_started: datetime
    n_status: int | None
    n_rows: int
    n_bytes: int
    n_duration_ms: int
    val_error: str | None


class Response:
    """An answer while it arrives. Reading it raises StreamBroken when it breaks off, stalls or grows too large."""

    def __init__(
        self, raw: httpx.Response, what: str, limits: Limits, clock: Clock, fetch: tuple[str, datetime]
    ) -> None:
        """`what` names the request in errors; `fetch` is the id and the time of the request."""
        self.id_fetch, self.tm_started = fetch
        self.status, self.headers, self.what = raw.status_code, raw.headers, what
        self.n_bytes = self.n_rows = 0
        self.is_read = False
        self.error: StreamBroken | None = None
        self._raw, self._limits, self._clock = raw, limits, clock
        self._deadline = clock.steady() + limits.whole_seconds

    def chunks(self) -> Iterator[bytes]:
        """The body, unpacked, as it comes."""
        try:
            for chunk in self._unpacked():
                self.n_bytes += len(chunk)
                if self.n_bytes > self._limits.body_bytes:
                    raise self._broken(f"is larger than {self._limits.body_bytes:,} bytes")
                yield chunk
        except httpx.TimeoutException as error:
            raise self._broken(f"stalled for {self._limits.read_seconds:g} s") from error
        except (httpx.TransportError, Truncated) as error:
            raise self._broken(f"broke off: {error}") from error
        self.is_read = True

    def lines(self) -> Iterator[Line]:
        """The body's lines that hold anything; blank ones only keep a connection alive."""
        for line in split(self.chunks(), self._limits.line_bytes):
            if line.data.strip():
                self.n_rows += 1
                yield line

    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def _unpacked(self) -> Iterator[bytes]:
        packing = self.headers.get("content-encoding", "identity").strip().lower()
        if packing == "gzip":
            return gunzip(self._timed())
        if packing not in ("", "identity"):
            raise self._broken(f"is packed as {packing[:20]!r}, which was not asked for")
        return self._timed()

    def _timed(self) -> Iterator[bytes]:
        for chunk in self._raw.iter_raw():
            if self._clock.steady() > self._deadline:
                raise self._broken(f"took longer than {self._limits.whole_seconds:g} s")
            yield chunk

    def _broken(self, how: str) -> StreamBroken:
        self.error = StreamBroken(f"{self.what}: the answer {how} (after {self.n_bytes:,} bytes)")
        return self.error


def new_id(moment: datetime) -> str:
    """A new id that sorts by time (UUID version 7, RFC 9562)."""
    milliseconds = int(moment.timestamp() * 1000)
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date (RFC 9110, 10.2.3), at most a day; None for garbage.

    A date is measured from the server's own `Date` where it sends one, since our clock may be wrong.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_RETRY_AFTER)
    wanted, there = _http_date(value), _http_date(headers.get("date", ""))
    if wanted is None:
        return None
    seconds = (wanted - (there or datetime.fromtimestamp(now, UTC))) / timedelta(seconds=1)
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
