"""A server of dumps on loopback that can misbehave: broken lines, wrong answers, files that change."""

import hashlib
import random
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event

import zstandard

MONTH = "2013-01"
NAME = f"lichess_db_standard_rated_{MONTH}.pgn.zst"
PATH = f"/standard/{NAME}"
SUMS = "/standard/sha256sums.txt"
FILE = zstandard.compress(random.Random(1).randbytes(3 << 20))  # incompressible, and always the same


@dataclass
class Answer:
    """What the server does with one request for the dump; the defaults are those of a good server."""

    status: int | None = None
    body: bytes = FILE
    etag: str | None = '"one"'
    n_sent: int | None = None  # bytes until the connection breaks
    ranges: bool = True
    length: bool | int = True  # a number: a lie about it
    heeds_if_range: bool = True
    most: int | None = None  # bytes of a range that it sends at once
    stalls: bool = False  # after what is sent, the connection stays open
    headers: dict[str, str] = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    """Gives the answers of its script, then good ones, and notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Answer] = []
        self.default = Answer()
        self.sums: bytes | None = f"{hashlib.sha256(FILE).hexdigest()}  {NAME}\n".encode()
        self.asked: list[tuple[str | None, str | None]] = []
        self.agents: set[str | None] = set()
        self.sums_script: list[int] = []
        self.released = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.agents.add(self.headers["User-Agent"])
        if self.path == SUMS:
            self._give_sums()
        elif self.path == PATH:
            self.server.asked.append((self.headers["Range"], self.headers["If-Range"]))
            self._give(self.server.script.pop(0) if self.server.script else self.server.default)
        else:
            self.send_error(404)

    def _give_sums(self) -> None:
        if self.server.sums_script:
            self.send_error(self.server.sums_script.pop(0))
        elif self.server.sums is None:
            self.send_error(404)
        else:
            self._send(200, self.server.sums, {"Content-Length": str(len(self.server.sums))})

    def _give(self, answer: Answer) -> None:
        headers = dict(answer.headers)
        if answer.status is not None:
            self._send(answer.status, b"no", headers | {"Content-Length": "2"})
            return
        if answer.etag:
            headers["ETag"] = answer.etag
        body, start, status = answer.body, 0, 200
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        if answer.ranges and wanted and (condition in (None, answer.etag) or not answer.heeds_if_range):
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(body):
                self._send(416, b"", {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
                return
            end = len(body) if answer.most is None else min(start + answer.most, len(body))
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
            body = body[:end]
        part = body[start:]
        if answer.length:
            headers["Content-Length"] = str(len(part) if answer.length is True else answer.length)
        self._send(status, part if answer.n_sent is None else part[: answer.n_sent], headers)
        if answer.stalls:
            self.server.released.wait(30)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""
