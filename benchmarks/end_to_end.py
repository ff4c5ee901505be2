"""Games a second from a dump to the published database, by asset; how that grows with the games; Dagster's share."""

from measuring import Measured, Target, conclude, fresh, options, show
from tiled_dumps import kept_dump, kept_lakehouse

WARM_GAMES, LONG_ROUNDS = 300, 2
"""Of runs that take minutes."""
FASTEST, MOST_GROWTH, MOST_SHARE, MOST_MB = 40_000, 1.1, 1.25, 700


def measured(rounds: int, work: str, *arguments: object) -> Measured:
    """Several runs, each in a new process and into a lakehouse of its own."""
    found = Measured()
    for _ in range(rounds):
        fresh(work, *arguments, into=found)
    return found


def main() -> None:
    """Measure, print and keep."""
    asked = options(__doc__)
    small, large = asked.sizes(100_000, 1_000_000, quick=[300, 600])
    dumps = {number: str(kept_dump(number)) for number in (small, large)}
    fresh("pipeline:publish", str(kept_dump(WARM_GAMES)))  # compiled code is in its cache
    few = measured(asked.rounds, "pipeline:publish", dumps[small])
    many = measured(min(LONG_ROUNDS, asked.rounds), "pipeline:publish", dumps[large], str(kept_lakehouse(large)))
    whole = measured(min(LONG_ROUNDS, asked.rounds), "pipeline:kshift_run", dumps[small])
    runs = {
        f"{small:,} games": (small, few),
        f"{large:,} games": (large, many),
        f"{small:,} games, kshift run with everything": (small, whole),
    }
    show(
        "dump → published, every mart, every analytic but those that look at game after game in python-chess",
        ["run", "games/s", "wall, s", "assets, s", "wall / assets", "CPU, s", "peak MB"],
        [
            [
                label,
                number / run.seconds,
                run.seconds,
                assets_s(run),
                run.seconds / assets_s(run),
                run.cpu_s,
                run.peak_mb,
            ]
            for label, (number, run) in runs.items()
        ],
    )
    show(
        "seconds of each asset, in the last run",
        ["asset", *runs],
        [
            [step, *(run.answers[-1]["assets"].get(step) for _, run in runs.values())]
            for step in many.answers[-1]["assets"] | whole.answers[-1]["assets"]
        ],
    )
    growth = many.seconds / few.seconds / (large / small)
    targets = [
        Target(f"games/s, {small:,} games", small / few.seconds, FASTEST),
        Target(f"games/s, {large:,} games", large / many.seconds, FASTEST),
        Target("growth of the time, as part of that of the games", growth, MOST_GROWTH, at_least=False),
        Target(
            f"kshift run, {small:,} games: wall / assets", whole.seconds / assets_s(whole), MOST_SHARE, at_least=False
        ),
        Target(f"peak MB, {small:,} games", few.peak_mb, MOST_MB, at_least=False),
        Target(f"peak MB, {large:,} games", many.peak_mb, MOST_MB, at_least=False),
    ]
    result = {
        "runs": {
            label: {"games": number, "games_per_s": round(number / run.seconds)}
            | run.as_record()
            | {"assets_s": assets_s(run), "assets": run.answers[-1]["assets"]}
            for label, (number, run) in runs.items()
        },
    }
    conclude("end_to_end", asked, result, targets)


def assets_s(run: Measured) -> float:
    """What the assets took by themselves, in the run of the middle."""
    middle = sorted(run.answers, key=lambda answer: answer["asset_s"])[len(run.answers) // 2]
    return float(middle["asset_s"])


if __name__ == "__main__":
    main()
