"""A consumer that opens the published files again and again, and notes what does not fit together."""

import json
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb

# A link that is missing for a moment is missed by slower looks.
GLANCES = 2_000


@dataclass
class Seen:
    """What a reader saw."""

    reads: int = 0
    snapshots: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def read_until(stop: Event, published: str, result: Connection) -> None:
    """Read `latest.duckdb` and `latest.json` until told to stop; both tables of a snapshot hold one generation."""
    seen = Seen()
    while not stop.is_set() or not seen.reads:
        try:
            _read(Path(published), seen)
        except (OSError, ValueError, duckdb.Error) as error:
            seen.faults.append(repr(error))
        seen.reads += 1
    result.send(seen)


def _read(published: Path, seen: Seen) -> None:
    snapshot, rows = _tables(published / "latest.duckdb", seen)
    after = json.loads((published / "latest.json").read_bytes())["snapshot"]
    if after < snapshot:
        seen.faults.append(f"{after} came after {snapshot}")
    for _ in range(GLANCES):
        (published / "latest.duckdb").stat()
    folder = (published / "current").resolve()
    snapshot, rows = _tables(folder / "latest.duckdb", seen)
    catalog = json.loads((folder / "latest.json").read_bytes())
    if catalog["snapshot"] != snapshot or [table["rows"] for table in catalog["tables"].values()] != [rows, rows]:
        seen.faults.append(f"{catalog} beside {snapshot} with {rows} rows")


def _tables(database: Path, seen: Seen) -> tuple[str, int]:
    with duckdb.connect(str(database), read_only=True) as connection:
        (snapshot,) = connection.execute("SELECT id_snapshot FROM snapshot").fetchall()[0]
        left, right = (
            connection.execute(f"SELECT list(DISTINCT val_text), count(*) FROM pair.{side}").fetchall()[0]
            for side in ("l_table", "r_table")
        )
    seen.snapshots.add(snapshot)
    if left != right or len(left[0]) != 1:
        seen.faults.append(f"{snapshot} is skewed: {left} beside {right}")
    return snapshot, left[1]
