"""What Dagster and the graph cost by themselves: loading the definitions, and a rerun of everything for nothing."""

import sys
from collections.abc import Callable

from measuring import HERE, Target, conclude, fresh, options, run_program, show, side_by_side, temporary_folder

MOST_LOADING_S, MOST_RERUN_S = 3, 20
LOAD = "import kshift_assets.definitions as graph; graph.defs.resolve_asset_graph()"
_PATH = {"PYTHONPATH": str(HERE.parent)}


def load() -> Callable[[], None]:
    """A Python process that loads the definitions, from its first import on."""
    return run_program(_PATH | {"KSHIFT_HOME": str(temporary_folder())}, sys.executable, "-c", LOAD)


def demo(home: str) -> Callable[[], None]:
    """`kshift demo`: the sample's dumps, players and Lichess TV, and everything that is made from them."""
    return run_program(_PATH | {"KSHIFT_HOME": home}, sys.executable, "-m", "serving.cli", "demo")


def ingest(home: str) -> Callable[[], None]:
    """`kshift ingest` in the demo's lakehouse: the sample's server has nothing new, every asset is looked behind."""
    sys.path.insert(0, str(HERE.parent))
    from serving.demo import SAMPLE, sample_players  # noqa: PLC0415  # the other works do without
    from serving.replay import ReplayServer  # noqa: PLC0415  # the same
    from serving.replay_world import World  # noqa: PLC0415  # the same

    server = ReplayServer(World.load(SAMPLE)).__enter__()  # it ends with this process
    settings = {
        "KSHIFT_HOME": home,
        "KSHIFT_LICHESS_URL": server.url,
        "KSHIFT_LICHESS_DUMP_URL": server.url,
        "KSHIFT_PLAYERS": ",".join(sample_players()),
        "KSHIFT_DATA_AGE_DAYS": "36600",
    }
    return run_program(_PATH | settings, sys.executable, "-m", "serving.cli", "ingest")


def main() -> None:
    """Measure, print and keep."""
    asked = options(__doc__)
    home = str(temporary_folder() / "home")
    first = fresh("framework:demo", home)
    found = {"kshift demo, the first time": first} | side_by_side(
        {
            "loading the definitions": ("framework:load", []),
            "kshift ingest, nothing new": ("framework:ingest", [home]),
            "kshift demo once more": ("framework:demo", [home]),
        },
        asked.rounds,
    )
    show(
        "each a process of its own, from its start to its end",
        ["what", "wall, s", "CPU, s", "peak MB"],
        [[label, one.seconds, one.cpu_s, one.peak_mb] for label, one in found.items()],
    )
    limits = {
        "loading the definitions": MOST_LOADING_S,
        "kshift ingest, nothing new": MOST_RERUN_S,
        "kshift demo once more": MOST_RERUN_S,
    }
    targets = [
        Target(f"seconds, {label}", found[label].seconds, limit, at_least=False) for label, limit in limits.items()
    ]
    conclude("framework", asked, {"runs": {label: one.as_record() for label, one in found.items()}}, targets)


if __name__ == "__main__":
    main()
