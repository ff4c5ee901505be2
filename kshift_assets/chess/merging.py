"""One row a game: the richest source gives it, the others fill what it lacks. Also: which games were seen before."""

import polars as pl

from kshift_assets.chess.schemas import Games
from kshift_assets.tables import polars_schema

RICHNESS = {"player": 0, "tv": 1, "dump": 2}
"""Source → rank. An API document knows milliseconds, statuses and centiseconds; a dump has whole seconds."""

_COLUMNS = list(polars_schema(Games))
_ANALYSIS = ("arr_eval_cp", "arr_eval_mate", "arr_glyph", "arr_best")
_PERSON = ("val_name", "val_title", "n_rating", "n_rating_diff")
_OUTCOME = ("val_result", "val_termination", "n_plies", "val_moves")
_OF_THESE_MOVES = ("tm_last_move", "val_eco", "val_opening", "n_opening_ply", "arr_clock_cs")
_FACTS = (
    "ind_rated",
    "val_variant",
    "val_speed",
    "val_perf",
    "tm_created",
    "dt_game",
    "n_clock_initial_s",
    "n_clock_increment_s",
    "n_days_per_turn",
    "val_initial_fen",
    "id_tournament",
    "id_swiss",
    "val_source",
    "dt_month",
)


def merge(api: pl.DataFrame | pl.LazyFrame, dump: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Every game of both frames once, sorted by tm_created and id_game. Both have the columns of Games.

    The richest and newest row of a game gives its facts, the others what it does not know; but a finished row gives
    the moves and how it ended, since a document may have been fetched, or a dump written, while the game went on.
    What belongs to the plies comes only from rows with the same moves, an analysis only as a whole, and what belongs
    to a player only from rows with the same player. The result does not depend on the order of the rows.
    """
    games = pl.concat([frame.lazy().select(_COLUMNS).collect() for frame in (api, dump)])
    twins = pl.col("id_game").is_duplicated()
    merged = _one_each(games.filter(twins)) if games.select(twins.any()).item() else games.clear()
    return _sorted(pl.concat([games.filter(~twins), merged]))


def _sorted(games: pl.DataFrame) -> pl.DataFrame:
    """By tm_created and id_game; mostly they are, and whole rows are slow to move."""
    order = games.select(pl.arg_sort_by("tm_created", "id_game")).to_series()
    return games if (order == pl.int_range(len(order), eager=True)).all() else games[order]


def _one_each(rows: pl.DataFrame) -> pl.DataFrame:
    ranked = rows.with_columns(
        n_rank=pl.col("val_source").replace_strict(RICHNESS, return_dtype=pl.Int8),
        ind_open=pl.col("val_result") == "*",
        val_content=pl.struct(_COLUMNS).struct.json_encode(),
        **{f"val_who_{color}": _who(color) for color in ("white", "black")},
    )
    newest = {"tm_ingested": True, "val_content": False}
    by_richness = ranked.sort("n_rank", *newest, descending=[False, *newest.values()])
    by_outcome = ranked.sort("ind_open", "n_rank", *newest, descending=[False, False, *newest.values()])
    same_moves = by_outcome.filter(pl.col("val_moves") == pl.col("val_moves").first().over("id_game"))
    facts = by_richness.group_by("id_game").agg(
        *(_first(pl.col(name)) for name in _FACTS),
        *(part for color in ("white", "black") for part in _player(color)),
        tm_ingested=pl.col("tm_ingested").max(),
    )
    outcome = same_moves.group_by("id_game").agg(
        *(pl.col(name).first() for name in _OUTCOME),
        *(_first(pl.col(name)) for name in _OF_THESE_MOVES),
        val_status=_status(),
        analysis=_first(pl.when(pl.col("arr_eval_cp").is_not_null()).then(pl.struct(_ANALYSIS))),
        glyphs=_first(pl.col("arr_glyph")),
    )
    analysis = pl.col("analysis").struct
    return (
        facts.join(outcome, on="id_game")
        .with_columns(
            arr_eval_cp=analysis.field("arr_eval_cp"),
            arr_eval_mate=analysis.field("arr_eval_mate"),
            arr_glyph=pl.coalesce(analysis.field("arr_glyph"), "glyphs"),
            arr_best=analysis.field("arr_best"),
        )
        .select(_COLUMNS)
    )


def _first(value: pl.Expr) -> pl.Expr:
    return value.drop_nulls().first()


def _who(color: str) -> pl.Expr:
    """Name the player in one text: an account, a computer or, in imported games, a mere name; null if anonymous."""
    level, name = pl.col(f"n_ai_level_{color}"), pl.col(f"val_name_{color}")
    return pl.coalesce(f"id_user_{color}", pl.format("computer {}", level), pl.format("name {}", name))


def _player(color: str) -> list[pl.Expr]:
    who = pl.col(f"val_who_{color}")
    same = who.eq_missing(_first(who))
    account, level = pl.col(f"id_user_{color}"), pl.col(f"n_ai_level_{color}")
    return [
        *(_first(part.filter(same)) for part in (account, level)),
        *(_first(pl.col(f"{name}_{color}").filter(same)) for name in _PERSON),
    ]


def _status() -> pl.Expr:
    """Take a status only from a row with the result and the termination of the first."""
    fits = (pl.col("val_result") == pl.col("val_result").first()) & (
        pl.col("val_termination") == pl.col("val_termination").first()
    )
    return _first(pl.col("val_status").filter(fits))


class SeenIds:
    """The ids that went by, to know a repetition in a stream of any length: 8 bytes a game, 16 while it grows.

    Sorted runs that double in size, so that an id is found by a few binary searches.
    """

    def __init__(self) -> None:
        self._runs: list[pl.Series] = []

    def new(self, ids: pl.Series) -> pl.Series:
        """Which of these ids (8 bytes each, none twice) were not seen before, as a mask; from now on all are."""
        keys = ids.cast(pl.Binary).bin.reinterpret(dtype=pl.UInt64).rename("key")
        known = pl.repeat(value=False, n=len(keys), eager=True)
        for run in self._runs:
            at = run.search_sorted(keys).clip(upper_bound=len(run) - 1)
            known |= run.gather(at) == keys
        self._add(keys.filter(~known))
        return ~known

    def _add(self, keys: pl.Series) -> None:
        if keys.is_empty():
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(keys):
            keys = keys.append(self._runs.pop())
        self._runs.append(keys.sort())
