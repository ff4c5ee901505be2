"""The replay of real standard games and of the sample, each ply judged by python-chess."""

from functools import cache
from itertools import chain
from pathlib import Path

import polars as pl
import pytest
from board_oracle import assert_as_told, games_of
from game_rows import documents_of, dump_rows_of_pgn, player_rows, unpacked
from sample_files import GAMES

from kshift_assets.chess.cleaning import from_documents, from_dump
from plugins.chess_rules.phases import division
from plugins.chess_rules.replay import replay
from recordings import RECORDINGS, needs_recordings

LICHESS = RECORDINGS / "lichess"
STANDARD = ("standard", "fromPosition")


def files(*patterns: str) -> list[Path]:
    return sorted(chain.from_iterable(LICHESS.glob(pattern) for pattern in patterns))


@cache
def recorded() -> pl.DataFrame:
    frames = [
        from_documents(player_rows(documents_of(path)))[0] for path in files("api_games/*", "api_games_via_berserk/*")
    ]
    frames += [
        from_dump(dump_rows_of_pgn(unpacked(path), path.name))[0]
        for path in files("dumps/*", "pgn_exports/*", "pgn_snapshots/*", "variants/*", "broadcast/*")
    ]
    return (
        pl.concat(frames)
        .filter(pl.col("val_variant").is_in(STANDARD))
        .unique("id_game", maintain_order=True)
        .select("val_moves", "val_initial_fen")
    )


@needs_recordings
@pytest.mark.parametrize(
    ("step", "n_plies"), [(20, 40_000), pytest.param(1, 800_000, marks=pytest.mark.whole)], ids=["some", "all"]
)
def test_every_ply_of_recorded_games_is_what_python_chess_says(step: int, n_plies: int) -> None:
    games = recorded().gather_every(step)
    replayed = replay(games)
    assert not replayed.status.any()
    assert assert_as_told(games, replayed) > n_plies


def test_every_ply_of_the_sample_is_what_python_chess_says() -> None:
    games = games_of(*((one["moves"], one.get("initialFen")) for one in GAMES if one["variant"] in STANDARD))
    replayed = replay(games)
    assert not replayed.status.any()
    assert assert_as_told(games, replayed) > 20_000


@needs_recordings
def test_phases_are_those_that_lichess_published() -> None:
    documents = [one for path in files("api_games/*") for one in documents_of(path) if "division" in one]
    assert len(documents) >= 235
    games = games_of(*((one["moves"], one.get("initialFen")) for one in documents))
    published = [(one["division"].get("middle"), one["division"].get("end")) for one in documents]
    assert division(games).rows() == published
