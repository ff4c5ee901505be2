"""The kinds of plugin: one that works on a table of games, and one that looks at game after game."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import chess.pgn
import duckdb
import polars as pl

from plugins.contract import Answers, Plugin, PluginError, Spread, listed, one_line
from plugins.games import pgn_game, read_moves

# Games that a worker process takes at a time: a second of work, and a message that is soon packed.
CHUNK = 250
# Where more games of a batch fail than this, it is the plugin that fails.
MAX_FAILURES = 100


def sql(query: str, games: pl.LazyFrame) -> pl.LazyFrame:
    """What a query in DuckDB's SQL makes of the table `games`."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("games", games.collect().to_arrow())
        return pl.DataFrame(connection.sql(query).to_arrow_table()).lazy()


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnPlugin(Plugin):
    """An analytic of whole columns: a function from a lazy table of games to a lazy table of results.

    `compute` sees the columns `reads` of those games that meet all `needs`, and gives one row for each, in their
    order; null where it cannot know. Where it raises, the games at fault are found by halves, and the others go on.
    """

    compute: Callable[[pl.LazyFrame], pl.LazyFrame]

    def answers(self, games: pl.DataFrame, spread: Spread) -> Answers:  # noqa: ARG002  # columns are fast in one process
        """One result for each game that did not fail."""
        errors: dict[int, str] = {}
        parts = list(self._parts(games, 0, errors))
        return Answers(pl.concat(parts) if parts else pl.DataFrame(schema=self.columns), errors)

    def _parts(self, games: pl.DataFrame, first: int, errors: dict[int, str]) -> Iterable[pl.DataFrame]:
        if games.is_empty():
            return
        try:
            yield self._computed(games)
        except PluginError:
            raise
        except Exception as error:  # a stranger's function may raise anything
            if games.height == 1:
                errors[first] = one_line(error)
                if len(errors) > MAX_FAILURES:
                    raise PluginError(
                        f"plugin {self.name!r}: compute failed for more than {MAX_FAILURES} games of a batch, the last "
                        f"was {games.item(0, 'id_game')} ({one_line(error)}); mend it"
                    ) from error
                return
            half = games.height // 2
            yield from self._parts(games[:half], first, errors)
            yield from self._parts(games[half:], first + half, errors)

    def _computed(self, games: pl.DataFrame) -> pl.DataFrame:
        lazy = self.compute(games.lazy())
        if not isinstance(lazy, pl.LazyFrame):
            raise PluginError(f"plugin {self.name!r}: compute gave a {type(lazy).__name__}; return a polars LazyFrame")
        results = lazy.collect()
        if results.schema != self.columns:
            raise PluginError(
                f"plugin {self.name!r}: compute gave the columns {listed(results.schema)} where its schema has "
                f"{listed(self.columns)}; make them agree"
            )
        if not results.get_column("id_game").equals(games.get_column("id_game")):
            raise PluginError(
                f"plugin {self.name!r}: compute gave {results.height} rows for {games.height} games, or in another "
                "order; return one row a game, in the order of the games, with nulls where nothing is known"
            )
        return results


@dataclass(frozen=True, kw_only=True, eq=False)
class GamePlugin(Plugin):
    """An analytic of one game after the other: a function from python-chess's game to the columns of its row.

    `compute` gets a `chess.pgn.Game` (see plugins/games.py for what it carries) of each game that meets all `needs`,
    and gives every column of the schema but id_game. It stands at the top of a module: worker processes import it.
    """

    compute: Callable[[chess.pgn.Game], Mapping[str, Any]]

    def answers(self, games: pl.DataFrame, spread: Spread) -> Answers:
        """One result for each game that did not fail."""
        work = partial(_analysed, self.compute, tuple(self.columns.names()[1:]))
        found = [answer for part in spread(work, games.iter_slices(CHUNK)) for answer in part]
        ids = games.get_column("id_game").to_list()
        rows = [(game, *values) for game, values in zip(ids, found, strict=True) if isinstance(values, tuple)]
        errors = {place: error for place, error in enumerate(found) if isinstance(error, str)}
        try:
            return Answers(pl.DataFrame(rows, schema=self.columns, orient="row", strict=True), errors)
        except (TypeError, pl.exceptions.PolarsError) as error:
            raise PluginError(
                f"plugin {self.name!r}: compute gave values that do not fit {listed(self.columns)} "
                f"({one_line(error)}); make them agree"
            ) from error


def _analysed(
    compute: Callable[[chess.pgn.Game], Mapping[str, Any]], wanted: tuple[str, ...], games: pl.DataFrame
) -> list[tuple[Any, ...] | str]:
    """For each game the values of the wanted columns, or what went wrong."""
    answers: list[tuple[Any, ...] | str] = []
    for row, moves in zip(games.iter_rows(named=True), read_moves(games), strict=True):
        try:
            found = compute(pgn_game(row, moves))
            if found.keys() != set(wanted):
                raise ValueError(f"compute gave {', '.join(sorted(found))} instead of {', '.join(sorted(wanted))}")  # noqa: TRY301  # told as the game's error, like any other
            answers.append(tuple(found[name] for name in wanted))
        except Exception as error:  # noqa: BLE001  # a stranger's function may raise anything; the others go on
            answers.append(one_line(error))
    return answers
