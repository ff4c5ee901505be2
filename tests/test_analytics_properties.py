"""What holds for every analytic on legal games: no game fails, company does not matter, and neither does the colour."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kshift_assets.chess.seen_games import COLUMNS
from plugins import ColumnPlugin, GamePlugin, Plugin, discover
from plugins.chess_rules import evaluation
from tests.chess_games import frame
from tests.legal_games import flipped, flipped_san, legal_game

PLUGINS = [plugin for plugin in discover(COLUMNS) if isinstance(plugin, ColumnPlugin | GamePlugin)]
COLUMNAR = [plugin for plugin in PLUGINS if isinstance(plugin, ColumnPlugin)]

SIGNED = ("val_eval_before_cp", "val_eval_after_cp", "val_swing_cp", "val_swing_win_pct", "n_lead_middlegame")
"""Columns of White's view, of which the other side's is the negative."""
FLIPPED = {
    **{name: lambda value: None if value is None else -value for name in SIGNED},
    "val_swing_color": {"white": "black", "black": "white", None: None}.get,
    "val_swing_san": flipped_san,
}

thoroughly = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
each_columnar_plugin = pytest.mark.parametrize("plugin", COLUMNAR, ids=lambda plugin: plugin.name)
some_games = st.lists(legal_game(), min_size=1, max_size=4)


@each_plugin
@thoroughly
@given(games=some_games)
def test_no_legal_game_fails_and_each_has_one_row(plugin: Plugin, games: list[dict[str, Any]]) -> None:
    results = plugin.run(frame(*games))
    assert results.get_column("val_error").to_list() == [None] * len(games)
    assert results.get_column("id_game").to_list() == [f"game{number:04}" for number in range(len(games))]
    plugin.schema.validate(results.select(list(plugin.columns)), lazy=True)


@each_columnar_plugin
@settings(thoroughly, max_examples=8)
@given(games=some_games, cut=st.integers(0, 2_500))
def test_neither_threads_nor_chunks_nor_the_size_of_a_batch_change_a_row(
    plugin: ColumnPlugin, games: list[dict[str, Any]], cut: int
) -> None:
    alone = plugin.run(frame(*games))
    times = 2_500 // len(games) + 1
    many = pl.concat([frame(*games)] * times, rechunk=False)  # as many chunks as there are repetitions
    together = plugin.run(many)
    assert_frame_equal(together, pl.concat([alone] * times), check_exact=True)
    parts = [plugin.run(many.head(cut)), plugin.run(many.slice(cut))]
    assert_frame_equal(together, pl.concat(parts), check_exact=True)


@each_plugin
@thoroughly
@given(games=some_games)
def test_with_the_colours_exchanged_each_side_has_what_the_other_had(
    plugin: Plugin, games: list[dict[str, Any]]
) -> None:
    """Columns by side change places, White's view is negated, all other numbers stay.

    The value of the position before the first move, +15 for White whoever begins, is not symmetric: it is exchanged
    as well.
    """
    ours = plugin.run(frame(*games))
    with start_worth(-evaluation.START_CP):
        theirs = plugin.run(frame(*map(flipped, games)))
    for name in plugin.columns:
        if name in FLIPPED:
            expected = [FLIPPED[name](value) for value in ours.get_column(name).to_list()]
            assert theirs.get_column(name).to_list() == pytest.approx(expected), name
        elif name.endswith(("_white", "_black")) or name.startswith(("n_", "ind_")):
            found = theirs.select(pl.col(_other_side(name)).alias(name))
            assert_frame_equal(found, ours.select(name), rel_tol=1e-9, abs_tol=1e-9)


def _other_side(name: str) -> str:
    side = {"white": "black", "black": "white"}
    stem, _, last = name.rpartition("_")
    return f"{stem}_{side[last]}" if last in side else name


@contextmanager
def start_worth(cp: int) -> Iterator[None]:
    usual = evaluation.START_CP
    evaluation.START_CP = cp
    try:
        yield
    finally:
        evaluation.START_CP = usual
