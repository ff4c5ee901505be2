"""Taking secrets out of what people and logs get to see."""

import re

HIDDEN = "***"
_SECRETS = re.compile(r"\b(?:lip|lio)_[A-Za-z0-9]+|(?<=apikey=)[^&\s\"']+|(?<=[Bb]earer )[^\s\"',;]+")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\uffff]")


def redact(text: str, *secrets: str) -> str:
    """The text without the given secrets and without anything that looks like a Lichess token or an API key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return _SECRETS.sub(HIDDEN, text)


def excerpt(body: bytes, *secrets: str, longest: int = 160) -> str:
    """The beginning of a foreign text, safe to print: no secrets, no control characters, at most `longest` long."""
    text = redact(body[: longest * 8].decode("utf-8", "replace"), *secrets)
    text = _UNPRINTABLE.sub("·", " ".join(text.split()))
    return text if len(text) <= longest else f"{text[:longest]}…"
