"""A process that asks a host politely, for tests of what several processes do together.

`python tests/asking.py URL STATE COUNT` asks COUNT times and prints a line after each answer.
"""

import sys
from pathlib import Path

from resources.breaker import Patience
from resources.exchange import Limits, Request
from resources.http import Access, PoliteClient

EXPORT = Request("/api/games/user/alice_a", {"max": 5}, headers={"Accept": "application/x-ndjson"})


def main(url: str, state: str, count: str) -> None:
    """Ask."""
    access = Access(
        patience=Patience(failures_to_open=1_000), limits=Limits(attempts=10, retry_seconds=0, settle_seconds=0)
    )
    with PoliteClient(url, source="lichess", state=Path(state), access=access) as client:
        for _ in range(int(count)):
            lines = client.ask(EXPORT, lambda response: list(response.lines()))
            sys.stdout.write(f"{len(lines)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
