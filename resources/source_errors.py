"""What can go wrong when a source is asked, and whether it is worth asking again."""

from datetime import datetime

TOO_MANY = 429
TRANSIENT = frozenset({408, 425, TOO_MANY, *range(500, 600)})
"""Statuses that say 'not now': request timeout, too early, too many requests, and all faults of the server."""


class SourceError(Exception):
    """A source did not give what was asked for; the message says which, what was asked, and what came instead."""

    is_transient = False


class TransientError(SourceError):
    """The same request may well succeed later."""

    is_transient = True


class TooManyRequests(TransientError):
    """The source asks for silence (429)."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """`retry_after`: seconds that the source named, if it did so in a readable way."""
        super().__init__(message)
        self.retry_after = retry_after


class ServerFailed(TransientError):
    """The source answered 408, 425 or 5xx."""


class NoConnection(TransientError):
    """The source could not be reached: name not found, refused, reset, or too slow to answer."""


class StreamBroken(TransientError):
    """An answer began well and broke off: reset, stalled, cut, or longer than allowed."""


class NotThere(SourceError):
    """The source does not have it, or no longer (404, 410)."""


class Refused(SourceError):
    """The source refuses us (401, 403): the token or its rights."""


class BadRequest(SourceError):
    """The source does not accept the request (other 4xx), or answered with a status that nobody expected."""


class RedirectRefused(SourceError):
    """The source sent us to another host: not followed."""


class SourceOpen(SourceError):
    """The circuit breaker of the source is open, or it asked for a long silence: not before `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        """`until`: UTC time before which nothing is asked of the source."""
        super().__init__(message)
        self.until = until


def error_for(status: int, what: str) -> SourceError:
    """The error that a status means; `what` is the message."""
    if status == TOO_MANY:
        return TooManyRequests(what)
    if status in TRANSIENT:
        return ServerFailed(what)
    if status in (404, 410):
        return NotThere(what)
    if status in (401, 403):
        return Refused(what)
    return BadRequest(what)
