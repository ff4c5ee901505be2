"""chess.positions: made when asked for and only then, and searched by games_with_position(fen) once published."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import chess
import dagster as dg
import duckdb
import pytest
from board_oracle import signed
from chess.polyglot import zobrist_hash

from kshift_assets.chess import positions
from kshift_assets.chess.positions import POSITIONS
from lakehouse import Lakehouse, pgn
from plugins.chess.move_count import plugin as move_count
from resources.lake import Lake

SPANISH = "r1bqkbnr/pppp1ppp/2n5/1B2p3/4P3/5N2/PPPP1PPP/RNBQK2R b KQkq - 3 3"
AFTER_E4 = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq"
CLOCKED = (
    "1. e4 { [%eval 0.3] [%clk 0:03:00] } 1... e5 { [%eval 0.2] [%clk 0:02:59] } "
    "2. Nf3 { [%eval 0.25] [%clk 0:02:58] } 2... Nc6 { [%eval 0.3] [%clk 0:02:50] } "
    "3. Bb5 { [%eval #5] [%clk 0:02:55] } "
)


@pytest.fixture(scope="module")
def searchable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """Four games of two months: two through the Spanish, one of them twice; published with their positions."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield _published(Lakehouse(tmp_path_factory.mktemp("searchable"), instance, [move_count]))


def _published(lakehouse: Lakehouse) -> Lakehouse:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1", moves=CLOCKED), pgn("aaaaaaa2"))
    again = "1. Nf3 Nc6 2. e4 e5 3. Bb5 Nf6 4. Bf1 Ng8 5. Bb5 "
    lakehouse.write_dump(
        "2024-02",
        pgn("aaaaaaa3", day="2024.02.01", white="Clove", moves=again, result="0-1"),
        pgn("aaaaaaa4", day="2024.02.02", moves="1. d4 d5 "),
    )
    assert_good(lakehouse.make("lichess/dump_games", "2024-01", "2024-02"), lakehouse.carry_on())
    assert_good(lakehouse.make("chess/positions+"))
    return lakehouse


def assert_good(*runs):
    assert [problem for run in runs for outcome in run for problem in outcome.problems] == []


def test_it_is_no_part_of_the_ordinary_run_and_an_empty_view_until_it_is_made(lakehouse: Lakehouse) -> None:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1", moves=CLOCKED))
    assert_good(lakehouse.make("lichess/dump_games", "2024-01"), lakehouse.carry_on())
    assert_good(lakehouse.make('group:"chess/*"'))
    assert lakehouse.lake.version(POSITIONS.full_name) is None
    assert lakehouse.query("SELECT * FROM chess.positions") == []
    assert lakehouse.query(f"SELECT * FROM games_with_position('{SPANISH}')") == []


def test_there_is_a_row_for_each_ply_with_what_the_game_tells_of_it(searchable: Lakehouse) -> None:
    assert [check for check in searchable.failed_checks() if check.startswith("chess/")] == []
    assert searchable.query(
        "SELECT n_ply, val_color, n_clock_cs, val_eval_cp, val_eval_mate, dt_month FROM chess.positions "
        "WHERE id_game = 'aaaaaaa1' ORDER BY 1"
    ) == [
        (1, "black", 18000, 30, None, "2024-01"),
        (2, "white", 17900, 20, None, "2024-01"),
        (3, "black", 17800, 25, None, "2024-01"),
        (4, "white", 17000, 30, None, "2024-01"),
        (5, "black", 17500, None, 5, "2024-01"),
    ]
    keys = searchable.query("SELECT id_position, id_game, n_ply FROM chess.positions WHERE n_ply = 5 ORDER BY 2")
    assert [row[0] for row in keys if row[1] == "aaaaaaa1"] == [signed(zobrist_hash(chess.Board(SPANISH)))]


@pytest.mark.parametrize("fen", [SPANISH, " ".join(SPANISH.split()[:4]), f" {SPANISH} "])
def test_games_are_found_by_their_position_whatever_the_order_of_the_moves(searchable: Lakehouse, fen: str) -> None:
    assert searchable.query(
        "SELECT id_game, n_ply, n_times, val_color, n_clock_cs, val_eval_mate, val_name_white, val_result, val_speed, "
        f"val_link FROM games_with_position('{fen}') ORDER BY id_game"
    ) == [
        ("aaaaaaa1", 5, 1, "black", 17500, 5, "Amber", "1-0", "blitz", "https://lichess.org/aaaaaaa1#5"),
        ("aaaaaaa3", 5, 2, "black", None, None, "Clove", "0-1", "blitz", "https://lichess.org/aaaaaaa3#5"),
    ]


def test_an_en_passant_square_that_nobody_can_use_makes_no_difference(searchable: Lakehouse) -> None:
    found = [
        searchable.query(f"SELECT id_game FROM games_with_position('{AFTER_E4} {square}') ORDER BY 1")
        for square in ("-", "e3")
    ]
    assert found == [[("aaaaaaa1",), ("aaaaaaa2",)]] * 2


@pytest.mark.parametrize("text", ["", "hello", AFTER_E4, "9/8/8/8/8/8/8/8 w - -", f"{AFTER_E4} e9"])
def test_what_is_no_position_ends_with_a_sentence(searchable: Lakehouse, text: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="this is no position: give a FEN"):
        searchable.query(f"SELECT * FROM games_with_position('{text}')")


def test_kshift_sql_asks_for_losses_as_black_in_a_position(searchable: Lakehouse) -> None:
    query = (
        f"SELECT id_game, val_link FROM games_with_position('{SPANISH}') "
        "WHERE id_user_black = 'basil' AND val_speed = 'blitz' AND val_result = '1-0'"
    )
    found = subprocess.run(
        [
            Path(sys.executable).with_name("kshift"),
            "sql",
            query,
            "--format=json",
        ],
        env={"PATH": "/usr/bin:/bin", "KSHIFT_HOME": str(searchable.settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == [{"id_game": "aaaaaaa1", "val_link": "https://lichess.org/aaaaaaa1#5"}]


def test_a_month_is_written_in_runs_sorted_by_key(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "BATCH_GAMES", 3)
    names = [f"aaaaaaa{letter}" for letter in "123456789"]
    lakehouse.write_dump("2024-01", *(pgn(name, moves=CLOCKED) for name in names))
    assert_good(lakehouse.make("lichess/dump_games", "2024-01"), lakehouse.carry_on())
    assert_good(lakehouse.make("chess/positions", "2024-01"))
    keys = [key for (key,) in rows(lakehouse.lake, "SELECT id_position FROM {table}")]
    runs = [keys[start : start + 15] for start in range(0, 45, 15)]
    assert len(keys) == 45
    assert all(run == sorted(run) for run in runs)
    assert keys != sorted(keys)


def test_a_game_with_an_illegal_move_is_there_up_to_it_with_a_warning(lakehouse: Lakehouse) -> None:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1", moves="1. e4 e5 2. O-O Nc6 "), pgn("aaaaaaa2", moves=CLOCKED))
    assert_good(lakehouse.make("lichess/dump_games", "2024-01"), lakehouse.carry_on())
    (outcome,) = lakehouse.make("chess/positions", "2024-01")
    assert outcome.succeeded
    assert list(outcome.warnings) == ["chess/positions: 1 of 2 games are here only up to a ply that is no legal move"]
    assert len(rows(lakehouse.lake, "SELECT * FROM {table} WHERE id_game = 'aaaaaaa1'")) == 2


def test_making_a_month_again_gives_the_same_rows_once(searchable: Lakehouse) -> None:
    before = rows(searchable.lake, "SELECT * FROM {table} ORDER BY ALL")
    assert_good(searchable.make("chess/positions", "2024-01"))
    assert rows(searchable.lake, "SELECT * FROM {table} ORDER BY ALL") == before


def rows(lake: Lake, sql: str) -> list[tuple]:
    relation = lake.relation_sql(POSITIONS.full_name, positions.polars_schema(POSITIONS.model))
    return duckdb.sql(sql.format(table=relation)).fetchall()
