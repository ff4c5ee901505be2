"""A month's dump in units: what is read is kept whatever ends a run, and units make what reading it at once makes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster import DagsterInstance
from polars.testing import assert_frame_equal

import resources.dump_units
from kshift_assets.chess import dump_source
from kshift_assets.chess.dump_units import DUMP_UNITS, UNITS_SCHEMA
from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.runs import Outcome
from kshift_assets.tables import polars_schema
from lakehouse import Lakehouse, pgn
from packed import frames

MONTH = "2024-01"
NAME = f"lichess_db_standard_rated_{MONTH}.pgn.zst"
SCHEMA = polars_schema(DUMP_GAMES.model)
N_GAMES, N_UNITS = 40, 10
DATA = "".join(pgn(f"game{number:04}", white=f"Ambeř{number}") for number in range(N_GAMES)).encode()
# Games are 620 bytes long: no frame ends where a game does.
PARTS = [DATA[len(DATA) * number // N_UNITS : len(DATA) * (number + 1) // N_UNITS] for number in range(N_UNITS)]


class Killed(Exception):
    """Ends a run in the middle."""


@pytest.fixture
def house(tmp_path: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Lakehouse:
    """A lakehouse with a dump, each of whose frames is a unit."""
    monkeypatch.setattr(resources.dump_units, "UNIT_BYTES", 1)
    house = Lakehouse(tmp_path, instance, [])
    put(house, frames(*PARTS))
    return house


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a unit's games were asked for; a test may say what happens then."""
    calls: list[int] = []

    def counted(chunks: Iterable[bytes]) -> Iterator[pl.DataFrame]:
        calls.append(len(calls))
        return read_games(chunks)

    monkeypatch.setattr(dump_source, "read_games", counted)
    return calls


def put(house: Lakehouse, packed: bytes, name: str = NAME) -> Path:
    folder = house.folder / "dumps"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(packed)
    return folder / name


def at_read(monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], object]) -> None:
    """Do something in the middle of the unit that is read as this one, from 0."""
    reads = iter(range(1000))

    def disturbed(chunks: Iterable[bytes]) -> Iterator[pl.DataFrame]:
        if next(reads) == number:
            do()
        yield from read_games(chunks)

    monkeypatch.setattr(dump_source, "read_games", disturbed)


def kill_at(house: Lakehouse, number: int) -> None:
    def die() -> None:
        raise Killed("Killed")

    with pytest.MonkeyPatch.context() as patch:
        at_read(patch, number, die)
        [outcome] = house.make("lichess/dump_games", MONTH)
    assert "Killed" in outcome.problems[0]


def made(house: Lakehouse) -> dict[str, object]:
    """Read the month, and give the metadata of its materialization."""
    assert [outcome.problems for outcome in house.make("lichess/dump_games", MONTH)] == [[]]
    wanted = dg.AssetRecordsFilter(asset_key=DUMP_GAMES.key, asset_partitions=[MONTH])
    event = house.instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
    assert event
    return {name: value.value for name, value in event.metadata.items()}


def games(house: Lakehouse) -> pl.DataFrame:
    return house.lake.scan(DUMP_GAMES.full_name, SCHEMA, MONTH).collect()


def journal(house: Lakehouse) -> pl.DataFrame:
    return house.lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA, MONTH).collect().sort("n_byte_begin")


def assert_is_all(house: Lakehouse, data: bytes = DATA) -> None:
    """The month is what one pass over the unpacked file gives, in its order, and was ingested at one time."""
    found = games(house)
    wanted = pl.concat(read_games([data]))
    assert_frame_equal(found.select(wanted.columns), wanted)
    assert found.get_column("tm_ingested").n_unique() == 1


def test_units_together_are_the_month(house: Lakehouse, reads: list[int]) -> None:
    metadata = made(house)
    assert_is_all(house)
    assert len(reads) == N_UNITS
    assert (metadata["rows"], metadata["units"], metadata["units read"], metadata["units kept"]) == (40, 10, 10, 0)
    assert {"MB/s", "games/s", "bytes", "files"} <= metadata.keys()
    assert journal(house).get_column("n_games").sum() == N_GAMES
    assert games(house).get_column("val_file_sha256").unique().to_list() == [hashlib.sha256(frames(*PARTS)).hexdigest()]


def test_the_same_file_once_more_is_not_read(house: Lakehouse, reads: list[int]) -> None:
    made(house)
    before, version = games(house), house.lake.version(DUMP_GAMES.full_name)
    metadata = made(house)
    assert (len(reads), metadata["rows"], metadata["units kept"]) == (N_UNITS, N_GAMES, N_UNITS)
    assert house.lake.version(DUMP_GAMES.full_name) == version
    assert_frame_equal(games(house), before)


@pytest.mark.parametrize("number", [0, 4, N_UNITS - 1])
def test_a_killed_run_leaves_the_month_as_it_was_and_the_next_goes_on(
    house: Lakehouse, reads: list[int], number: int
) -> None:
    put(house, frames(pgn("oldgame1").encode()))
    made(house)
    old = games(house)
    put(house, frames(*PARTS))
    kill_at(house, number)
    assert_frame_equal(games(house), old)
    begun = journal(house).filter(pl.col("val_file_sha256") != old.item(0, "val_file_sha256")).get_column("tm_ingested")
    reads.clear()
    metadata = made(house)
    assert (len(reads), metadata["units kept"], metadata["units read"]) == (N_UNITS - number, number, N_UNITS - number)
    assert_is_all(house)
    assert set(begun) <= set(games(house).get_column("tm_ingested"))
    assert journal(house).height == 1 + N_UNITS


def test_a_run_killed_before_the_commit_has_nothing_left_to_read(
    house: Lakehouse, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("resources.lake.replace", lambda *_: (_ for _ in ()).throw(Killed("Killed")))
        house.make("lichess/dump_games", MONTH)
    assert len(reads) == N_UNITS
    assert games(house).height == 0
    reads.clear()
    made(house)
    assert reads == []
    assert_is_all(house)


def test_another_file_starts_over(house: Lakehouse) -> None:
    kill_at(house, 5)
    other = DATA.replace("Ambeř7".encode(), b"Basil")
    put(house, frames(*[other[at : at + 5000] for at in range(0, len(other), 5000)]))
    assert made(house)["units kept"] == 0
    assert_is_all(house, other)
    put(house, frames(*PARTS))
    assert made(house)["units kept"] == 5
    assert_is_all(house)


def test_another_version_of_the_reader_starts_over_and_keeps_the_time(
    house: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(house)
    before = games(house)
    monkeypatch.setattr("kshift_assets.chess.dump_units.READER", "next")
    monkeypatch.setattr(dump_source, "READER", "next")
    assert made(house)["units kept"] == 0
    assert_frame_equal(games(house), before)


@pytest.mark.parametrize("is_whole", [False, True], ids=["killed", "whole"])
def test_a_unit_whose_file_is_gone_is_read_again(house: Lakehouse, *, is_whole: bool) -> None:
    if is_whole:
        made(house)
        before = games(house)
    else:
        kill_at(house, 6)
    lost = journal(house).item(3, "val_path")
    (Path(house.lake.path(DUMP_GAMES.full_name)) / lost).unlink()
    assert made(house)["units read"] == (1 if is_whole else N_UNITS - 5)
    assert_is_all(house)
    if is_whole:
        assert_frame_equal(games(house), before)


def test_a_damaged_file_changes_nothing_and_the_sound_one_is_read(house: Lakehouse) -> None:
    put(house, frames(pgn("oldgame1").encode()))
    made(house)
    old = games(house)
    packed = bytearray(frames(*PARTS))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = bytes(64)
    for damaged in (bytes(packed), frames(*PARTS)[:-20]):
        put(house, damaged)
        [outcome] = house.make("lichess/dump_games", MONTH)
        assert "is damaged" in outcome.problems[0]
        assert_frame_equal(games(house), old)
    put(house, frames(*PARTS))
    made(house)
    assert_is_all(house)


def test_two_runs_at_once_are_one_result(
    house: Lakehouse, monkeypatch: pytest.MonkeyPatch, instance: DagsterInstance
) -> None:
    # The other one reads all of it while this one is in the middle of a unit.
    others: list[list[Outcome]] = []

    def overtake() -> None:
        if not others:
            others.append([])
            others[0] += house.make("lichess/dump_games", MONTH)

    at_read(monkeypatch, 2, overtake)
    metadata = made(house)
    assert others[0][0].problems == []
    assert (metadata["units kept"], metadata["units read"]) == (7, 3)
    assert_is_all(house)
    assert journal(house).height == N_UNITS
    there = house.lake.present(DUMP_GAMES.full_name, MONTH)
    assert there == set(journal(house).get_column("val_path"))
    assert instance.get_runs_count() == 2


def test_two_runs_that_begin_at_once_agree_on_the_time(house: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = False

    def begin_too() -> None:
        nonlocal killed
        if not killed:
            killed = True
            kill_at(house, 1)

    at_read(monkeypatch, 0, begin_too)
    made(house)
    assert_is_all(house)


def test_each_file_of_a_month_is_numbered_from_one(house: Lakehouse) -> None:
    variant = "".join(pgn(f"atom{number:04}") for number in range(8)).encode()
    put(house, frames(variant[:900], variant[900:]), NAME.replace("standard", "atomic"))
    assert made(house)["units"] == N_UNITS + 2
    assert games(house).get_column("n_game").to_list() == [*range(1, N_GAMES + 1), *range(1, 9)]
    assert games(house).get_column("val_file").n_unique() == 2


def test_units_without_a_game_are_read_once_too(house: Lakehouse, reads: list[int]) -> None:
    long = pgn("longgame", moves="1. Nf3 Nf6 2. Ng1 Ng8 " * 300).encode()
    put(house, frames(*[long[at : at + 700] for at in range(0, len(long), 700)]))
    kill_at(house, 5)
    assert journal(house).get_column("n_games").to_list() == [1, 0, 0, 0, 0]
    reads.clear()
    assert made(house)["units kept"] == 5
    assert_is_all(house, long)


def test_any_other_packing_is_one_unit(house: Lakehouse) -> None:
    put(house, b"").unlink()
    put(house, DATA, NAME.removesuffix(".zst"))
    metadata = made(house)
    assert (metadata["units"], metadata["units read"]) == (1, 1)
    assert_is_all(house)


def test_a_file_without_a_game_stores_nothing_and_the_month_keeps_its_rows(house: Lakehouse) -> None:
    made(house)
    put(house, frames(b"\n"))
    [outcome] = house.make("lichess/dump_games", MONTH)
    assert outcome.problems == [f"{NAME} holds no game: get it anew"]
    (house.folder / "dumps" / NAME).unlink()
    put(house, b"", NAME.removesuffix(".zst"))  # as a decompression leaves it that found no room
    [outcome] = house.make("lichess/dump_games", MONTH)
    assert outcome.problems == [f"{NAME.removesuffix('.zst')} holds no game: get it anew"]
    assert games(house).height == N_GAMES
