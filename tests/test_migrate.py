"""`kshift migrate`, and what every command says of a lake that is older or newer than the code."""

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from commands import Kshift
from kshift_assets.chess.tables import FETCHES
from kshift_assets.migrations import MIGRATIONS
from kshift_assets.tables import polars_schema
from resources.lake import Cursor, Lake
from resources.migrations import LEDGER, LEDGER_SCHEMA, Migration, newest
from resources.table_changes import Added, Change

OLD_FETCHES = pl.Schema({name: kind for name, kind in polars_schema(FETCHES.model).items() if name != "val_source"})
NEXT = newest(MIGRATIONS) + 1
FROM_LICHESS = Migration(
    NEXT,
    "fetches say their source",
    (Change(FETCHES.full_name, (Added("val_source", pl.String(), pl.lit("lichess")),)),),
)
COMMANDS = [
    ["ingest"],
    ["crawl", "--budget", "1"],
    ["run", "chess/games", "--partition", "2024-01"],
    ["track", "amber"],
    ["untrack", "amber"],
    ["maintain"],
    ["status"],
    ["demo"],
    ["up", "--port", "3999"],
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two fetches of the past, without the column that the code of these tests wants to be there."""
    made = Lake(uri=str(tmp_path / "home" / "lake"))
    nulls = [pl.lit(None, kind).alias(name) for name, kind in OLD_FETCHES.items()]
    row = pl.select(nulls).with_columns(id_fetch=pl.lit("one"), dt_month=pl.lit("2024-01"))
    made.append(FETCHES.full_name, pl.concat([row, row]), OLD_FETCHES)
    return made


@pytest.fixture
def heavy(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The code knows a migration for which files have to be written anew."""
    monkeypatch.setattr("kshift_assets.migrations.MIGRATIONS", (*MIGRATIONS, FROM_LICHESS))
    return lake


def refused(kshift_here: Kshift, arguments: list[str], home: Path) -> str:
    before = sorted(home.rglob("*"))
    found = kshift_here(*arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert len(found.stderr.strip().splitlines()) == 1
    assert sorted(home.rglob("*")) == before
    return found.stderr


@pytest.mark.parametrize("arguments", [*COMMANDS, ["migrate"], ["migrate", "--dry-run"]], ids=" ".join)
def test_a_newer_lake_is_refused(kshift_here: Kshift, lake: Lake, tmp_path: Path, arguments: list[str]) -> None:
    row = pl.DataFrame([(99, "later", datetime.now(UTC))], LEDGER_SCHEMA, orient="row")
    lake.append(LEDGER, row, LEDGER_SCHEMA, Cursor("knightshift.version", 99, None))

    assert "are of version 99, written by a newer KnightShift: this one knows version" in refused(
        kshift_here, arguments, tmp_path / "home"
    )


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_an_older_lake_that_takes_work_is_explained(
    kshift_here: Kshift, heavy: Lake, tmp_path: Path, arguments: list[str]
) -> None:
    assert heavy.version(FETCHES.full_name) == 1
    assert f"writes version {NEXT}: run `kshift migrate` (2 rows of lichess.fetches to write anew" in refused(
        kshift_here, arguments, tmp_path / "home"
    )


def test_migrate_tells_does_it_and_then_there_is_nothing_to_do(kshift_here: Kshift, heavy: Lake) -> None:
    told = kshift_here("migrate", "--dry-run")
    assert told.returncode == 0
    assert re.search(rf"{NEXT} +lichess.fetches +add val_source \(String\) +1 +2 +0.0", told.stdout)
    assert f"Version 1 would become version {NEXT}." in told.stdout
    assert heavy.version(FETCHES.full_name) == 1

    done = kshift_here("migrate")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Version {NEXT}: fetches say their source." in done.stdout
    assert (
        heavy.scan(FETCHES.full_name, polars_schema(FETCHES.model)).collect()["val_source"].to_list() == ["lichess"] * 2
    )
    assert f"The tables are of version {NEXT}: nothing to do." in kshift_here("migrate", "--dry-run").stdout
    assert kshift_here("track", "amber").returncode == 0


def test_a_lake_that_cannot_be_opened_is_named(kshift_here: Kshift, tmp_path: Path) -> None:
    log = tmp_path / "home" / "lake" / "ops" / "migrations" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("not json")
    found = kshift_here("status")

    assert found.returncode == 2
    assert re.match(r"kshift: the lake .*/home/lake cannot be opened: ", found.stderr)
    assert len(found.stderr.strip().splitlines()) == 1
