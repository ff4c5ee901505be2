"""Games a second from `.pgn.zst` to the lake, beside what one would take instead, and beside what limits everybody."""

from measuring import Measured, Target, Work, conclude, console, fresh, options, show, side_by_side
from peers import PGN_EXTRACT, has_peers
from tiled_dumps import MONTH, kept_dump

FASTEST = 120_000
"""Games a second that a dump is to be stored at, everything read, checked and committed."""
AGAINST_RUST, AGAINST_PYTHON_CHESS, AGAINST_LIMITS, MOST_MB = 3, 100, 2, 700
SLOW = {"python-chess": 1_000, "pgn2data": 200, "pgn-extract": 20_000}
"""Of those that are slow some games only."""


def dump_of(number: int) -> str:
    """Path of a dump of so many games."""
    return str(kept_dump(number) / f"lichess_db_standard_rated_{MONTH}.pgn.zst")


def beside(number: int, *, quick: bool) -> dict[str, Work]:
    """What is measured in turn at this size."""
    dump = dump_of(number)
    few = {name: min(number, 100 if quick else games) for name, games in SLOW.items()}
    works: dict[str, Work] = {
        "KnightShift": ("pipeline:dump_to_lake", [str(kept_dump(number))]),
        "unpacking alone": ("limits:unpack", [dump]),
        "Parquet alone, polars": ("limits:write_with_polars", [dump]),
        "Parquet alone, pyarrow": ("limits:write_with_pyarrow", [dump]),
        "DuckDB SQL with regular expressions": ("peers:duckdb_regexes", [dump]),
        "python-chess": ("peers:python_chess", [dump, few["python-chess"]]),
    }
    if has_peers():
        works["Rust binding"] = ("peers:rust_binding", [dump])
        works["pgn2data"] = ("peers:pgn2data", [dump, few["pgn2data"]])
    if PGN_EXTRACT:
        works["pgn-extract"] = ("peers:pgn_extract", [dump, few["pgn-extract"]])
    return works


def games_of(label: str, measured: Measured, number: int) -> int:
    """How many games a run read."""
    return number if label == "unpacking alone" else measured.rows


def main() -> None:
    """Measure, print and keep."""
    asked = options(__doc__)
    small, middle, large = asked.sizes(10_000, 100_000, 1_000_000, quick=[200, 400, 800])
    ours = {number: Measured() for number in (small, middle, large)}
    for number in (small, large):
        for _ in range(asked.rounds):
            fresh("pipeline:dump_to_lake", str(kept_dump(number)), into=ours[number])
    found = side_by_side(beside(middle, quick=asked.quick), asked.rounds)
    ours[middle] = found["KnightShift"]
    n_bytes = found["unpacking alone"].answers[0]
    speeds = {label: games_of(label, measured, middle) / measured.seconds for label, measured in found.items()}
    limit_s = found["unpacking alone"].seconds + min(
        found[f"Parquet alone, {library}"].seconds for library in ("polars", "pyarrow")
    )
    speeds["unpacking, then Parquet"] = middle / limit_s
    show(
        f".pgn.zst → lake, {n_bytes / middle:,.0f} bytes of PGN a game",
        ["games", "games/s", "MB/s of PGN", "games/CPU-s", "asset alone, s", "wall, s", "peak MB"],
        [
            [
                f"{number:,}",
                number / measured.seconds,
                number / measured.seconds * n_bytes / middle / 1e6,
                number / measured.cpu_s,
                measured.answers[-1]["asset_s"],
                measured.seconds,
                measured.peak_mb,
            ]
            for number, measured in ours.items()
        ],
    )
    show(
        f"the same {middle:,} games (those with fewer: scaled)",
        ["way", "games", "games/s", "KnightShift ×", "games/CPU-s", "peak MB"],
        [
            [
                label,
                games_of(label, found[label], middle) if label in found else middle,
                speed,
                speeds["KnightShift"] / speed,
                games_of(label, found[label], middle) / found[label].cpu_s if label in found else None,
                found[label].peak_mb if label in found else None,
            ]
            for label, speed in speeds.items()
        ],
    )
    for missing in {"Rust binding", "pgn2data", "pgn-extract"} - set(found):
        console.print(f"{missing}: not installed")
    targets = [Target(f"games/s at {number:,}", number / ours[number].seconds, FASTEST) for number in (middle, large)]
    if "Rust binding" in speeds:
        targets.append(Target("times the Rust binding", speeds["KnightShift"] / speeds["Rust binding"], AGAINST_RUST))
    targets += [
        Target("times python-chess", speeds["KnightShift"] / speeds["python-chess"], AGAINST_PYTHON_CHESS),
        Target(
            "times the time of unpacking, then Parquet",
            ours[middle].seconds / limit_s,
            AGAINST_LIMITS,
            at_least=False,
        ),
        *(
            Target(f"peak MB at {number:,}", ours[number].peak_mb, MOST_MB, at_least=False)
            for number in (middle, large)
        ),
    ]
    result = {
        "bytes_of_pgn_per_game": n_bytes / middle,
        "knightshift": {str(number): measured.as_record() for number, measured in ours.items()},
        "side_by_side": {
            label: {"games": games_of(label, found[label], middle), "games_per_s": round(speeds[label], 1)}
            | found[label].as_record()
            for label in found
        },
    }
    conclude("dumps", asked, result, targets)


if __name__ == "__main__":
    main()
