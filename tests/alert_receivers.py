"""Receivers of alerts for tests: a real HTTP server and a real SMTP server on this machine, which may be down."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Hook:
    """A webhook: the messages that it took, and the status that it answers."""

    port: int = 0
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T000/B000/hooksecret"

    @property
    def titles(self) -> list[str]:
        return [message["text"].splitlines()[0].removeprefix("[KnightShift] ") for message in self.messages]

    @contextmanager
    def up(self) -> Iterator["Hook"]:
        """Listen, on the same port each time."""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status == 200:
                    hook.messages.append(json.loads(body))
                self.send_response(hook.status)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@dataclass
class Post:
    """A mail server: the mails that it took, and who logged in. With a certificate it encrypts and asks for a login."""

    port: int = field(default_factory=free_port)
    mails: list[Message] = field(default_factory=list)
    certificate: ssl.SSLContext | None = None
    encrypts_at_once: bool = False
    logins: list[tuple[str, str]] = field(default_factory=list)

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _way: str, told: Any) -> AuthResult:
        self.logins.append((told.login.decode(), told.password.decode()))
        return AuthResult(success=self.logins[-1] == ("me", "sesame"), handled=False)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content or b""))
        return "250 taken"

    @contextmanager
    def up(self) -> Iterator["Post"]:
        options: dict[str, Any] = {}
        if self.certificate:
            options = {"authenticator": self._authenticate}
            # aiosmtpd takes only what STARTTLS began for encrypted.
            at_once, later = {"auth_require_tls": False}, {"tls_context": self.certificate, "auth_required": True}
            options |= at_once if self.encrypts_at_once else later
        controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=self.certificate if self.encrypts_at_once else None,
            **options,
        )
        controller.start()
        try:
            yield self
        finally:
            controller.stop()
