"""A lake that an older version wrote, under today's code: see tests/fixtures/README.md."""

import tarfile
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from kshift_assets import ways
from kshift_assets.chess.tables import GAMES
from kshift_assets.migrations import MIGRATIONS, lake_of, migrations
from kshift_assets.tables import polars_schema
from lakehouse import SEVERAL, Lakehouse
from resources.lake import Lake
from resources.migrations import Migration, Migrations
from resources.table_changes import Change, Renamed

OLD_LAKE = Path(__file__).parents[1] / "fixtures" / "lake_version_1.tar.xz"
# What the older version itself said of it, as it ended: rows of each table.
ROWS = {
    "lichess.dump_games": 12,
    "lichess.player_games": 10,
    "lichess.rating_histories": 8,
    "lichess.user_profiles": 25,
    "chess.games": 22,
    "chess.players": 25,
    "marts.opening_results": 18,
}


@pytest.fixture
def old(lakehouse: Lakehouse) -> Lakehouse:
    with tarfile.open(OLD_LAKE) as archive:
        archive.extractall(lakehouse.settings.home, filter="data")
    lakehouse.plugins = SEVERAL
    return lakehouse


def columns(lake: Lake, table: str) -> set[str]:
    return {field.name for field in DeltaTable(lake.path(table)).schema().fields}


def test_it_is_what_its_name_says(old: Lakehouse) -> None:
    assert {table: old.lake.n_rows(table) for table in ROWS} == ROWS
    assert migrations(old.lake).version() == 1
    assert "arr_best" not in columns(old.lake, GAMES.full_name)


def test_the_graph_of_today_runs_on_it_to_the_published_snapshot(old: Lakehouse) -> None:
    outcomes = old.make("chess/games", *old.lake.months("chess.games"))
    outcomes += old.runner.carry_on(ways.SOURCES, timedelta(hours=26), lambda *_: None)

    assert [problem for outcome in outcomes for problem in outcome.problems] == []
    assert migrations(old.lake).version() == migrations(old.lake).newest > 1
    assert columns(old.lake, GAMES.full_name) == set(polars_schema(GAMES.model))
    assert old.query("SELECT count(*), count(arr_best) > 0 FROM chess.games") == [(22, True)]
    for name in ("opening", "move_count", "largest_swing"):
        assert old.query(f"SELECT count(*), count(val_error) FROM analytics.{name}") == [(22, 0)]
    assert old.query("SELECT sum(n_games) FROM marts.opening_results") == [(22,)]
    assert {table: old.lake.n_rows(table) for table in ROWS if table.startswith("lichess")} == {
        table: rows for table, rows in ROWS.items() if table.startswith("lichess")
    }


def test_opening_it_adds_the_columns_that_it_lacks(old: Lakehouse) -> None:
    migrations(lake_of(old.settings)).open()

    assert "arr_best" in columns(old.lake, GAMES.full_name)
    read = old.lake.scan(GAMES.full_name, polars_schema(GAMES.model)).collect()
    assert read.select(pl.len(), pl.col("arr_best").count()).row(0) == (22, 0)


def test_a_run_that_older_code_launches_on_a_newer_lake_fails_with_the_sentence_and_writes_nothing(
    old: Lakehouse,
) -> None:
    later = Migration(
        migrations(old.lake).newest + 1, "later", (Change(GAMES.full_name, (Renamed("val_eco", "eco"),)),)
    )
    list(Migrations(old.lake, [*MIGRATIONS, later]).run())
    before = sorted((old.settings.home / "lake").rglob("*"))
    (outcome,) = old.make("chess/games", "2024-01")

    assert not outcome.succeeded
    (problem,) = outcome.problems
    assert "written by a newer KnightShift" in problem
    assert sorted((old.settings.home / "lake").rglob("*")) == before


def test_a_run_on_an_older_lake_that_takes_work_fails_with_what_to_do(
    old: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Migration(
        migrations(old.lake).newest + 1, "later", (Change(GAMES.full_name, (Renamed("val_eco", "eco"),)),)
    )
    monkeypatch.setattr("kshift_assets.migrations.MIGRATIONS", (*MIGRATIONS, later))
    before = sorted((old.settings.home / "lake").rglob("*"))
    (outcome,) = old.make("chess/games", "2024-01")

    assert not outcome.succeeded
    assert "run `kshift migrate` (22 rows of chess.games to write anew" in outcome.problems[0]
    assert sorted((old.settings.home / "lake").rglob("*")) == before
