"""The quarantine: what a source sent that could not be believed, kept for people to look at."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from resources.redaction import redact_bytes


@dataclass(frozen=True)
class Quarantine:
    """A folder of set-aside answers and lines, each once however often it comes, the newest kept."""

    folder: Path
    longest: int = 1 << 20
    """Bytes kept of each."""
    most: int = 1_000
    """Files kept."""

    def keep(self, body: bytes, request: str, reason: str, moment: datetime) -> Path:
        """Set something aside: a file whose first line says, as JSON, what was asked, when, and what is wrong."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = redact_bytes(body)[: self.longest]  # a server may say back what it was asked with
        name = sha256(request.encode() + b"\n" + kept).hexdigest()[:24]
        file = self.folder / f"{name}.txt"
        if not file.exists():
            head = {"request": request, "reason": reason, "when": moment.isoformat(), "bytes": len(body)}
            fresh = file.with_suffix(f".{os.getpid()}.new")
            fresh.write_bytes(json.dumps(head).encode() + b"\n" + kept)
            fresh.replace(file)
            self._forget_the_oldest()
        return file

    def _forget_the_oldest(self) -> None:
        files = sorted(self.folder.glob("*.txt"), key=lambda path: path.stat().st_mtime)
        for old in files[: -self.most]:
            old.unlink(missing_ok=True)
