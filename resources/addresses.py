"""Addresses in settings: whether they are what they have to be. A wrong one is a ValueError that never quotes it."""

import re
import shlex
from urllib.parse import urlsplit

_MAIL = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+")


def check_webhook(value: str) -> str:
    """An address that takes a POST."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or not _is_plain(value):
        raise ValueError("it must be an address such as https://hooks.slack.com/services/…")
    return value


def check_smtp(value: str) -> str:
    """A mail server with, perhaps, a user and a password."""
    parts = urlsplit(value)
    try:
        is_good = parts.scheme in ("smtp", "smtps") and parts.hostname and (parts.port or 1) and not parts.path
    except ValueError:  # a bad port
        is_good = False
    if not is_good or not _is_plain(value):
        raise ValueError("it must be an address such as smtp://user:password@mail.example.org:587")
    return value


def check_mail(value: str) -> str:
    """One mail address."""
    if not _MAIL.fullmatch(value) or not _is_plain(value):
        raise ValueError("it must be mail addresses such as me@example.org, commas between them")
    return value


def check_command(value: str) -> str:
    """A command line that can be taken apart."""
    try:
        shlex.split(value)
    except ValueError as error:
        raise ValueError("it must be a command line: a quotation mark is open") from error
    return value


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value
