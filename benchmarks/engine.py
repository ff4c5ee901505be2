"""Positions a second that the engine evaluates, by processes, at the default budget of nodes; needs Stockfish.

The positions are the sample's, each once, beside what one process would give if processes did not get in each other's
way. Says so, and measures nothing, where there is no engine.
"""

from collections.abc import Callable

import chess
import loky
import polars as pl
from measuring import conclude, options, show, side_by_side
from tiled_games import sample_games

from resources.engine import Answer, Engine
from resources.errors import UserError
from resources.settings import Settings

PLIES_APART = 7
"""Of each game every such position: openings and endgames alike, and none that follows another at once."""


def evaluated(number: int, workers: int) -> Callable[[], int]:
    """So many positions, and how many of them have an answer; the processes are started within the time."""
    fens = positions(number)
    engine = Engine(nodes=nodes(), workers=workers)

    def work() -> int:
        with engine.crew() as crew:
            return sum(isinstance(answer, Answer) for answer in crew.ask(fens).values())

    return work


def nodes() -> int:
    """The budget of a position if the user sets none."""
    return int(Settings.model_fields["engine_nodes"].default)


def positions(number: int) -> list[str]:
    """Different positions of the sample's games in which there is something to play, as FEN."""
    found: dict[str, None] = {}
    usual = sample_games().filter(pl.col("val_initial_fen").is_null())
    for moves in usual.get_column("val_moves"):
        board = chess.Board()
        for ply, san in enumerate(moves.split(), start=1):
            board.push_san(san)
            if ply % PLIES_APART == 0 and not board.is_game_over():
                found[board.fen()] = None
        if len(found) >= number:
            break
    return list(found)[:number]


def main() -> None:
    """Measure with one process, and with one a core."""
    asked = options(__doc__)
    try:
        name = Engine().identity()
    except UserError as error:
        print(error)
        return
    (number,) = asked.sizes(100, quick=[12])
    crews = sorted({1, 2, loky.cpu_count()})
    rounds = min(asked.rounds, 2)
    found = side_by_side({str(crew): ("engine:evaluated", (number, crew)) for crew in crews}, rounds)
    alone = number / found["1"].seconds
    rows = []
    for crew in crews:
        one = found[str(crew)]
        assert one.rows == number  # noqa: S101  # else nothing is measured
        rows.append((f"{crew}", number / one.seconds, crew * alone, number / one.cpu_s))
    show(
        f"{name}, {nodes():,} nodes a position, {number} positions",
        ("processes", "positions/s", "if they did not share", "positions/CPU-s"),
        rows,
    )
    conclude(
        "engine",
        asked,
        {
            "engine": name,
            "nodes": nodes(),
            "positions": number,
            "runs": rounds,
            "rows": [
                {
                    "processes": crew,
                    "positions_per_s": number / found[str(crew)].seconds,
                    "positions_per_cpu_s": number / found[str(crew)].cpu_s,
                    **found[str(crew)].as_record(),
                }
                for crew in crews
            ],
        },
    )


if __name__ == "__main__":
    main()
