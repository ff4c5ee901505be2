"""Games as analytics see them: those of chess.games, with an engine's evaluations where the source has none."""

from collections.abc import Collection, Iterator

import polars as pl

from kshift_assets.chess.tables import GAMES
from kshift_assets.tables import polars_schema
from resources.lake import Lake

BATCH = 50_000
# Up to such a share of a month its games are picked out; from there on the month is read from end to end.
FEW = 0.1

ENGINE_EVAL = "analytics.engine_eval"
"""The table with an engine's evaluations, where somebody has made it."""
SOURCE = "val_eval_source"
_GAMES = polars_schema(GAMES.model)
COLUMNS = (*_GAMES.names(), SOURCE)
"""What an analytic may read: the columns of chess.games, and who evaluated the game: lichess, engine, or null."""
_LISTS = [name for name in ("arr_eval_cp", "arr_eval_mate", "arr_best") if name in _GAMES]
_ENGINE = pl.Schema(
    {"id_game": pl.String}
    | {name: _GAMES[name] for name in _LISTS}
    | {"tm_evaluated": pl.Datetime("us", "UTC"), "dt_month": pl.String}
)
FILLED = frozenset({*_LISTS, SOURCE})
"""The columns that an engine fills in."""
_IS_EVALUATED = pl.col("arr_eval_cp").is_not_null() | pl.col("arr_eval_mate").is_not_null()


class SeenGames:
    """The games of a month, as chess.games stands when this is made, with the columns that an analytic looks at."""

    def __init__(self, lake: Lake, month: str, columns: Collection[str]) -> None:
        self._lake, self._month, self._version = lake, month, lake.version(GAMES.full_name)
        self._columns = list(dict.fromkeys(["id_game", *columns]))
        self._fills = not FILLED.isdisjoint(columns)

    def states(self) -> pl.DataFrame:
        """Every game, `id_game`, with `tm_game_ingested`: when what is known of it was fetched, or evaluated, last."""
        fetched = pl.col("tm_ingested").alias("tm_game_ingested")
        games = self._scan()
        if not self._has_engine:
            return games.select("id_game", fetched).collect()
        evaluated = pl.when(~_IS_EVALUATED).then("tm_evaluated")
        return (
            games.select("id_game", "tm_ingested", "arr_eval_cp", "arr_eval_mate")
            .join(self._engine.select("id_game", "tm_evaluated"), on="id_game", how="left", maintain_order="left")
            .select("id_game", pl.max_horizontal(fetched, evaluated).alias("tm_game_ingested"))
            .collect()
        )

    def batches(self, states: pl.DataFrame, is_wanted: pl.Series) -> Iterator[pl.DataFrame]:
        """The wanted ones of the games in `states()` with their columns and state, some at a time.

        They are told by their place, not by their id: looking each batch up among all games would cost more for each
        game the more there are.
        """
        of_source = (
            list(dict.fromkeys([*self._columns, "arr_eval_cp", "arr_eval_mate"])) if self._fills else self._columns
        )
        columns = [name for name in of_source if name != SOURCE]
        for games in self._read(columns, states, is_wanted):
            if games.height:
                yield self._filled(games) if self._fills else games

    def _read(self, columns: list[str], states: pl.DataFrame, is_wanted: pl.Series) -> Iterator[pl.DataFrame]:
        state = states.get_column("tm_game_ingested")
        if is_wanted.sum() <= FEW * is_wanted.len():
            picked = pl.col("id_game").is_in(states.get_column("id_game").filter(is_wanted).implode())
            games = self._scan().select(columns).filter(picked).collect()
            yield from games.with_columns(state.filter(is_wanted)).iter_slices(BATCH)
            return
        offset = 0
        for games in self._lake.batches(GAMES.full_name, _GAMES, self._month, columns, BATCH, self._version):
            here = slice(offset, offset := offset + games.height)
            yield games.with_columns(state[here]).filter(is_wanted[here])

    def _scan(self) -> pl.LazyFrame:
        return self._lake.scan(GAMES.full_name, _GAMES, self._month, self._version)

    def _filled(self, games: pl.DataFrame) -> pl.DataFrame:
        theirs = self._engine.join(games.lazy().select("id_game"), on="id_game", how="semi").collect()
        lists = [name for name in _LISTS if name in games.columns]
        joined = games.join(
            theirs.select("id_game", *(pl.col(name).alias(f"engine_{name}") for name in lists), engine=True),
            on="id_game",
            how="left",
            maintain_order="left",
        )
        fills = pl.col("engine") & ~_IS_EVALUATED
        source = pl.when(_IS_EVALUATED).then(pl.lit("lichess")).when(fills).then(pl.lit("engine"))
        return joined.with_columns(
            *(pl.when(fills).then(f"engine_{name}").otherwise(name).alias(name) for name in lists),
            source.alias(SOURCE),
        ).select(*self._columns, "tm_game_ingested")

    @property
    def _engine(self) -> pl.LazyFrame:
        return self._lake.scan(ENGINE_EVAL, _ENGINE, self._month).filter(_IS_EVALUATED)

    @property
    def _has_engine(self) -> bool:
        return self._fills and self._lake.n_rows(ENGINE_EVAL, self._month) > 0
