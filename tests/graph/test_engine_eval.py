"""Evaluations by an engine, on real runs: what is asked, what is kept, and how a run goes on after it was stopped."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import chess
import dagster as dg
import polars as pl
import pytest

from kshift_assets.chess import engine_games
from kshift_assets.chess.engine_assets import engine_table, evaluated
from kshift_assets.chess.engine_cache import ENGINE_POSITIONS
from kshift_assets.chess.seen_games import COLUMNS, SeenGames
from kshift_assets.chess.tracking import say
from kshift_assets.definitions import engine_of
from kshift_assets.runs import Outcome
from kshift_assets.tables import polars_schema
from lakehouse import MOVES, Lakehouse, pgn
from plugins import discover
from tests.engines import Scripted, needs_stockfish, scripted

ROOT = Path(__file__).parents[2]
KEY, TABLE, MONTH = "analytics/engine_eval", "analytics.engine_eval", "2024-01"
RUY = "1. e4 e5 2. Nf3 Nc6 3. Bb5 "
ITALIAN = "1. e4 e5 2. Nf3 Nc6 3. Bc4 "
FOOLS_MATE = "1. f3 e5 2. g4 Qh4# "


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = scripted(tmp_path / "engine")
    monkeypatch.setenv("KSHIFT_ENGINE", str(made.path))
    monkeypatch.setenv("KSHIFT_WORKERS", "1")
    return made


@pytest.fixture
def house(lakehouse: Lakehouse) -> Lakehouse:
    lakehouse.plugins = [plugin for plugin in discover(COLUMNS) if plugin.name in ("engine_eval", "move_count")]
    return lakehouse


def clean(house: Lakehouse, *games: str, month: str = MONTH) -> None:
    """Bring games into chess.games."""
    house.write_dump(month, *games)
    assert_good(
        house.make("lichess/dump_games", month) + house.make('key:"chess/games" or key:"chess/rejected_games"', month)
    )


def assert_good(outcomes: list[Outcome]) -> None:
    assert [problem for outcome in outcomes for problem in outcome.problems] == []


def evaluate(house: Lakehouse, month: str = MONTH) -> Outcome:
    (outcome,) = house.make(KEY, month)
    return outcome


def rows(house: Lakehouse, month: str = MONTH) -> list[dict[str, object]]:
    (plugin,) = (plugin for plugin in discover(COLUMNS) if plugin.name == "engine_eval")
    table = engine_table(plugin)
    return house.lake.scan(TABLE, polars_schema(table.model), month).sort("id_game").collect().to_dicts()


def ids(house: Lakehouse, month: str = MONTH) -> list[object]:
    return [row["id_game"] for row in rows(house, month)]


def metadata(house: Lakehouse) -> dict[str, object]:
    (record,) = house.instance.fetch_materializations(dg.AssetKey(KEY.split("/")), limit=1).records
    return {key: value.value for key, value in record.asset_materialization.metadata.items()}


def positions(moves: str) -> list[str]:
    """The positions of a game, without move numbers and halfmove clock."""
    board = chess.Board()
    found = [board.epd()]
    for san in moves.split():
        if not san.endswith("."):
            board.push_san(san)
            found.append(board.epd())
    return found


def test_only_games_without_evaluations_are_evaluated(house: Lakehouse) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=MOVES), pgn("aaaaaaa3", moves=ITALIAN))
    assert evaluate(house).succeeded
    first, second = rows(house)
    assert (first["id_game"], second["id_game"]) == ("aaaaaaa1", "aaaaaaa3")
    assert first["arr_eval_cp"] == [0] * 5, "nothing was taken"
    assert first["arr_eval_mate"] == [None] * 5
    # The scripted engine's move is the first legal one in the order of UCI.
    assert first["arr_best"] == ["a2a3", "a7a5", "a2a3", "a7a5", "a2a3"]
    assert (first["val_engine"], first["n_nodes"], first["val_error"]) == ("Scripted 1.0", 50_000, None)
    assert first["tm_evaluated"] is not None


def test_after_a_mating_move_there_is_no_evaluation_as_in_lichess_exports(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", result="0-1", moves=FOOLS_MATE))
    evaluate(house)
    (row,) = rows(house)
    assert row["arr_eval_cp"] == [0, 0, 0, None]
    assert row["arr_eval_mate"] == [None] * 4
    assert len(row["arr_best"]) == 4
    assert positions(FOOLS_MATE)[-1] not in " ".join(engine.searched), "a mated position is not asked about"


def test_a_mate_and_a_capture_are_seen_by_white(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", moves="1. e4 d5 2. exd5 Qxd5 3. Nc3 Qxd2+ 4. Qxd2 "))
    engine.order("mate 8/2N5/PPPq1PPP")  # Black's queen on d2: White is to move, and is said to mate
    evaluate(house)
    (row,) = rows(house)
    assert row["arr_eval_cp"] == [0, 0, 100, 0, 0, None, 800]
    assert row["arr_eval_mate"] == [None] * 5 + [2, None]


def test_a_position_is_asked_about_once_in_all_games_and_months(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=ITALIAN))
    clean(house, pgn("aaaaaaa3", day="2024.02.05", moves=RUY), month="2024-02")
    evaluate(house)
    distinct = {*positions(RUY), *positions(ITALIAN)}
    assert len(engine.searched) == len(distinct) == 7
    assert metadata(house) | {"positions": 12, "positions asked": 7, "positions from the cache": 5} == metadata(house)
    evaluate(house, "2024-02")
    assert len(engine.searched) == 7
    assert rows(house, "2024-02")[0]["arr_best"] == rows(house)[0]["arr_best"]
    assert metadata(house) | {"positions asked": 0, "positions from the cache": 6} == metadata(house)


def test_another_number_of_nodes_is_another_question(
    house: Lakehouse, engine: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSHIFT_ENGINE_GAMES", "1")
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=RUY))
    evaluate(house)
    monkeypatch.setenv("KSHIFT_ENGINE_NODES", "1000")
    evaluate(house)
    assert len(engine.searched) == 12
    assert [row["n_nodes"] for row in rows(house)] == [50_000, 1_000], "what is there stays"


def test_a_rerun_has_nothing_to_do_and_needs_no_engine(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY))
    evaluate(house)
    before = rows(house)
    engine.path.unlink()
    assert evaluate(house).succeeded
    assert rows(house) == before


def test_a_run_takes_as_many_games_as_it_may_and_says_what_is_left(
    house: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSHIFT_ENGINE_GAMES", "2")
    days = {"aaaaaaa1": "2024.01.03", "aaaaaaa2": "2024.01.05", "aaaaaaa3": "2024.01.04"}
    clean(house, *(pgn(game, day=day, moves=RUY) for game, day in days.items()))
    outcome = evaluate(house)
    assert ids(house) == ["aaaaaaa2", "aaaaaaa3"], "the newest first"
    assert outcome.warnings == [
        f"{KEY}: 1 games of 2024-01 have no evaluations yet: run it again, or raise KSHIFT_ENGINE_GAMES"
    ]
    assert evaluate(house).warnings == []
    assert ids(house) == ["aaaaaaa1", "aaaaaaa2", "aaaaaaa3"]


def test_followed_players_come_first(house: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHIFT_ENGINE_GAMES", "1")
    say(house.lake, ["Clove"], tracked=True)
    clean(
        house,
        pgn("aaaaaaa1", day="2024.01.20", moves=RUY),
        pgn("aaaaaaa2", day="2024.01.02", black="Clove", moves=RUY),
        pgn("aaaaaaa3", day="2024.01.21", moves=RUY),
    )
    evaluate(house)
    assert ids(house) == ["aaaaaaa2"]


def test_no_games_are_taken_where_none_may_be(
    house: Lakehouse, engine: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSHIFT_ENGINE_GAMES", "0")
    clean(house, pgn("aaaaaaa1", moves=RUY))
    assert evaluate(house).succeeded
    assert (rows(house), engine.n_starts) == ([], 0)


@pytest.mark.parametrize("fault", ["crash", "illegal"])
def test_a_position_that_breaks_the_engine_costs_its_game_only(house: Lakehouse, engine: Scripted, fault: str) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=ITALIAN))
    engine.order(f"{fault} {positions(RUY)[-1]}")
    outcome = evaluate(house)
    assert outcome.succeeded
    assert "1 games failed, first aaaaaaa1" in outcome.warnings[0]
    failed, good = rows(house)
    assert "the engine gave no answer twice" in failed["val_error"]
    assert failed["arr_eval_cp"] is None
    assert (good["val_error"], good["arr_eval_cp"]) == (None, [0] * 5)


def test_analytics_see_the_engine_s_evaluations_but_no_failure_of_it(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=ITALIAN), pgn("aaaaaaa3", moves=MOVES))
    engine.order(f"crash {positions(RUY)[-1]}")
    evaluate(house)
    seen = SeenGames(house.lake, MONTH, ["arr_eval_cp", "arr_best", "val_eval_source"])
    states = seen.states()
    games = pl.concat(seen.batches(states, states.get_column("id_game").is_not_null())).sort("id_game")
    assert games.get_column("val_eval_source").to_list() == [None, "engine", "lichess"]
    assert games.get_column("arr_eval_cp").to_list() == [None, [0] * 5, [30, 20, 25, 210, 180]]
    assert games.get_column("arr_best").to_list()[1] == ["a2a3", "a7a5", "a2a3", "a7a5", "a2a3"]


def test_a_failed_game_is_tried_again_with_another_engine_only(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY))
    engine.order(f"crash {positions(RUY)[-1]}")
    evaluate(house)
    n_searched = len(engine.searched)
    evaluate(house)
    assert len(engine.searched) == n_searched
    engine.order()
    engine.path.write_text(engine.path.read_text().replace("Scripted 1.0", "Scripted 1.1"))
    evaluate(house)
    (row,) = rows(house)
    assert (row["val_engine"], row["val_error"], row["arr_eval_cp"]) == ("Scripted 1.1", None, [0] * 5)


def test_an_engine_that_fails_everywhere_fails_the_run_with_a_sentence(house: Lakehouse, engine: Scripted) -> None:
    clean(
        house,
        *(
            pgn(f"aaaaaaa{number}", moves=f"1. {first} e5 2. e4 ")
            for number, first in enumerate(("a3", "b3", "c3", "d3"))
        ),
    )
    engine.order("crash /")
    outcome = evaluate(house)
    (problem,) = outcome.problems
    assert "fails at every position" in problem
    assert "KSHIFT_ENGINE" in problem
    assert rows(house) == [], "nothing is said of games that nobody looked at"


def test_a_game_that_no_board_takes_has_its_error(house: Lakehouse) -> None:
    clean(house, pgn("aaaaaaa1", moves="1. e4 e5 2. O-O "), pgn("aaaaaaa2", moves=RUY))
    evaluate(house)
    first, second = rows(house)
    assert "IllegalMoveError" in first["val_error"]
    assert second["val_error"] is None


def test_a_game_that_lichess_has_analysed_meanwhile_loses_its_row(house: Lakehouse) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=RUY))
    evaluate(house)
    clean(house, pgn("aaaaaaa1", moves=MOVES), pgn("aaaaaaa2", moves=RUY))
    evaluate(house)
    assert ids(house) == ["aaaaaaa2"]


def test_a_new_version_computes_every_row_anew_and_asks_nothing(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=ITALIAN))
    evaluate(house)
    n_searched = len(engine.searched)
    house.plugins = [dataclasses.replace(plugin, version="2") for plugin in house.plugins]
    evaluate(house)
    found = house.lake.scan(TABLE, pl.Schema({"id_game": pl.String, "val_plugin_version": pl.String})).collect()
    assert sorted(found.rows()) == [("aaaaaaa1", "2"), ("aaaaaaa2", "2")]
    assert len(engine.searched) == n_searched


def test_many_small_commits_become_few_files(house: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_games, "BATCH_GAMES", 1)
    monkeypatch.setattr(engine_games, "MOST_FILES", 3)
    clean(house, *(pgn(f"aaaaaaa{number}", moves=RUY) for number in range(5)))
    evaluate(house)
    assert len(house.lake.files(TABLE, MONTH)) == 1
    assert len(ids(house)) == 5


def test_another_run_that_stores_the_same_games_meanwhile_makes_no_second_row(
    house: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_games, "BATCH_GAMES", 1)
    clean(house, *(pgn(f"aaaaaaa{number}", moves=RUY) for number in range(4)))
    (plugin,) = (plugin for plugin in house.plugins if plugin.name == "engine_eval")

    def month() -> engine_games.EngineMonth:
        return engine_games.EngineMonth(plugin, engine_table(plugin), house.lake, MONTH, [])

    resource = engine_of(house.settings)
    slow = evaluated(month(), resource, None)
    next(slow)
    next(slow)  # one game is stored
    last = list(evaluated(month(), resource, None))[-1]
    assert last.n_done == 3
    rest = list(slow)
    assert rest == [], "its second game was in hand, and is thrown away"
    assert sorted(ids(house)) == [f"aaaaaaa{number}" for number in range(4)]


def test_it_is_published_as_an_empty_table_where_nobody_made_it(house: Lakehouse) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY))
    assert_good(house.carry_on())
    assert house.query(f"SELECT count(*) FROM {TABLE}") == [(0,)]
    assert house.query("SELECT count(*) FROM analytics.failures") == [(0,)]


def test_its_failures_are_published_with_all_others(house: Lakehouse, engine: Scripted) -> None:
    clean(house, pgn("aaaaaaa1", moves=RUY), pgn("aaaaaaa2", moves=ITALIAN))
    engine.order(f"crash {positions(RUY)[-1]}")
    evaluate(house)
    assert_good(house.carry_on())
    assert house.query(f"SELECT id_game, len(arr_best) FROM {TABLE} WHERE val_error IS NULL") == [("aaaaaaa2", 5)]
    assert house.query("SELECT id_game, val_plugin FROM analytics.failures") == [("aaaaaaa1", "engine_eval")]


# Real processes


def command(house: Lakehouse, output: Path, *words: str, **settings: str) -> subprocess.Popen[bytes]:
    """`kshift` in a process of its own, with what it prints in a file."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KSHIFT_", "DAGSTER_"))}
    environment |= {"KSHIFT_HOME": str(house.settings.home), "PYTHONPATH": str(ROOT), "COLUMNS": "300"} | settings
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "serving.cli", *words],
            cwd=house.folder,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def many_games(number: int) -> Iterator[str]:
    """Games that share no position but the first."""
    board = chess.Board()
    pairs = [
        (board.san(first), after.san(second))
        for first in board.legal_moves
        for after in [_after(board, first)]
        for second in after.legal_moves
    ]
    for index, (first, second) in enumerate(pairs[:number]):
        yield pgn(f"aaaaa{index:03}", moves=f"1. {first} {second} ")


def _after(board: chess.Board, move: chess.Move) -> chess.Board:
    copy = board.copy()
    copy.push(move)
    return copy


@pytest.mark.drill
def test_kill_9_loses_the_batch_in_flight_at_most_and_a_rerun_goes_on(lakehouse: Lakehouse, engine: Scripted) -> None:
    n_games, batch = 60, engine_games.BATCH_GAMES
    lakehouse.plugins = []
    clean(lakehouse, *many_games(n_games))
    engine.order("slow /")
    settings, output = {"KSHIFT_ENGINE": str(engine.path), "KSHIFT_WORKERS": "2"}, lakehouse.folder / "output"
    process = command(lakehouse, output, "run", KEY, "--partition", MONTH, **settings)
    deadline = time.monotonic() + 120
    while lakehouse.lake.n_rows(TABLE) < batch:
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = lakehouse.lake.n_rows(TABLE)
    assert stored in range(batch, n_games, batch), "whole batches"
    n_searched = len(engine.searched)
    assert _gone(engine.path), "the engines end with their master"
    engine.order()
    again = command(lakehouse, output, "run", KEY, "--partition", MONTH, **settings)
    assert again.wait(timeout=120) == 0, output.read_text()
    assert f"{KEY} {MONTH}: {n_games} rows" in output.read_text()
    assert ids(lakehouse) == [f"aaaaa{index:03}" for index in range(n_games)]
    lost = len(engine.searched) - len(set(engine.searched))
    assert lost <= 2 * batch + 2, "what was asked twice belongs to one batch"
    assert len(engine.searched) > n_searched


def _gone(program: Path) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(str(program) in _command_line(folder) for folder in Path("/proc").glob("[0-9]*")):
            return True
        time.sleep(0.1)
    return False


def _command_line(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().decode()
    except OSError:
        return ""


def test_without_an_engine_the_command_says_so_in_a_sentence_and_runs_nothing(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    output, missing = tmp_path / "output", tmp_path / "nothing"
    process = command(lakehouse, output, "run", KEY, "--partition", MONTH, KSHIFT_ENGINE=str(missing))
    assert process.wait(timeout=60) == 2
    assert output.read_text().strip() == (
        f"kshift: KSHIFT_ENGINE: there is no file {missing}: give the path or the name of a UCI engine"
    )


def test_without_an_engine_a_run_of_the_asset_fails_with_that_sentence(
    house: Lakehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KSHIFT_ENGINE", str(tmp_path / "nothing"))
    clean(house, pgn("aaaaaaa1", moves=RUY))
    (problem,) = evaluate(house).problems
    assert problem.startswith("KSHIFT_ENGINE: there is no file")


@needs_stockfish
def test_stockfish_evaluates_a_game_and_says_the_same_again(house: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KSHIFT_ENGINE")
    monkeypatch.setenv("KSHIFT_ENGINE_NODES", "5000")
    monkeypatch.setenv("KSHIFT_WORKERS", "2")
    blunder = "1. e4 e5 2. Qh5 Ke7 3. Qxe5# "
    clean(house, pgn("aaaaaaa1", moves=blunder), pgn("aaaaaaa2", moves=RUY))
    evaluate(house)
    mate, even = rows(house)
    assert mate["val_engine"].startswith("Stockfish")
    assert mate["arr_eval_mate"] == [None, None, None, 1, None]
    assert mate["arr_best"][4] == "h5e5"
    assert all(abs(cp) < 120 for cp in even["arr_eval_cp"])
    assert [len(even[name]) for name in ("arr_eval_cp", "arr_eval_mate", "arr_best")] == [5, 5, 5]
    forget(house)
    evaluate(house)
    again = [row | {"tm_evaluated": None} for row in rows(house)]
    assert again == [row | {"tm_evaluated": None} for row in (mate, even)]


def forget(house: Lakehouse) -> None:
    """Empty the table and the cache."""
    for name in (TABLE, ENGINE_POSITIONS.full_name):
        shutil.rmtree(house.lake.path(name))
