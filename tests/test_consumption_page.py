"""The queries of docs/consumption.md run on what is published, and their answers have the columns that it shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kshift_assets.definitions import consumer_tables, find_plugins
from kshift_assets.published import GAMES, MACROS, pin, pin_failures, pin_moves
from resources.lake import Lake
from resources.snapshots import Snapshots
from serving.sql import ask, connect

PAGE = Path(__file__).parents[1] / "docs" / "consumption.md"
BLOCKS = re.findall(r"```sql\n(.*?)```(?:\n\n```\n(.*?)\n)?", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A snapshot of every table, without rows."""
    home = tmp_path_factory.mktemp("home")
    lake = Lake(uri=str(home / "lake"))
    pins = [pin(lake, table) for table in consumer_tables(find_plugins())]
    pins.append(pin_moves(next(one for one in pins if one.name == GAMES.full_name)))
    pins.append(pin_failures([one for one in pins if one.name.startswith("analytics.")]))
    Snapshots(folder=str(home / "published")).publish(pins, lambda _: None, macros=MACROS)
    with connect(home / "published" / "latest.duckdb", [lake.uri]) as connection:
        yield connection


@pytest.mark.parametrize(("query", "shown"), BLOCKS, ids=[query.split("\n")[0][:60] for query, _ in BLOCKS])
def test_a_query_of_the_page_answers_with_the_columns_shown(
    published: duckdb.DuckDBPyConnection, query: str, shown: str
) -> None:
    answer = ask(published, query)
    list(answer.rows)
    if shown:
        assert list(answer.columns) == shown.split()


def test_the_page_has_queries() -> None:
    assert len(BLOCKS) >= 10
