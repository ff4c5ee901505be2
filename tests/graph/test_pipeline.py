"""The way of the data, on real runs: a dump becomes cleaned games, analytics, marts and a published snapshot."""

import dataclasses

import dagster as dg
import pandera.polars as pa
import polars as pl
import pytest
import zstandard

from kshift_assets.runs import Outcome
from lakehouse import SEVERAL, Lakehouse, pgn
from plugins import ColumnPlugin


class FirstMove(pa.DataFrameModel):
    """The first move of a game."""

    id_game: str = pa.Field(description="Game id")
    val_first_move: str = pa.Field(nullable=True, isin=("e4", "d4"), description="First move in SAN")


COMPUTED: list[str] = []
MARTS_OF_GAMES = ("player_summary", "head_to_head", "opponent_network", "opponent_nodes", "opponent_distances")
"""The marts of a graph whose analytics are a test's own."""


def assert_good(outcomes: list[Outcome]) -> None:
    assert [problem for outcome in outcomes for problem in outcome.problems] == []


def first_move(games: pl.LazyFrame) -> pl.LazyFrame:
    COMPUTED.extend(games.collect().get_column("id_game"))
    return games.select("id_game", val_first_move=pl.col("val_moves").str.split(" ").list.first())


PLUGIN = ColumnPlugin(
    name="first_move",
    version="1",
    description="First moves.",
    schema=FirstMove,
    reads=("id_game", "val_moves"),
    compute=first_move,
)


@pytest.fixture(autouse=True)
def _forget_what_was_computed() -> None:
    COMPUTED.clear()


def test_a_dump_reaches_the_published_database(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = SEVERAL
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa2", white="Clove", result="0-1"))
    assert_good(lakehouse.make("lichess/dump_games", "2024-01") + lakehouse.carry_on())
    assert lakehouse.query("SELECT id_game, id_user_white, val_result, n_plies FROM chess.games ORDER BY id_game") == [
        ("aaaaaaa1", "amber", "1-0", 5),
        ("aaaaaaa2", "clove", "0-1", 5),
    ]
    assert lakehouse.query("SELECT id_user, n_games, n_wins FROM marts.player_summary ORDER BY 1, 2") == [
        ("amber", 1, 1),
        ("basil", 2, 1),
        ("clove", 1, 0),
    ]
    assert lakehouse.query("SELECT n_games, n_white_wins, n_black_wins FROM marts.opening_results") == [(2, 1, 1)]
    # 0.25 → 2.10 in White's favour after 2... f6
    assert lakehouse.query("SELECT DISTINCT n_swing_ply, val_swing_cp FROM analytics.largest_swing") == [(4, 185)]
    assert lakehouse.query(
        "SELECT n_ply, val_color, val_san, n_clock_cs, val_eval_cp, val_glyph, val_best FROM chess.moves "
        "WHERE id_game = 'aaaaaaa1' AND n_ply > 3 ORDER BY 1"
    ) == [
        (4, "black", "f6", 17000, 210, "??", None),
        (5, "white", "Nxe5", 17500, 180, None, None),
    ]


def test_rerunning_everything_changes_no_row(whole_lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHIFT_PROFILE_BUDGET", "0")  # nobody is there to be asked about players
    whole_lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa2"))
    whole_lakehouse.make("lichess/dump_games", "2024-01")
    assert_good(whole_lakehouse.carry_on())
    tables = [name for name, table in whole_lakehouse.snapshots.latest()["tables"].items() if table["files"]]
    before = {name: sorted(map(str, whole_lakehouse.query(f"SELECT * FROM {name}"))) for name in tables}
    assert all(
        outcome.succeeded
        for outcome in whole_lakehouse.make("*", "2024-01")
        if "player_games" not in str(outcome.batch)
    )
    assert {name: sorted(map(str, whole_lakehouse.query(f"SELECT * FROM {name}"))) for name in tables} == before
    assert sum(map(len, before.values())) > 10


def test_a_second_carry_on_makes_nothing(lakehouse: Lakehouse) -> None:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert lakehouse.carry_on()
    assert lakehouse.carry_on() == []


def test_only_the_month_that_changed_is_made_anew(lakehouse: Lakehouse) -> None:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.write_dump("2024-02", pgn("aaaaaaa2", day="2024.02.05"))
    lakehouse.make("lichess/dump_games", "2024-01", "2024-02")
    assert_good(lakehouse.carry_on())
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa3"))
    lakehouse.make("lichess/dump_games", "2024-01")
    outcomes = lakehouse.carry_on()
    assert [outcome.batch.month for outcome in outcomes] == ["2024-01", None]
    assert lakehouse.query("SELECT count(*) FROM chess.games") == [(3,)]


@pytest.mark.parametrize("told", ["chess/games", "chess/rejected_games"])
def test_what_one_step_makes_is_made_anew_together_where_a_killed_run_told_of_a_part(
    lakehouse: Lakehouse, told: str
) -> None:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), "[Site")
    assert_good(lakehouse.make("lichess/dump_games", "2024-01"))
    event = dg.AssetMaterialization(dg.AssetKey.from_user_string(told), partition="2024-01")
    lakehouse.runner.instance.report_runless_asset_event(event)
    assert_good(lakehouse.carry_on())
    assert lakehouse.query("SELECT count(*) FROM chess.games") == [(1,)]
    assert lakehouse.query("SELECT count(*) FROM chess.rejected_games") == [(1,)]


def test_a_damaged_game_is_rejected_with_its_text_and_the_file_goes_on(lakehouse: Lakehouse) -> None:
    broken = pgn("aaaaaaa2").replace("2. Nf3", "2. N?x3")
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), broken, pgn("aaaaaaa3"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert_good(lakehouse.carry_on())
    assert lakehouse.query("SELECT count(*) FROM chess.games") == [(2,)]
    [(reasons, text)] = lakehouse.query("SELECT val_reasons, val_text FROM chess.rejected_games")
    assert "N?x3" in text
    assert reasons
    assert lakehouse.failed_checks() >= {"lichess/dump_games:damaged_games", "chess/games:rejected_share"}


def test_only_games_without_a_result_are_computed(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = [PLUGIN]
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert_good(lakehouse.carry_on())
    assert COMPUTED == ["aaaaaaa1"]
    lakehouse.make("analytics/first_move", "2024-01")
    assert COMPUTED == ["aaaaaaa1"]


def test_a_raised_version_computes_all_games_anew(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = [PLUGIN]
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert_good(lakehouse.carry_on())
    lakehouse.plugins = [dataclasses.replace(PLUGIN, version="2")]
    lakehouse.make("analytics/first_move", "2024-01")
    assert COMPUTED == ["aaaaaaa1", "aaaaaaa1"]
    lakehouse.make("published/snapshot")
    assert lakehouse.query("SELECT val_plugin_version FROM analytics.first_move") == [("2",)]


UNRULY = "1. c4 { [%clk 0:03:00] } "


def test_a_game_that_fails_is_recorded_and_tried_again_when_the_version_changes(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = [PLUGIN]
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa2", moves=UNRULY))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert_good(lakehouse.carry_on())
    assert lakehouse.query("SELECT id_game, val_first_move FROM analytics.first_move ORDER BY 1") == [
        ("aaaaaaa1", "e4"),
        ("aaaaaaa2", None),
    ]
    failures = "SELECT id_game, val_plugin, val_plugin_version, val_error FROM analytics.failures"
    error = "val_first_move: isin(('e4', 'd4')) (got c4)"
    assert lakehouse.query(failures) == [("aaaaaaa2", "first_move", "1", error)]
    assert "analytics/first_move:no_failures" in lakehouse.failed_checks()
    lakehouse.make("analytics/first_move", "2024-01")
    assert COMPUTED == ["aaaaaaa1", "aaaaaaa2"]
    lakehouse.plugins = [dataclasses.replace(PLUGIN, version="2")]
    assert_good(lakehouse.carry_on() + lakehouse.make("analytics/first_move", "2024-01"))
    assert COMPUTED == ["aaaaaaa1", "aaaaaaa2"] * 2
    lakehouse.make("published/snapshot")
    assert lakehouse.query(failures) == [("aaaaaaa2", "first_move", "2", error)]


def test_a_plugin_that_fails_for_most_games_stops_publishing_and_the_last_snapshot_stays(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = [PLUGIN]
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert_good(lakehouse.carry_on())
    first = lakehouse.snapshots.latest()["snapshot"]
    unruly = [pgn(f"aaaaab{number:02}", moves=UNRULY) for number in range(20)]
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), *unruly)
    lakehouse.make("lichess/dump_games", "2024-01")
    outcomes = lakehouse.carry_on()
    assert [outcome.succeeded for outcome in outcomes] == [False, False]
    assert "analytics/first_move:mostly_computed (2024-01)" in outcomes[-1].problems[0]
    assert lakehouse.snapshots.latest()["snapshot"] == first
    assert lakehouse.query("SELECT count(*) FROM chess.games") == [(1,)]
    assert lakehouse.failed_checks() == {
        "analytics/first_move:mostly_computed",
        "published/snapshot:sources_passed",
        *(f"marts/{mart}:newest_row" for mart in MARTS_OF_GAMES),
    }
    # once the rule holds again, everything that waited is made
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa2"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert all(outcome.succeeded for outcome in lakehouse.carry_on())
    assert lakehouse.query("SELECT count(*) FROM chess.games") == [(2,)]


def test_a_cut_dump_stores_nothing_and_the_old_rows_stay(lakehouse: Lakehouse) -> None:
    packed = zstandard.compress("".join(pgn(f"aaaaa{number:03}") for number in range(300)).encode())
    folder = lakehouse.settings.dump_dir
    assert folder
    file = folder / "lichess_db_standard_rated_2024-01.pgn.zst"
    file.write_bytes(packed)
    assert lakehouse.make("lichess/dump_games", "2024-01")[0].succeeded
    file.write_bytes(packed[: len(packed) // 2])
    [outcome] = lakehouse.make("lichess/dump_games", "2024-01")
    assert not outcome.succeeded
    assert "damaged" in outcome.problems[0]
    assert lakehouse.lake.n_rows("lichess.dump_games", "2024-01") == 300


def test_a_month_without_a_dump_file_says_what_to_do(lakehouse: Lakehouse) -> None:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    [outcome] = lakehouse.make("lichess/dump_games", "2024-03")
    assert not outcome.succeeded
    assert "has no file of 2024-03 (months there: 2024-01)" in outcome.problems[0]


def test_a_table_is_made_together_with_those_of_the_same_step(lakehouse: Lakehouse) -> None:
    names = [key.to_user_string() for key in lakehouse.runner.select("key:chess/games")]
    assert names == ["chess/games", "chess/rejected_games"]
