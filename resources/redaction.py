"""Taking secrets out of what people and logs get to see."""

import re

HIDDEN = "***"
SHORTEST = 6
# What must never be shown, whatever it looks like: the secrets of the settings that this process has read.
_known: set[str] = set()
_SECRETS = re.compile(r"\b(?:lip|lio)_[A-Za-z0-9]+|(?<=apikey=)[^&\s\"']+|(?<=[Bb]earer )[^\s\"',;]+")
_SECRET_BYTES = re.compile(_SECRETS.pattern.encode())
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\uffff]")


def hide(*secrets: str) -> None:
    """From now on, take these out of all that this process shows; what is shorter than a password stays a word."""
    _known.update(secret for secret in secrets if len(secret) >= SHORTEST)


def redact(text: str, *secrets: str) -> str:
    """The text without known and given secrets, and without anything that looks like a Lichess token or an API key."""
    for secret in sorted(_known.union(secrets), key=len, reverse=True):  # one may be a part of another
        if secret:
            text = text.replace(secret, HIDDEN)
    return _SECRETS.sub(HIDDEN, text)


def redact_bytes(body: bytes) -> bytes:
    """The same for what arrived, whatever its encoding."""
    for secret in sorted(_known, key=len, reverse=True):
        body = body.replace(secret.encode(), HIDDEN.encode())
    return _SECRET_BYTES.sub(HIDDEN.encode(), body)


def excerpt(body: bytes, *secrets: str, longest: int = 160) -> str:
    """The beginning of a foreign text, safe to print: no secrets, no control characters, at most `longest` long."""
    text = redact(body[: longest * 8].decode("utf-8", "replace"), *secrets)
    text = _UNPRINTABLE.sub("·", " ".join(text.split()))
    return text if len(text) <= longest else f"{text[:longest]}…"
