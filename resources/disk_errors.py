"""Errors that mean that a disk takes nothing more: it is full, or cannot be written, whatever library noticed that."""

import errno
import os
import sqlite3

CODES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
TEXTS = tuple(os.strerror(code) for code in sorted(CODES))
"""As libraries write that are not Python: delta-rs, Polars, DuckDB."""
SQLITE = (
    "database or disk is full",
    "disk I/O error",
    "attempt to write a readonly database",
    "unable to open database",
)
"""SQLite on a full disk fails where it makes a file for its journal, too."""


def disk_trouble(error: BaseException) -> str | None:
    """What a disk said, if this error or one behind it comes from a disk that takes nothing more; else None."""
    behind: BaseException | None = error
    while behind is not None:
        text = " ".join(str(behind).split())
        if isinstance(behind, OSError) and behind.errno in CODES:
            return f"{behind.strerror}: {behind.filename}" if behind.filename else str(behind.strerror)
        if isinstance(behind, sqlite3.OperationalError) and text.startswith(SQLITE):
            return text
        if found := next((one for one in TEXTS if one in text), None):
            return found
        behind = behind.__cause__ or behind.__context__
    return None
