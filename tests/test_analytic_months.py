"""A month of an analytic in the lake: what is computed, what is kept, what an engine adds, and two at the same time."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest

from kshift_assets.chess.analytic_months import Missing, Month, analytic_table
from kshift_assets.chess.schemas import Games
from kshift_assets.chess.seen_games import ENGINE_EVAL, SeenGames
from kshift_assets.tables import polars_schema
from plugins import ColumnPlugin
from plugins.chess_rules.needs import EVALUATIONS
from resources.lake import Lake
from tests.chess_games import frame

MONTH = "2024-01"
SCHEMA = polars_schema(Games)
ENGINE_SCHEMA = pl.Schema(
    {
        "id_game": pl.String,
        "arr_eval_cp": pl.List(pl.Int32),
        "arr_eval_mate": pl.List(pl.Int16),
        "tm_evaluated": pl.Datetime("us", "UTC"),
        "dt_month": pl.String,
    }
)


class LastEvaluation(pa.DataFrameModel):
    """How the game stood at its end."""

    id_game: str = pa.Field(description="Game id")
    n_last_cp: pl.Int32 = pa.Field(nullable=True, description="Last evaluation, centipawns, White's view")
    val_by: str = pa.Field(nullable=True, description="Who evaluated it")


SEEN: list[str] = []


def last(games: pl.LazyFrame) -> pl.LazyFrame:
    SEEN.extend(games.collect().get_column("id_game"))
    return games.select("id_game", n_last_cp=pl.col("arr_eval_cp").list.last(), val_by="val_eval_source")


PLUGIN = ColumnPlugin(
    name="last_evaluation",
    version="1",
    description="How the game stood at its end.",
    schema=LastEvaluation,
    reads=("id_game", "arr_eval_cp", "val_eval_source"),
    needs=(EVALUATIONS,),
    compute=last,
)


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(uri=str(tmp_path))


def add_games(lake: Lake, *games: dict[str, object], day: int = 1) -> None:
    fetched = datetime(2024, 1, day, tzinfo=UTC)
    rows = frame(*({"dt_month": MONTH, "tm_ingested": fetched, **game} for game in games))
    lake.append("chess.games", rows, SCHEMA)


def evaluate(lake: Lake, game: str, *cps: int) -> None:
    row = {
        "id_game": game,
        "arr_eval_cp": list(cps),
        "arr_eval_mate": [None] * len(cps),
        "tm_evaluated": datetime(2024, 2, 1, tzinfo=UTC),
        "dt_month": MONTH,
    }
    lake.append(ENGINE_EVAL, pl.DataFrame([row], schema=ENGINE_SCHEMA), ENGINE_SCHEMA)


def month(lake: Lake) -> Month:
    return Month(PLUGIN, lake, MONTH, map)


def stored(lake: Lake) -> list[tuple[object, ...]]:
    rows = month(lake).rows().sort("id_game").collect()
    return rows.select("id_game", "n_last_cp", "val_by", "val_not_applicable").rows()


def test_games_without_evaluations_have_a_row_with_the_reason(lake: Lake) -> None:
    add_games(lake, {"id_game": "aaaaaaa1", "arr_eval_cp": [10, -30]}, {"id_game": "aaaaaaa2"})
    month(lake).write()
    assert stored(lake) == [
        ("aaaaaaa1", -30, "lichess", None),
        ("aaaaaaa2", None, None, "no computer analysis"),
    ]
    assert SEEN == ["aaaaaaa1"]


def test_what_an_engine_adds_is_computed_and_only_that(lake: Lake) -> None:
    add_games(lake, {"id_game": "aaaaaaa1", "arr_eval_cp": [10, -30]}, {"id_game": "aaaaaaa2"}, {"id_game": "aaaaaaa3"})
    month(lake).write()
    evaluate(lake, "aaaaaaa1", 7, 7)
    evaluate(lake, "aaaaaaa2", 50, 60)
    missing = month(lake).write()
    assert (missing.n_computed, missing.n_kept) == (1, 2)
    assert stored(lake) == [
        ("aaaaaaa1", -30, "lichess", None),
        ("aaaaaaa2", 60, "engine", None),
        ("aaaaaaa3", None, None, "no computer analysis"),
    ]
    assert SEEN == ["aaaaaaa1", "aaaaaaa2"]


def test_new_games_come_beside_the_old_rows_in_one_commit(lake: Lake) -> None:
    table = analytic_table(PLUGIN).full_name
    add_games(lake, *({"id_game": f"aaaaaa{number:02}", "arr_eval_cp": [number]} for number in range(40)))
    month(lake).write()
    [first], version = lake.files(table), lake.version(table)
    add_games(lake, {"id_game": "bbbbbbbb", "arr_eval_cp": [5]})
    month(lake).write()
    assert lake.files(table)[:1] == [first] or first in lake.files(table)
    assert lake.version(table) == version + 1
    assert SEEN[-1] == "bbbbbbbb"
    assert len(SEEN) == 41
    assert month(lake).write().n_computed == 0
    assert lake.version(table) == version + 1


def test_a_game_that_changed_is_computed_again_and_one_that_went_is_dropped(lake: Lake) -> None:
    add_games(lake, {"id_game": "aaaaaaa1", "arr_eval_cp": [1]}, {"id_game": "aaaaaaa2", "arr_eval_cp": [2]})
    month(lake).write()
    changed = frame(
        {"id_game": "aaaaaaa1", "arr_eval_cp": [9], "tm_ingested": datetime(2024, 1, 2, tzinfo=UTC), "dt_month": MONTH}
    )
    lake.overwrite("chess.games", lambda: [changed], SCHEMA, MONTH)
    missing = month(lake).write()
    assert (missing.n_computed, missing.n_kept, missing.n_dropped) == (1, 0, 2)
    assert stored(lake) == [("aaaaaaa1", 9, "lichess", None)]


def test_two_runs_that_add_the_same_games_at_the_same_time_add_them_once(lake: Lake) -> None:
    add_games(lake, {"id_game": "aaaaaaa1", "arr_eval_cp": [1]})
    month(lake).write()
    add_games(lake, {"id_game": "aaaaaaa2", "arr_eval_cp": [2]})

    class Slow(Month):
        """Another run finishes while this one has computed its rows and not committed them."""

        def _computed(self, seen: SeenGames, missing: Missing) -> Iterator[pl.DataFrame]:
            yield from super()._computed(seen, missing)
            month(lake).write()

    Slow(PLUGIN, lake, MONTH, map).write()
    assert stored(lake) == [("aaaaaaa1", 1, "lichess", None), ("aaaaaaa2", 2, "lichess", None)]


def test_a_run_that_another_overtakes_with_newer_games_looks_again_at_what_is_missing(lake: Lake) -> None:
    add_games(lake, {"id_game": "aaaaaaa1", "arr_eval_cp": [1]})

    class Slow(Month):
        """The game changes, and another run computes it as it is now, before this one commits what it was."""

        def _computed(self, seen: SeenGames, missing: Missing) -> Iterator[pl.DataFrame]:
            yield from super()._computed(seen, missing)
            newer = frame(
                {
                    "id_game": "aaaaaaa1",
                    "arr_eval_cp": [9],
                    "tm_ingested": datetime(2024, 1, 2, tzinfo=UTC),
                    "dt_month": MONTH,
                }
            )
            lake.overwrite("chess.games", lambda: [newer], SCHEMA, MONTH)
            month(lake).write()

    assert Slow(PLUGIN, lake, MONTH, map).write().n_computed == 0
    assert stored(lake) == [("aaaaaaa1", 9, "lichess", None)]


def test_a_few_games_are_picked_out_and_many_are_read_in_the_order_of_the_files(lake: Lake) -> None:
    add_games(lake, *({"id_game": f"aaaaaa{number:02}", "val_moves": str(number)} for number in range(50)))
    games = SeenGames(lake, MONTH, ("val_moves",))
    states = games.states()
    for wanted in (["aaaaaa07"], [f"aaaaaa{number:02}" for number in range(5, 50)]):
        found = pl.concat(games.batches(states, states.get_column("id_game").is_in(wanted)))
        assert found.select("id_game", "val_moves").rows() == [(name, str(int(name[6:]))) for name in wanted]
        assert found.select("id_game", "tm_game_ingested").equals(states.filter(pl.col("id_game").is_in(wanted)))


def test_a_new_version_may_give_a_column_another_type(lake: Lake) -> None:
    class Wider(LastEvaluation):
        n_last_cp: pl.Float64 = pa.Field(nullable=True, description="Last evaluation, centipawns, White's view")

    add_games(lake, {"id_game": "aaaaaaa1", "arr_eval_cp": [10, -30]})
    month(lake).write()
    plugin = dataclasses.replace(
        PLUGIN,
        version="2",
        schema=Wider,
        compute=lambda games: last(games).with_columns(pl.col("n_last_cp").cast(pl.Float64)),
    )
    newer = Month(plugin, lake, MONTH, map)

    assert newer.write().n_computed == 1
    assert newer.rows().select("n_last_cp", "val_plugin_version").collect().rows() == [(-30.0, "2")]
    assert lake.columns_of("analytics.last_evaluation")["n_last_cp"] == pl.Float64
