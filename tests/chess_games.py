"""Games for the tests of the analytics: from few words, from the recordings, and at random."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
from hypothesis import strategies as st

from kshift_assets.chess.schemas import Games
from kshift_assets.chess.seen_games import SOURCE
from kshift_assets.tables import polars_schema
from plugins import Plugin
from tests.recordings import RECORDINGS

COLUMNS = pl.Schema({**polars_schema(Games), SOURCE: pl.String})
RECORDED = RECORDINGS / "lichess" / "api_games"


def frame(*games: Mapping[str, Any]) -> pl.DataFrame:
    """Rows of chess.games with these values, null in every other column; ids are made where none is given."""
    rows = [{"id_game": f"game{number:04}", **game} for number, game in enumerate(games)]
    unknown = {name for row in rows for name in row} - set(COLUMNS)
    assert not unknown, f"chess.games has no {unknown}"
    return pl.DataFrame(rows, schema=COLUMNS)


def answers(plugin: Plugin, games: pl.DataFrame) -> pl.DataFrame:
    """What a plugin says of games to all of which it applies."""
    results = plugin.run(games)
    assert results.select("val_not_applicable", "val_error").null_count().row(0) == (games.height, games.height)
    return results.select(list(plugin.columns))


def recorded_documents(key: str = "id", files: str = "*.ndjson") -> list[dict[str, Any]]:
    """The game documents of real exports that have `key`, e.g. `clocks`; only for tests with `needs_recordings`."""
    lines = (line for file in sorted(RECORDED.glob(files)) for line in file.read_text(encoding="utf-8").splitlines())
    return [document for document in map(json.loads, lines) if key in document]


def from_documents(documents: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """The documents' columns that analytics read, lists aligned to plies."""
    return frame(*(_row(document) for document in documents))


_RESULTS = {"white": "1-0", "black": "0-1"}


def _row(document: Mapping[str, Any]) -> dict[str, Any]:
    plies = len(document["moves"].split())
    clock, opening, analysis = document.get("clock", {}), document.get("opening", {}), document.get("analysis")
    return {
        "id_game": document["id"],
        "n_plies": plies,
        "val_moves": document["moves"],
        "val_status": document["status"],
        "val_result": _RESULTS.get(document.get("winner"), "1/2-1/2"),
        "val_variant": document["variant"],
        "val_initial_fen": document.get("initialFen"),
        "id_tournament": document.get("tournament"),
        "n_clock_initial_s": clock.get("initial"),
        "n_clock_increment_s": clock.get("increment"),
        "arr_clock_cs": _aligned(document.get("clocks"), plies),
        "arr_eval_cp": _aligned(analysis and [ply.get("eval") for ply in analysis], plies),
        "arr_eval_mate": _aligned(analysis and [ply.get("mate") for ply in analysis], plies),
        "arr_best": _aligned(analysis and [ply.get("best") for ply in analysis], plies),
        "val_eco": opening.get("eco"),
        "val_opening": opening.get("name"),
        "n_opening_ply": opening.get("ply"),
    }


def _aligned(elements: list[Any] | None, plies: int) -> list[Any] | None:
    return None if elements is None else (elements + [None] * plies)[:plies]


_SAN = st.sampled_from(["e4", "Nf3", "exd5", "O-O", "O-O-O+", "Qxf7#", "e8=Q+", "N@f3"])
_MATES = st.integers(-20, 20)


@st.composite
def _random_game(draw: st.DrawFn) -> dict[str, Any]:
    """A row that the schema allows, sensible or not: analytics must give it a row, and its neighbours theirs."""
    plies = draw(st.integers(0, 6))

    def per_ply(element: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.none() | st.lists(st.none() | element, min_size=plies, max_size=plies)

    return {
        "n_plies": plies,
        "val_moves": " ".join(draw(st.lists(_SAN, min_size=plies, max_size=plies))),
        "val_status": draw(st.none() | st.sampled_from(["mate", "resign", "draw", "outoftime", "variantEnd"])),
        "val_variant": draw(st.sampled_from(["standard", "atomic", "threeCheck"])),
        "val_initial_fen": draw(st.sampled_from([None, "8/8/8/8/8/8/8/Kk6 w - - 0 1", "8/8/8/8/8/8/8/Kk6 b - - 0 1"])),
        "id_tournament": draw(st.sampled_from([None, "arena001"])),
        "n_clock_initial_s": draw(st.none() | st.sampled_from([0, 15, 60, 300])),
        "n_clock_increment_s": draw(st.none() | st.sampled_from([0, 1, 3])),
        "arr_clock_cs": draw(per_ply(st.integers(0, 40_000))),
        "arr_eval_cp": draw(per_ply(st.integers(-3000, 3000))),
        "arr_eval_mate": draw(per_ply(_MATES)),
        "arr_glyph": draw(per_ply(st.sampled_from(["?!", "?", "??"]))),
        "arr_best": draw(per_ply(st.sampled_from(["e2e4", "a7a8q", "P@e4"]))),
        "val_result": draw(st.sampled_from(["1-0", "0-1", "1/2-1/2", "*"])),
        "val_eco": draw(st.sampled_from([None, "B20"])),
        "val_opening": draw(st.sampled_from([None, "Sicilian Defense", "Ruy Lopez: Berlin Defense, l'Hermet"])),
        "n_opening_ply": draw(st.none() | st.integers(0, 20)),
    }


def random_games(max_size: int = 5) -> st.SearchStrategy[pl.DataFrame]:
    """Frames of games with nulls anywhere that a column allows them."""
    return st.lists(_random_game(), max_size=max_size).map(lambda games: frame(*games))
