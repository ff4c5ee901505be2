"""No table changes its columns without a migration, or a version of its plugin, that takes old lakes along."""

import copy
import json
from pathlib import Path

import polars as pl
import pytest

from kshift_assets.chess.dump_units import DUMP_UNITS
from kshift_assets.chess.tables import DUMP_GAMES
from kshift_assets.migrations import MIGRATIONS
from kshift_assets.schema_versions import Versions, forgotten
from resources.migrations import FIRST, Migration
from resources.table_changes import Added, Change, Renamed, Retyped

STORED: Versions = json.loads((Path(__file__).parents[1] / "docs" / "schema_versions.json").read_text())
FETCHES, MOVE_COUNT = "lichess.fetches", "analytics.move_count"


@pytest.fixture
def now() -> Versions:
    return copy.deepcopy(STORED)


def next_migration(*changes: Change) -> list[Migration]:
    return [*MIGRATIONS, Migration(STORED["version"] + 1, "later", changes)]


def test_nothing_is_forgotten_where_nothing_changed(now: Versions) -> None:
    assert forgotten(STORED, now, MIGRATIONS) == []


@pytest.mark.parametrize("table", [*STORED["tables"]])
def test_a_changed_column_of_any_table_is_noticed(now: Versions, table: str) -> None:
    column = next(iter(now["tables"][table]))
    now["tables"][table][column] = "Int8"

    assert forgotten(STORED, now, MIGRATIONS) == [table]


def test_a_new_or_a_missing_column_is_noticed(now: Versions) -> None:
    now["tables"][FETCHES]["val_new"] = "String"
    del now["tables"]["chess.games"]["val_eco"]

    assert forgotten(STORED, now, MIGRATIONS) == ["chess.games", FETCHES]


def test_a_migration_that_leads_there_settles_it(now: Versions) -> None:
    columns = now["tables"][FETCHES]
    columns["val_host"] = columns.pop("val_source")
    columns |= {"n_rows": "Int64", "ind_new": "Boolean"}
    steps = (Renamed("val_source", "val_host"), Retyped("n_rows", pl.Int64()), Added("ind_new", pl.Boolean()))

    assert forgotten(STORED, now, next_migration(Change(FETCHES, steps))) == []
    assert forgotten(STORED, now, next_migration(Change(FETCHES, steps[:2]))) == [FETCHES]


def test_a_version_of_the_plugin_settles_it_for_an_analytic(now: Versions) -> None:
    now["tables"][MOVE_COUNT]["n_new"] = "Int8"
    now["plugins"][MOVE_COUNT] += ".1"

    assert forgotten(STORED, now, MIGRATIONS) == []


def test_a_new_table_needs_nothing(now: Versions) -> None:
    now["tables"]["lichess.later"] = {"id": "String"}

    assert forgotten(STORED, now, MIGRATIONS) == []


def test_migrations_follow_one_another_and_change_tables_that_are_there() -> None:
    assert [migration.number for migration in MIGRATIONS] == [*range(FIRST + 1, FIRST + 1 + len(MIGRATIONS))]
    assert {change.table for migration in MIGRATIONS for change in migration.changes} <= STORED["tables"].keys()


def test_whoever_writes_dumped_games_anew_forgets_the_files_that_their_journal_names() -> None:
    for migration in MIGRATIONS:
        changed = {change.table for change in migration.changes}
        emptied = {change.table for change in migration.changes if change.empties}
        assert DUMP_GAMES.full_name not in changed or DUMP_UNITS.full_name in emptied, migration.text
