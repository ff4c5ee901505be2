"""The polite HTTP client: one request at a time for each host, silence when asked for it, nothing believed unread."""

import ipaddress
import logging
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
import stamina
from pydantic import SecretStr

from resources.breaker import Patience
from resources.clock import Clock, SystemClock
from resources.errors import UserError
from resources.exchange import Fetch, Limits, Request, Response, new_id, retry_after_seconds
from resources.gate import Gate, Turn
from resources.redaction import excerpt, redact
from resources.source_errors import (
    NoConnection,
    RedirectRefused,
    SourceOpen,
    StreamBroken,
    TooManyRequests,
    TransientError,
    error_for,
)

NO_TOKEN = SecretStr("")
ERROR_BODY = 65_536
MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})

T = TypeVar("T")

_log = logging.getLogger("kshift.http")


@dataclass(frozen=True)
class Access:
    """How a host is approached: with which token, how patiently, and, for tests, on what clock and over what wire."""

    token: SecretStr = NO_TOKEN
    patience: Patience = field(default_factory=Patience)
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=SystemClock)
    transport: httpx.BaseTransport | None = None


class PoliteClient:
    """Asks one host, as a good guest does.

    Over all processes at most one request is in flight, from its first byte to the last of its answer. After a 429
    nobody asks until the silence is over. A request that fails in passing is tried again; a host that keeps failing
    is left alone until the breaker's pause is over, then probed once.
    """

    def __init__(  # each is one property of the host or of us
        self,
        url: str,
        *,
        source: str,
        state: Path,
        contact: str = "",
        access: Access | None = None,
        on_fetch: Callable[[Fetch], None] | None = None,
    ) -> None:
        """`source` names the host in errors and in the fetch log; `state` is the folder that all processes share.

        `on_fetch` hears of every request while the turn is still held: it should only take note.
        """
        access = access or Access()
        self.patience, self.limits, self.clock = access.patience, access.limits, access.clock
        parts = urlsplit(url)
        self.source, self.on_fetch = source, on_fetch
        self._is_local = _is_loopback(parts.hostname or "")
        if access.token.get_secret_value() and parts.scheme != "https" and not self._is_local:
            raise UserError(f"{url} is not encrypted: a token is only sent over https")
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
        self.gate = Gate(state, f"{parts.hostname}_{port}", self.clock, self.patience.quiet_seconds)
        self._url, self._token, self._transport = httpx.URL(url), access.token, access.transport
        self._agent = user_agent(contact)
        self._client: httpx.Client | None = None
        self._owner = 0

    def ask(self, request: Request, read: Callable[[Response], T]) -> T:
        """Send a request and hand its answer to `read`, which must take it to its end; gives what `read` gives.

        `read` runs anew for each try. Raises a SourceError that says what came instead; SourceOpen at once while the
        breaker is open.
        """
        for attempt in stamina.retry_context(
            on=TransientError,
            attempts=self.limits.attempts,
            timeout=None,
            wait_initial=self.limits.retry_seconds,
            wait_max=max(60.0, self.limits.retry_seconds),
            wait_jitter=self.limits.retry_seconds,
        ):
            with attempt:
                return self._in_turn(request, read)
        raise AssertionError("stamina tries at least once")

    def close(self) -> None:
        """Give the connection back; happens by itself when nobody holds the client any more."""
        if self._client is not None and self._owner == os.getpid():
            self._client.close()
        self._client = None

    def __enter__(self) -> Self:
        """Itself; the connection is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def _in_turn(self, request: Request, read: Callable[[Response], T]) -> T:
        asked, n_redirects = request, 0
        with self.gate.turn() as turn:
            while True:
                self._wait_until_welcome(turn)
                try:
                    return self._exchange(turn, asked, read)
                except TooManyRequests as error:
                    _log.warning("%s", error)  # the next round waits, or gives up if this opened the breaker
                except _Redirected as redirect:
                    n_redirects += 1
                    if n_redirects > MOST_REDIRECTS:
                        raise RedirectRefused(f"{self._named(request)}: redirected again and again") from redirect
                    asked = replace(request, path=redirect.url, params={})

    def _wait_until_welcome(self, turn: Turn) -> None:
        state = turn.state
        pause, quiet = state.pause_left(self.clock), state.quiet_left(self.clock)
        longest = max(self.patience.longest_seconds, self.patience.quiet_seconds)
        if pause > 0 or quiet > longest:
            until = datetime.fromtimestamp(self.clock.wall() + max(pause, quiet), UTC)
            why = f"{state.failures} requests in a row failed" if pause > 0 else "it asked for a long silence"
            raise SourceOpen(f"{self.source} is left alone until {until:%Y-%m-%d %H:%M:%S} UTC: {why}", until)
        if quiet > 0:
            _log.warning("%s asked for silence: waiting %.0f s", self.source, quiet)
        while (seconds := state.quiet_left(self.clock)) > 0:
            self.clock.sleep(seconds)
        if state.is_busy:
            self.clock.sleep(self.limits.settle_seconds)

    def _exchange(self, turn: Turn, request: Request, read: Callable[[Response], T]) -> T:
        started, tick = datetime.fromtimestamp(self.clock.wall(), UTC), self.clock.steady()
        id_fetch = new_id(started)
        response: Response | None = None
        failure: Exception | None = None
        turn.save(replace(turn.state, is_busy=True))
        try:
            with self._sent(request) as raw:
                response = Response(raw, self._named(request), self.limits, self.clock, (id_fetch, started))
                return self._read(request, response, read)
        except httpx.TransportError as error:
            how = "took too long to answer" if isinstance(error, httpx.TimeoutException) else "could not be reached"
            failure = NoConnection(f"{self._named(request)}: the host {how} ({self._clean(str(error))})")
            raise failure from error
        except Exception as error:
            failure = error
            raise
        finally:
            wrong = failure or (response.error if response else None)
            self._remember(turn, response, wrong)
            if self.on_fetch:
                self.on_fetch(
                    Fetch(
                        id_fetch=id_fetch,
                        val_source=self.source,
                        val_request=self._clean(str(request)),
                        tm_started=started,
                        n_status=response.status if response else None,
                        n_rows=response.n_rows if response else 0,
                        n_bytes=response.n_bytes if response else 0,
                        n_duration_ms=round((self.clock.steady() - tick) * 1000),
                        val_error=self._clean(str(wrong)) if wrong else None,
                    )
                )

    @contextmanager
    def _sent(self, request: Request) -> Iterator[httpx.Response]:
        headers = {"Accept-Encoding": "gzip", **request.headers}
        if secret := self._token.get_secret_value():
            headers["Authorization"] = f"Bearer {secret}"
        client = self._connected()
        sent = client.build_request(
            request.method,
            request.path,
            params=dict(request.params) or None,
            headers=headers,
            content=request.content,
        )
        response = client.send(sent, stream=True)
        try:
            yield response
        finally:
            response.close()  # if it was not read to its end, this closes the connection too

    def _connected(self) -> httpx.Client:
        if self._client is None or self._owner != os.getpid():  # a connection must not be shared with a fork
            self._client = httpx.Client(
                base_url=self._url,
                headers={"User-Agent": self._agent},
                timeout=httpx.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds),
                limits=httpx.Limits(max_connections=1),
                follow_redirects=False,
                trust_env=not self._is_local,  # a proxy cannot reach our own loopback
                transport=self._transport,
            )
            self._owner = os.getpid()
            weakref.finalize(self, self._client.close)
        return self._client

    def _read(self, request: Request, response: Response, read: Callable[[Response], T]) -> T:
        if response.status not in request.ok:
            raise self._unwanted(request, response)
        return read(response)

    def _unwanted(self, request: Request, response: Response) -> Exception:
        if response.status in REDIRECTS:
            return self._redirect(request, response)
        said = b""
        try:
            for chunk in response.chunks():
                said += chunk
                if len(said) > ERROR_BODY:
                    break
        except StreamBroken:
            said += b" (broke off)"
        text = excerpt(said, self._token.get_secret_value())
        error = error_for(response.status, f"{self._named(request)}: answered {response.status} {text}".rstrip())
        if isinstance(error, TooManyRequests):
            error.retry_after = retry_after_seconds(response.headers, self.clock.wall())
        return error

    def _redirect(self, request: Request, response: Response) -> Exception:
        named = self._named(request)
        try:
            target = self._url.join(request.path).join(response.headers.get("location", ""))
        except httpx.InvalidURL:
            return RedirectRefused(f"{named}: redirected to something that is no address")
        if (target.scheme, target.host, target.port) != (self._url.scheme, self._url.host, self._url.port):
            host = excerpt(f"{target.scheme}://{target.host}".encode())
            return RedirectRefused(f"{named}: redirected to another host, {host}: not followed")
        if request.method != "GET":
            return RedirectRefused(f"{named}: redirected, which is followed for GET only")
        response.body()
        return _Redirected(str(target))

    def _remember(self, turn: Turn, response: Response | None, error: Exception | None) -> None:
        """Tell all processes how it went."""
        state = turn.state
        if isinstance(error, TooManyRequests):
            state = state.after_refusal(self.patience, self.clock, error.retry_after)
        elif isinstance(error, TransientError) and not (response and response.n_rows):
            state = state.after_failure(self.patience, self.clock)
        elif response is not None:
            state = state.after_success()
        is_never_sent = isinstance(error, NoConnection) and isinstance(
            error.__cause__, httpx.ConnectError | httpx.ConnectTimeout
        )
        is_over = is_never_sent or (response is not None and response.is_read)
        state = replace(state, is_busy=not is_over)
        turn.save(state, durable=state.quiet != turn.state.quiet or state.pause != turn.state.pause)

    def _named(self, request: Request) -> str:
        return self._clean(f"{self.source}, {request.method} {request.path}")

    def _clean(self, text: str) -> str:
        return redact(text, self._token.get_secret_value())


class _Redirected(Exception):
    """The same host has it at another address."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


def user_agent(contact: str) -> str:
    """Who we are: project, version, and where to complain."""
    if not contact.isascii() or not contact.isprintable():
        raise UserError(f"the contact {contact!r} cannot be sent: write an e-mail address or a URL")
    return f"KnightShift/{version('knightshift')} (+{contact or 'no contact given'})"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
