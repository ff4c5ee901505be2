"""The simulated wire gives the client what a real socket gives it, for every way in which an answer may end."""

import itertools
from pathlib import Path
from random import Random

import orjson
import pytest
from clocks import HandClock
from faults.stage_transport import StageTransport

from resources.source_errors import SourceError
from serving.replay import ReplayServer
from serving.replay_stage import Stage
from serving.replay_wire import Ending, Fault
from worlds import MARCH, game, hasty, lichess, world

SIZE = len(orjson.dumps(game(0, MARCH))) + 1
CUTS = (0, 40, SIZE - 1, SIZE, 2 * SIZE + 9, 9 * SIZE)
SHAPES = ({}, {"is_unframed": True}, {"is_packed": True})


def answer(api) -> tuple[list[str], bool] | str:
    """What the client makes of it: the games and whether it saw a cut, or the kind of error."""
    try:
        page = api.games_of("alice_a")
    except SourceError as error:
        return type(error).__name__
    return [one.id_game for one in page.games], page.cut is not None


@pytest.mark.parametrize("ending", Ending)
def test_each_ending_looks_the_same_with_and_without_sockets(tmp_path: Path, ending: Ending):
    for number, (cut_at, shape) in enumerate(itertools.product(CUTS, SHAPES)):
        if ending in (Ending.IN_CHUNK, Ending.IN_CHUNK_HEAD) and shape.get("is_unframed"):
            continue  # half a chunk where there are no chunks is just other bytes
        fault = Fault(ending, cut_at, **shape)
        folder, limits = tmp_path / str(number), hasty(read_seconds=0.2, attempts=1)
        with ReplayServer(world(5), lambda *_, fault=fault: fault) as server:
            real = answer(lichess(server.url, folder / "real", limits=limits))
        clock = HandClock()
        stage = Stage(world(5), lambda *_, fault=fault: fault, clock=clock.steady)
        wire = StageTransport(stage, clock, Random(number))  # seeded, so that it can be rerun
        simulated = answer(
            lichess("https://lichess.example", folder / "sim", clock=clock, transport=wire, limits=limits)
        )
        assert simulated == real, fault
        assert all(one.ended is not None for one in stage.ledger.asked)
