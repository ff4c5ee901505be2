"""Small lakes for the tests of the marts: games from few words, analytics beside them, and a mart made of both."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from kshift_assets.chess.marts import Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.tables import GAMES, PLAYERS, PLAYERS_FRONTIER
from kshift_assets.tables import polars_schema, split

Row = Mapping[str, Any]

NOON = datetime(2024, 1, 10, 12, tzinfo=UTC)
"""A Wednesday."""

_SIDES = ("white", "black")
_PHASES = ("opening", "middlegame", "endgame")
_JUDGMENTS = ("inaccuracies", "mistakes", "blunders")


def _each_side(dtype: Any, *names: str) -> dict[str, Any]:
    return {f"{name}_{side}": dtype for name in names for side in _SIDES}


ANALYTICS: dict[str, dict[str, Any]] = {
    "opening": {"val_eco": pl.String, "val_opening_name": pl.String, "val_opening_family": pl.String},
    "accuracy": _each_side(pl.Float64, "n_accuracy"),
    "acpl": _each_side(pl.Int16, "n_acpl"),
    "judgments": _each_side(pl.Int16, *(f"n_{kind}" for kind in _JUDGMENTS))
    | _each_side(pl.List(pl.Int16), *(f"arr_ply_{kind}" for kind in _JUDGMENTS)),
    "phases": {"n_middlegame_ply": pl.Int16, "n_endgame_ply": pl.Int16, "n_plies_opening": pl.Int16}
    | _each_side(pl.Float64, *(f"n_accuracy_{phase}" for phase in _PHASES))
    | _each_side(pl.Float64, *(f"n_think_{phase}_s" for phase in _PHASES)),
    "time_usage": _each_side(pl.Float64, "n_think_mean_s")
    | _each_side(pl.Int16, "n_moves_time_trouble")
    | _each_side(pl.Boolean, "ind_time_trouble", "ind_berserk"),
}
"""Analytic → the columns that marts read of it."""


def game(white: str | None, black: str | None, result: str = "1-0", at: datetime = NOON, **more: Any) -> dict[str, Any]:
    """A rated blitz game without clocks and evaluations; `more` are columns of chess.games and of ANALYTICS."""
    return {
        "id_user_white": white,
        "id_user_black": black,
        "val_result": result,
        "tm_created": at,
        "dt_game": at.date(),
        "dt_month": f"{at:%Y-%m}",
        "val_speed": "blitz",
        "val_perf": "blitz",
        "val_variant": "standard",
        "val_termination": "Normal",
        "ind_rated": True,
        "n_plies": 60,
        "n_clock_initial_s": 180,
        "n_clock_increment_s": 0,
    } | more


def games_in_a_row(
    *results: str, white: str = "ann", black: str = "bob", start: datetime = NOON, minutes: float = 10, **more: Any
) -> list[dict[str, Any]]:
    """Games of two players, so many minutes from one begin to the next."""
    return [
        game(white, black, result, start + number * timedelta(minutes=minutes), **more)
        for number, result in enumerate(results)
    ]


def lake_of(
    games: Iterable[Row], tracked: Sequence[str] = (), profiles: Iterable[Row] = ()
) -> duckdb.DuckDBPyConnection:
    """A database with these tables: games get ids g000, g001 … in their order, if they have none.

    A game's `engine` holds its columns in analytics.engine_eval; without it, no engine has looked at the game.
    """
    rows = [{"id_game": f"g{number:03}", **row} for number, row in enumerate(games)]
    columns = polars_schema(GAMES.model)
    known = {"engine", *columns, *(name for names in ANALYTICS.values() for name in names)}
    assert not (unknown := {name for row in rows for name in row} - known), f"no table has {unknown}"
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA chess; CREATE SCHEMA analytics; CREATE SCHEMA lichess")
    add(connection, GAMES.full_name, rows, columns)
    for name, measures in ANALYTICS.items():
        of_it = pl.Schema({"id_game": pl.String(), **measures, "dt_month": pl.String()})
        add(connection, f"analytics.{name}", rows, of_it)
    looked_at = [one | one["engine"] for one in rows if "engine" in one]
    of_it = pl.Schema({name: columns[name] for name in ("id_game", "arr_eval_cp", "arr_eval_mate", "dt_month")})
    add(connection, "analytics.engine_eval", looked_at, of_it)
    frontier = [{"id_user": user, "n_depth": 0, "n_games_stored": 0} for user in tracked]
    others = [{"id_user": "untracked", "n_depth": 1}, {"id_user": "left", "n_depth": None}]
    add(connection, PLAYERS_FRONTIER.full_name, [*frontier, *others], polars_schema(PLAYERS_FRONTIER.model))
    add(connection, PLAYERS.full_name, list(profiles), polars_schema(PLAYERS.model))
    return connection


def add(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Row], columns: pl.Schema) -> None:
    """A table with these columns; what a row does not say is null."""
    frame = pl.DataFrame([{column: row.get(column) for column in columns} for row in rows], schema=columns)
    connection.register("frame_of_it", frame.to_arrow())
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame_of_it")
    connection.unregister("frame_of_it")


def add_partials(mart: Mart, connection: duckdb.DuckDBPyConnection) -> None:
    """The views that the mart's SQL finds: its partials, made month by month, each as if there were no other."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS partials")
    months = [month for (month,) in connection.execute("SELECT DISTINCT dt_month FROM chess.games").fetchall()]
    for partial in mart.parts:
        rows = [rows_of_month(partial, connection, month) for month in months]
        everything = pa.concat_tables(rows or [rows_of_month(partial, connection, "none")[:0]])
        connection.register(f"rows_of_{partial.name}", everything)
        connection.execute(f"CREATE OR REPLACE VIEW {partial.view} AS FROM rows_of_{partial.name}")


def rows_of_month(partial: Partial, connection: duckdb.DuckDBPyConnection, month: str) -> pa.Table:
    """What is kept of a month."""
    with duckdb.connect() as alone:
        for name in partial.reads:
            rows = connection.sql(f"FROM {name} WHERE dt_month = '{month}'").to_arrow_table()
            alone.register("frame_of_it", rows)
            alone.execute(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
            alone.execute(f"SET TimeZone = 'UTC'; CREATE TABLE {name} AS SELECT * FROM frame_of_it")
        if partial.base:
            alone.execute("CREATE SCHEMA partials")
            alone.register("rows_of_base", rows_of_month(partial.base, connection, month))
            alone.execute(f"CREATE VIEW {partial.base.view} AS FROM rows_of_base")
        return alone.sql(f"SELECT *, '{month}' AS dt_month FROM ({partial.sql})").to_arrow_table()


def made(mart: Mart, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The mart's rows, after its rules and its account held."""
    add_partials(mart, connection)
    frame = pl.concat([pl.DataFrame(schema=polars_schema(mart.model)), *mart.rows(connection)])
    _, bad = split(mart.model, frame)
    assert bad["val_reasons"].to_list() == []
    assert (frame.select(mart.account.rows).item() or 0) == mart.expected(connection)
    return frame


def row(frame: pl.DataFrame, **key: Any) -> dict[str, Any]:
    """The one row with these values."""
    (found,) = frame.filter(
        *(pl.col(name).is_null() if value is None else pl.col(name) == value for name, value in key.items())
    ).to_dicts()
    return found


def values(frame: pl.DataFrame, *columns: str, **key: Any) -> Any:
    """One or several columns of the one row with these values."""
    found = row(frame, **key)
    picked = tuple(found[column] for column in columns)
    return picked if len(picked) > 1 else picked[0]
