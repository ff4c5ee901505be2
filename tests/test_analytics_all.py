"""What holds for every analytic: one row a game in order, schema kept, and no game's row depends on another's."""

from random import Random

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kshift_assets.chess.seen_games import COLUMNS
from plugins import EnginePlugin, Plugin, discover
from tests.chess_games import frame, from_documents, random_games, recorded_documents
from tests.recordings import needs_recordings

PLUGINS = [plugin for plugin in discover(COLUMNS) if not isinstance(plugin, EnginePlugin)]

# No deadline: the first example compiles Polars' plans and is slow on a busy machine.
thoroughly = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)


@each_plugin
@thoroughly
@given(games=random_games(), cut=st.integers(0, 5))
def test_a_batch_can_be_split_anywhere(plugin: Plugin, games: pl.DataFrame, cut: int) -> None:
    parts = pl.concat([plugin.run(games.head(cut)), plugin.run(games.slice(cut))])
    assert_frame_equal(plugin.run(games), parts, check_exact=True)


@each_plugin
@thoroughly
@given(games=random_games(), order=st.randoms(use_true_random=False))
def test_every_game_has_its_row_in_the_order_of_the_games_and_to_the_schema(
    plugin: Plugin, games: pl.DataFrame, order: Random
) -> None:
    rows = list(range(games.height))
    order.shuffle(rows)
    results = plugin.run(games[rows])
    assert results.get_column("id_game").to_list() == [f"game{row:04}" for row in rows]
    assert_frame_equal(results, plugin.run(games)[rows], check_exact=True)
    plugin.schema.validate(results.select(list(plugin.columns)), lazy=True)


@each_plugin
def test_no_games_give_no_rows(plugin: Plugin) -> None:
    assert plugin.run(frame()).shape == (0, len(plugin.columns) + 2)


@each_plugin
def test_a_game_of_which_nothing_is_known_has_a_row_of_nulls(plugin: Plugin) -> None:
    (row,) = plugin.run(frame({})).rows()
    assert row[0] == "game0000"
    assert set(row[1 : len(plugin.columns)]) == {None}


@each_plugin
@needs_recordings
def test_results_of_real_games_keep_the_schema_and_tell_something_in_every_column(plugin: Plugin) -> None:
    games = from_documents([*recorded_documents("clocks"), *recorded_documents(files="odd_*.ndjson")])
    results = plugin.run(games)
    plugin.schema.validate(results.select(list(plugin.columns)), lazy=True)
    assert results.height == games.height > 300
    assert results.get_column("val_error").null_count() == results.height
    silent = [column.name for column in results.select(list(plugin.columns)) if column.null_count() == results.height]
    assert silent == []
