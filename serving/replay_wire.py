"""How the replay server's answers travel, or fail to: faults, and HTTP/1.1 by hand so that half a chunk can be sent."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from serving.replay_api import Answer, Question


class Ending(Enum):
    """How an answer ends."""

    WHOLE = "all of it, ended properly"
    CLEAN = "cut, yet ended properly, as a proxy does that gives up"
    CLOSED = "cut by closing the connection"
    RESET = "cut by a reset"
    STALLED = "cut, the connection left open in silence"
    IN_CHUNK = "cut in the middle of a chunk, then closed"
    IN_CHUNK_HEAD = "cut in the middle of a chunk's length, then reset"
    REFUSED = "closed before a byte was answered"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer."""

    ending: Ending = Ending.WHOLE
    cut_at: int = 0
    """Bytes of the body, as sent, before the cut."""
    change: Callable[[Answer], Answer] | None = None
    """Another answer instead: other status, other lines."""
    is_packed: bool = False
    """Sent as gzip."""
    is_unframed: bool = False
    """Sent with neither length nor chunks: the end is where the connection closes."""
    seconds: float = 0.0
    """Pause before the answer."""
    name: str = ""


NO_FAULT = Fault()

Plan = Callable[[int, Question], Fault | None]
"""Given the number of a request, from 0, and the request, what goes wrong with its answer."""


@dataclass(frozen=True)
class Script:
    """Exactly what is sent: a head, pieces of a body, and an ending."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Iterable[bytes]
    framing: str
    """`length`, `chunked` or `close`."""
    ending: Ending
    seconds: float
    n_games: int


def script(answer: Answer, fault: Fault) -> Script:
    """The answer as the fault lets it out."""
    if fault.change:
        answer = fault.change(answer)
    pieces, length, headers = answer.pieces, answer.length, answer.headers
    if fault.is_packed:
        packed = gzip.compress(b"".join(pieces))
        pieces, length = [packed], None
        headers = (*headers, ("Content-Encoding", "gzip"))
    if fault.ending is Ending.CLEAN and length is not None:
        length = min(length, fault.cut_at)  # a proxy that gives up names the length of what it has
    framing = "close" if fault.is_unframed else "chunked" if length is None else "length"
    if framing == "length":
        headers = (*headers, ("Content-Length", str(length)))
    if fault.ending is not Ending.WHOLE:
        pieces = _until(pieces, fault.cut_at)
    return Script(answer.status, headers, pieces, framing, fault.ending, fault.seconds, answer.n_games)


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Answer], Answer]:
    """A change to an export's lines."""

    def changed(answer: Answer) -> Answer:
        return replace(answer, pieces=tuple(change(list(answer.pieces))))

    return changed


def head(sent: Script) -> bytes:
    """Status line and headers."""
    framing = {"chunked": ("Transfer-Encoding", "chunked"), "close": ("Connection", "close")}.get(sent.framing)
    headers = (*sent.headers, ("Access-Control-Allow-Origin", "*"), *((framing,) if framing else ()))
    listed = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {sent.status} {_REASONS.get(sent.status, 'Status')}\r\n{listed}\r\n".encode("latin-1")


def framed(piece: bytes, framing: str) -> bytes:
    """A piece of the body as it goes over the wire."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" and piece else piece


def _until(pieces: Iterable[bytes], cut_at: int) -> Iterator[bytes]:
    left = cut_at
    for piece in pieces:
        if left <= 0:
            return
        yield piece[:left]
        left -= len(piece)


_REASONS = {
    200: "OK",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    406: "Not Acceptable",
    410: "Gone",
    416: "Range Not Satisfiable",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
