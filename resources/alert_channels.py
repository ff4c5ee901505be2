"""The ways in which an alert reaches people: a file, a webhook, mail, a command. Each says so when it does not."""

import json
import shlex
import smtplib
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import httpx

from resources.redaction import excerpt, redact

SECONDS = 10.0
"""How long a receiver may take."""
COLORS = {"trouble": "#b00020", "recovered": "#2e7d32"}
HERE = ("localhost", "127.0.0.1", "::1")
"""A password may go to these in the clear."""


class NotDelivered(Exception):
    """A receiver did not take an alert: says why, without secrets."""


@dataclass(frozen=True)
class Letter:
    """What receivers get: what happened, where, since when, what to do, and a link. Without secrets."""

    severity: str
    kind: str
    subject: str
    text: str
    time: str
    since: str
    remedy: str
    link: str
    id: str = ""
    """The same in every try: a receiver that got it twice can tell."""

    @property
    def title(self) -> str:
        """One line."""
        return f"[KnightShift] {self.severity}: {self.subject}"

    @property
    def body(self) -> str:
        """The whole in words."""
        lines = [f"{self.severity}: {self.subject}: {self.text}", f"since {self.since}"]
        return "\n".join([*lines, *([f"What to do: {self.remedy}"] if self.remedy else []), self.link])


class Channel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """What its outbox is called."""

    @property
    def is_limited(self) -> bool:
        """Whether so many alerts an hour are enough."""

    def deliver(self, letter: Letter) -> None:
        """Hand it over. Raises NotDelivered."""


@dataclass(frozen=True)
class LogFile:
    """A file that gets every alert as a line of JSON."""

    path: Path
    name: str = "file"
    is_limited: bool = False

    def deliver(self, letter: Letter) -> None:
        """Append a line, in one write."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as out:
                out.write(json.dumps(asdict(letter), ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise NotDelivered(f"{self.path} cannot be written: {error.strerror}") from error


@dataclass(frozen=True)
class Webhook:
    """An address that takes Slack's messages, as Mattermost, Rocket.Chat and Discord's `/slack` do too."""

    url: str = field(repr=False)
    name: str = "webhook"
    is_limited: bool = True

    def deliver(self, letter: Letter) -> None:
        """Post it: text for people, the fields beside it for programs."""
        fields = [
            {"title": name, "value": value, "short": name in ("kind", "since")}
            for name, value in asdict(letter).items()
            if value and name in ("kind", "since", "remedy", "link")
        ]
        message = {
            "text": f"{letter.title}\n{letter.text}",
            "attachments": [{"color": COLORS[letter.severity], "fallback": letter.title, "fields": fields}],
            "knightshift": asdict(letter),
        }
        try:
            answer = httpx.post(self.url, json=message, timeout=SECONDS, headers={"Idempotency-Key": letter.id})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotDelivered(f"the webhook could not be reached: {redact(str(error), self.url)}") from None
        if not answer.is_success:
            said = excerpt(answer.content, self.url)
            raise NotDelivered(f"the webhook answered {answer.status_code} {said}".rstrip())


@dataclass(frozen=True)
class Mail:
    """Mail over SMTP: `smtps://` encrypts from the first byte, `smtp://` as soon as the server offers it."""

    server: str = field(repr=False)
    """smtp://user:password@host:587"""
    sender: str
    receivers: Sequence[str]
    name: str = "mail"
    is_limited: bool = True

    def deliver(self, letter: Letter) -> None:
        """Send one mail to all receivers."""
        message = EmailMessage()
        message["Subject"] = " ".join(letter.title.split())
        message["From"], message["To"] = self.sender, ", ".join(self.receivers)
        message["Message-ID"] = f"<{letter.id}@knightshift.invalid>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        where = urlsplit(self.server)
        secrets = (where.password or "", unquote(where.password or ""))
        try:
            with self._connected() as smtp:
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"the mail server {where.hostname}: {redact(str(error), *secrets)}") from None

    def _connected(self) -> smtplib.SMTP:
        where, trusted = urlsplit(self.server), ssl.create_default_context()
        host = where.hostname or ""
        if where.scheme == "smtps":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, where.port or 465, timeout=SECONDS, context=trusted)
        else:
            smtp = smtplib.SMTP(host, where.port or 25, timeout=SECONDS)
        try:
            if where.scheme != "smtps":
                _encrypt(smtp, trusted, is_needed=bool(where.password) and host not in HERE)
            if where.password:
                smtp.login(unquote(where.username or ""), unquote(where.password))
        except (OSError, smtplib.SMTPException):
            smtp.close()
            raise
        return smtp


def _encrypt(smtp: smtplib.SMTP, trusted: ssl.SSLContext, *, is_needed: bool) -> None:
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=trusted)
    elif is_needed:
        raise smtplib.SMTPException("it does not encrypt, and a password is never sent in the clear")


@dataclass(frozen=True)
class Command:
    """A program that gets the alert as JSON on its standard input; exit code 0 says that it has it."""

    line: str
    name: str = "command"
    is_limited: bool = True

    def deliver(self, letter: Letter) -> None:
        """Run it, without a shell."""
        arguments = shlex.split(self.line)
        told = json.dumps(asdict(letter), ensure_ascii=False).encode()
        try:
            done = subprocess.run(arguments, input=told, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603  # the user's own setting
        except OSError as error:
            raise NotDelivered(f"the command {arguments[0]} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise NotDelivered(f"the command {arguments[0]} took longer than {SECONDS:g} s") from None
        if done.returncode:
            raise NotDelivered(
                f"the command {arguments[0]} exited with {done.returncode} {excerpt(done.stderr)}".rstrip()
            )
