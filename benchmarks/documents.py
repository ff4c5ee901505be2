"""Games a second into chess.games, from the API's documents and from dump rows, beside what one would take instead."""

import sys

from measuring import Target, Work, conclude, options, show, side_by_side
from tiled_documents import kept_documents
from tiled_dumps import kept_dump

DOCUMENTS, DUMP_ROWS = "KnightShift, documents", "KnightShift, dump rows"
FASTEST = {DOCUMENTS: 80_000, DUMP_ROWS: 150_000}
"""Games a second that are to be cleaned, checked and committed."""


def main() -> None:
    """Measure, print and keep."""
    asked = options(__doc__)
    (number,) = asked.sizes(100_000, quick=[400])
    file = str(kept_documents(number))
    works: dict[str, Work] = {
        DOCUMENTS: ("pipeline:documents_to_games", [number]),
        DUMP_ROWS: ("pipeline:dump_rows_to_games", [str(kept_dump(number))]),
        "DuckDB read_json, columns named": ("json_peers:duckdb_columns", [file]),
        "DuckDB read_json, columns found": ("json_peers:duckdb_inferred", [file]),
        "polars read_ndjson": ("json_peers:polars_ndjson", [file]),
        "Python loop, orjson": ("json_peers:python_orjson", [file]),
        "Python loop, json": ("json_peers:python_json", [file]),
    }
    found = side_by_side(works, asked.rounds)
    if wrong := [label for label, one in found.items() if one.rows != number]:
        sys.exit(f"not every game came through: {', '.join(wrong)}")
    show(
        f"{number:,} games; KnightShift cleans, checks and commits, the others only read and write",
        ["way", "games/s", "games/CPU-s", "seconds", "peak MB"],
        [[label, number / one.seconds, number / one.cpu_s, one.seconds, one.peak_mb] for label, one in found.items()],
    )
    targets = [Target(f"games/s, {label}", number / found[label].seconds, least) for label, least in FASTEST.items()]
    rows = {label: {"games_per_s": round(number / one.seconds)} | one.as_record() for label, one in found.items()}
    conclude("documents", asked, {"games": number, "side_by_side": rows}, targets)


if __name__ == "__main__":
    main()
