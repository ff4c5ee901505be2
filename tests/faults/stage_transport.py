"""The replay server's stage as a transport of httpx: the same answers and the same faults, without sockets or waiting.

What httpx makes of each ending on a real socket, test_stage_transport.py compares with what is raised here.
"""

from collections.abc import Callable, Iterator
from random import Random
from urllib.parse import parse_qsl, unquote

import httpx
from clocks import HandClock

from serving.replay_api import Question
from serving.replay_stage import Asked, Stage
from serving.replay_wire import Ending, Script

HEAD_SECONDS = 0.05
PIECE_SECONDS = 0.002


class StageTransport(httpx.BaseTransport):
    """Hands each request to the stage, and lets its script arrive in pieces of any size while simulated time passes."""

    def __init__(
        self,
        stage: Stage,
        clock: HandClock,
        chance: Random,
        unreachable: Callable[[], httpx.TransportError | None] = lambda: None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """`unreachable` says why a request does not even reach the stage; `meanwhile` runs in the middle of answers."""
        self.stage, self.clock, self.chance = stage, clock, chance
        self.unreachable, self.meanwhile = unreachable, meanwhile

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request and its answer."""
        if error := self.unreachable():
            self.clock.pass_time(1)
            raise error
        longest = float(request.extensions["timeout"]["read"])
        asked, sent = self.stage.open(_question(request))
        self.clock.pass_time(min(HEAD_SECONDS + sent.seconds, longest))
        if sent.ending is Ending.REFUSED or sent.seconds >= longest:
            self.stage.close(asked)
            raise httpx.ReadTimeout("timed out") if sent.seconds >= longest else httpx.ReadError("reset")
        body = _Body(self, asked, sent, longest)
        return httpx.Response(sent.status, headers=list(sent.headers), stream=body, request=request)


class _Body(httpx.SyncByteStream):
    def __init__(self, transport: StageTransport, asked: Asked, sent: Script, longest: float) -> None:
        self.transport, self.asked, self.sent, self.longest = transport, asked, sent, longest

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces of random size, then its ending."""
        body = b"".join(self.sent.pieces)
        start = 0
        while start < len(body):
            size = self.transport.chance.choice((1, 100, 1_000, 5_000, 65_536, 65_536))
            self.transport.clock.pass_time(PIECE_SECONDS)
            self.transport.meanwhile()
            yield body[start : start + size]
            start += size
        yield from self._end(len(body))
        self.close()

    def _end(self, n_sent: int) -> Iterator[bytes]:
        announced = dict(self.sent.headers).get("Content-Length")
        is_all_there = self.sent.framing == "length" and announced is not None and n_sent >= int(announced)
        match self.sent.ending:
            case Ending.WHOLE | Ending.CLEAN:
                return
            case _ if is_all_there:
                return
            case Ending.STALLED:
                self.transport.clock.pass_time(self.longest)
                raise httpx.ReadTimeout("timed out")
            case Ending.RESET:
                raise httpx.ReadError("[Errno 104] Connection reset by peer")
            case Ending.IN_CHUNK:
                yield b'{"id":"'
                raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
            case Ending.IN_CHUNK_HEAD:
                raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
            case _ if self.sent.framing != "close":
                raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    def close(self) -> None:
        """The answer is over, read to its end or not."""
        self.transport.stage.close(self.asked)


def _question(request: httpx.Request) -> Question:
    params = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Question(request.method, unquote(request.url.path), params, headers, request.read())
