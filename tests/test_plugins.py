"""The contract of a plugin: what a sound one offers, and what is refused with which remedy."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pandera.polars as pa
import polars as pl
import pydantic
import pytest

from kshift_assets.chess.analytic_months import stored_model
from kshift_assets.tables import polars_schema
from plugins import ColumnPlugin, Need, Plugin, PluginError, sql
from plugins.contract import SQL_WORDS


class Lengths(pa.DataFrameModel):
    """One row a game."""

    id_game: str = pa.Field(description="Game id")
    n_letters: pl.UInt32 = pa.Field(description="Letters of the moves", nullable=True)


def lengths(games: pl.LazyFrame) -> pl.LazyFrame:
    return games.select("id_game", n_letters=pl.col("val_moves").str.len_chars())


def sound(**changes: Any) -> Plugin:
    parts: dict[str, Any] = {
        "name": "lengths",
        "version": "1",
        "description": "Letters of the moves.",
        "schema": Lengths,
        "reads": ("id_game", "val_moves"),
        "compute": lengths,
    }
    return ColumnPlugin(**(parts | changes))


def model(**columns: tuple[Any, Any]) -> type[pa.DataFrameModel]:
    """A model with these columns: name → (type, field)."""
    annotations = {name: annotation for name, (annotation, _) in columns.items()}
    fields = {name: column for name, (_, column) in columns.items()}
    return type("Odd", (pa.DataFrameModel,), {"__annotations__": annotations, "__module__": __name__, **fields})


ID = (str, pa.Field(description="Game id"))
GAMES = pl.DataFrame(
    {"id_game": ["aaaaaaaa", "bbbbbbbb", "cccccccc"], "val_moves": ["e4 e5", None, ""], "n_plies": [2, 0, 0]}
)


def test_a_plugin_tells_its_columns_and_where_its_function_stands() -> None:
    plugin = sound(owner="team:coaches", tags={"level": "game"})
    assert dict(plugin.columns) == {"id_game": pl.String, "n_letters": pl.UInt32}
    assert plugin.source_file == Path(__file__)
    assert Path(__file__).read_text(encoding="utf-8").splitlines()[plugin.source_line - 1].startswith("def lengths")


def test_a_plugin_gives_one_row_a_game_in_their_order() -> None:
    results = sound().run(GAMES)
    assert results.columns == ["id_game", "n_letters", "val_not_applicable", "val_error"]
    assert results.rows() == [
        ("aaaaaaaa", 5, None, None),
        ("bbbbbbbb", None, None, None),
        ("cccccccc", 0, None, None),
    ]


def test_a_plugin_sees_only_the_columns_that_it_reads() -> None:
    seen: list[str] = []

    def looks(games: pl.LazyFrame) -> pl.LazyFrame:
        seen.extend(games.collect_schema().names())
        return lengths(games)

    sound(compute=looks).run(GAMES)
    assert seen == ["id_game", "val_moves"]


@pytest.mark.parametrize(
    ("compute", "remedy"),
    [
        (lambda games: lengths(games).head(2), "2 rows for 3 games"),
        (lambda games: lengths(games).reverse(), "in the order of the games"),
        (lambda games: lengths(games).drop("n_letters"), "make them agree"),
        (lambda games: lengths(games).cast({"n_letters": pl.Int64}), "n_letters Int64 where its schema has"),
        (lambda games: lengths(games).collect(), "gave a DataFrame; return a polars LazyFrame"),
    ],
    ids=["drops a game", "reorders", "misses a column", "other type", "eager"],
)
def test_results_that_break_the_contract_are_refused(compute: Any, remedy: str) -> None:  # lambdas
    with pytest.raises(PluginError, match=re.escape(remedy)):
        sound(compute=compute).run(GAMES)


LONG = Need("moves", "hardly any moves", ("n_plies",), pl.col("n_plies") > 1)


def test_games_that_lack_what_it_needs_have_a_row_with_the_reason_and_are_not_computed() -> None:
    seen: list[str] = []

    def looks(games: pl.LazyFrame) -> pl.LazyFrame:
        seen.extend(games.collect().get_column("id_game"))
        return lengths(games)

    assert sound(compute=looks, needs=(LONG,)).run(GAMES).rows() == [
        ("aaaaaaaa", 5, None, None),
        ("bbbbbbbb", None, "hardly any moves", None),
        ("cccccccc", None, "hardly any moves", None),
    ]
    assert seen == ["aaaaaaaa"]


def test_what_a_need_looks_at_must_be_there_too() -> None:
    assert sound(needs=(LONG,)).looks_at == ("id_game", "val_moves", "n_plies")
    with pytest.raises(PluginError, match="reads the column 'n_plies'"):
        sound(needs=(LONG,)).check_reads({"id_game", "val_moves"})


def halves(games: pl.LazyFrame) -> pl.LazyFrame:
    letters = games.collect().get_column("val_moves")
    if letters.null_count():
        raise ArithmeticError("half of nothing")
    return lengths(games)


def test_one_failing_game_does_not_stop_the_others() -> None:
    assert sound(compute=halves).run(GAMES).rows() == [
        ("aaaaaaaa", 5, None, None),
        ("bbbbbbbb", None, None, "ArithmeticError: half of nothing"),
        ("cccccccc", 0, None, None),
    ]


def test_a_plugin_that_fails_for_game_after_game_is_broken_itself() -> None:
    games = pl.DataFrame({"id_game": [f"{number:08}" for number in range(200)], "val_moves": [None] * 200})
    with pytest.raises(PluginError, match="failed for more than 100 games of a batch, the last was 00000100"):
        sound(compute=halves).run(games)


def test_sql_over_the_lazy_table() -> None:
    def compute(games: pl.LazyFrame) -> pl.LazyFrame:
        return sql(
            "SELECT id_game, CAST(length(val_moves) AS UINTEGER) AS n_letters FROM games ORDER BY id_game", games
        )

    assert sound(compute=compute).run(GAMES).get_column("n_letters").to_list() == [5, None, 0]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"name": "MoveCount"}, "not in snake_case"),
        ({"name": "move-count"}, "not in snake_case"),
        ({"name": "move_count_"}, "not in snake_case"),
        ({"name": "1st_move"}, "not in snake_case"),
        ({"name": ""}, "not in snake_case"),
        ({"name": None}, "not in snake_case"),
        ({"name": "order"}, "word of SQL"),
        ({"version": 1}, "version 1 is not a text"),
        ({"version": " "}, "version ' ' is not a text"),
        ({"description": ""}, "no description"),
        ({"schema": dict}, "no model of pandera.polars"),
        ({"schema": pydantic.BaseModel}, "no model of pandera.polars"),
        ({"schema": model(id_game=(dict, pa.Field(description="Game id")))}, "cannot be read"),
        ({"schema": model(id_game=ID, arr_x=(pl.List, pa.Field(description="List of what?")))}, "cannot be read"),
        ({"schema": model(n_x=(int, pa.Field(description="Number")))}, "does not begin with id_game"),
        ({"schema": model(n_x=(int, pa.Field(description="Number")), id_game=ID)}, "does not begin with id_game"),
        ({"schema": model(id_game=(int, pa.Field(description="Game id")))}, "does not begin with id_game"),
        ({"schema": model(id_game=(str, pa.Field(nullable=True, description="x")))}, "does not begin with id_game"),
        ({"schema": model(id_game=ID)}, "tells nothing about a game"),
        ({"schema": model(id_game=ID, swing=(int, pa.Field(description="Swing")))}, "'swing' breaks the convention"),
        ({"schema": model(id_game=ID, n_Swing=(int, pa.Field(description="Swing")))}, "'n_Swing' breaks the conv"),
        ({"schema": model(id_game=ID, n_=(int, pa.Field(description="Swing")))}, "'n_' breaks the convention"),
        ({"schema": model(id_game=ID, n_x=(int, pa.Field()))}, "'n_x' has no description"),
        ({"schema": model(id_game=ID, n_x=(str, pa.Field(description="x")))}, "'n_x' has the type String"),
        ({"schema": model(id_game=ID, ind_x=(int, pa.Field(description="x")))}, "'ind_x' has the type Int64"),
        ({"schema": model(id_game=ID, tm_x=(pl.Datetime, pa.Field(description="x")))}, "give it a UTC timestamp"),
        ({"schema": model(id_game=ID, dt_x=(int, pa.Field(description="x")))}, "'dt_x' has the type Int64"),
        ({"schema": model(id_game=ID, arr_x=(int, pa.Field(description="x")))}, "'arr_x' has the type Int64"),
        (
            {"schema": model(id_game=ID, val_x=(pl.Categorical, pa.Field(description="x")))},
            "give it a text or a number",
        ),
        ({"schema": model(id_game=ID, val_x=(list[int], pa.Field(description="x")))}, "'val_x' has the type List"),
        ({"schema": model(id_game=ID, dt_month=(str, pa.Field(description="x")))}, "'dt_month' is one that the lake"),
        (
            {"schema": model(id_game=ID, n_x=(int, pa.Field(description="x")))},
            "'n_x' is never null; write nullable=True",
        ),
        ({"needs": ("clocks",)}, "not a tuple of plugins.Need"),
        ({"reads": ["id_game"]}, "not a tuple of column names"),
        ({"reads": "id_game"}, "not a tuple of column names"),
        ({"reads": ("val_moves",)}, "add 'id_game' to reads"),
        ({"reads": ("id_game", "val_moves", "val_moves")}, "name each once"),
        ({"compute": None}, "not a function"),
        ({"compute": print}, "not a function"),
        ({"compute": lambda: None}, "cannot be called with one argument"),
        ({"owner": "the coaches"}, "neither 'team:<name>' nor an e-mail"),
        ({"tags": {"for whom": "coaches"}}, "is not plain"),
        ({"tags": {"level": 1}}, "is not plain"),
        ({"tags": ["coaches"]}, "not a mapping"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_a_broken_plugin_is_refused_with_its_remedy(changes: dict[str, Any], remedy: str) -> None:
    with pytest.raises(PluginError) as refused:
        sound(**changes)
    assert remedy in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "column",
    [
        {"n_x": (float, pa.Field(description="x", nullable=True))},
        {"ind_x": (bool, pa.Field(description="x", nullable=True))},
        {"arr_x": (list[int], pa.Field(description="x", nullable=True))},
        {"dt_x": (pl.Date, pa.Field(description="x", nullable=True))},
        {"tm_x": (pl.Datetime("us", "UTC"), pa.Field(description="x", nullable=True))},
        {"val_x": (bool, pa.Field(description="x", nullable=True))},
        {"id_user_white": (str, pa.Field(description="x", nullable=True))},
    ],
    ids=", ".join,
)
def test_a_column_of_every_kind_is_accepted(column: dict[str, Any]) -> None:
    assert list(sound(schema=model(id_game=ID, **column)).columns) == ["id_game", *column]


def test_the_columns_that_the_lake_adds_are_those_that_no_plugin_may_have() -> None:
    added = set(polars_schema(stored_model(sound()))) - set(sound().columns)
    for name in added:
        with pytest.raises(PluginError, match="is one that the lake adds; leave it out"):
            sound(schema=model(id_game=ID, **{name: (str, pa.Field(description="x"))}))
    assert added >= {"dt_month", "val_plugin_version"}


def test_a_column_that_the_games_do_not_have_is_refused() -> None:
    sound().check_reads({"id_game", "val_moves", "n_plies"})
    with pytest.raises(
        PluginError, match="reads the column 'val_moves', which the games do not have; choose from id_g"
    ):
        sound().check_reads({"id_game", "n_plies"})


def test_the_words_of_sql_are_those_that_duckdb_reserves() -> None:
    reserved = (
        duckdb.connect()
        .execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')")
        .fetchall()
    )
    assert {word for (word,) in reserved} == SQL_WORDS
