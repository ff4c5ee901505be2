"""Upkeep of a whole lakehouse: whoever reads the published snapshot goes on reading it."""

from collections.abc import Iterator

import dagster as dg
import duckdb
import pytest

from kshift_assets.ops.maintenance import MAINTENANCE_KEY, upkeep
from kshift_assets.runs import Batch
from lakehouse import Lakehouse, pgn
from resources.retention import Retention

COUNT = "SELECT count(*), max(n_plies) FROM chess.games"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    with dg.DagsterInstance.ephemeral() as instance:
        lakehouse = Lakehouse(tmp_path_factory.mktemp("upkeep"), instance, [])
        lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa2"))
        lakehouse.make("lichess/dump_games", "2024-01")
        assert all(outcome.succeeded for outcome in lakehouse.carry_on())
        yield lakehouse


def test_a_reader_of_the_snapshot_goes_on_while_all_that_it_reads_is_replaced(published: Lakehouse) -> None:
    work = upkeep(published.lake, published.snapshots, Retention(days=0))
    with duckdb.connect(str(published.settings.published / "latest.duckdb"), read_only=True) as reader:
        before = reader.execute(COUNT).fetchall()
        published.make("chess/games", "2024-01")
        published.make("chess/games", "2024-01")
        told = sum(one.removed for one in work.run(dry=True))
        assert sum(one.removed for one in work.run()) == told > 0
        assert reader.execute(COUNT).fetchall() == before
        for (view,) in reader.execute("SELECT schema_name || '.' || view_name FROM duckdb_views()").fetchall():
            if not view.startswith(("main.", "information_schema.", "pg_catalog.")):
                reader.execute(f"SELECT count(*) FROM {view}")
    assert published.query(COUNT) == before


def test_the_asset_does_it_too_and_tells_how_much(published: Lakehouse) -> None:
    outcome = published.runner.run(Batch((MAINTENANCE_KEY,), None))
    assert outcome.succeeded
    (record,) = published.instance.fetch_materializations(MAINTENANCE_KEY, limit=1).records
    assert record.asset_materialization.metadata["removed files"].value == 0
    assert record.asset_materialization.metadata["rows"].value == len(list(published.folder.glob("home/lake/*/*")))


def test_nothing_but_its_schedule_or_its_name_starts_it(published: Lakehouse) -> None:
    assert MAINTENANCE_KEY not in published.runner.select("*")
