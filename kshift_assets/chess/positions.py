"""The table chess.positions: every position of every game by a 64-bit key. Optional: it is made when asked for."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandera.polars as pa
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.chess.tables import GAMES
from kshift_assets.chess.vocabulary import GAME_ID, MONTH
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    OPTIONAL,
    OWNER,
    AuditFailed,
    Finding,
    Report,
    Table,
    check,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import polars_schema, summary
from plugins.chess_rules.needs import STANDARD
from plugins.chess_rules.replay import replay
from resources.lake import Lake

# Sorted as a whole: the more games at once, the fewer places in which a reader must look for a position.
BATCH_GAMES = 25_000
READS = ("id_game", "val_variant", "val_initial_fen", "val_moves", "arr_clock_cs", "arr_eval_cp", "arr_eval_mate")


class Positions(pa.DataFrameModel):
    """Positions of standard chess, one row a ply: what games_with_position(fen) looks into. Starts are no rows."""

    id_position: pl.Int64 = pa.Field(
        description="Polyglot's Zobrist key of the position after the ply, as a signed number: see position_key(fen)"
    )
    id_game: str = pa.Field(str_matches=GAME_ID, description="Game in which it arose")
    n_ply: pl.Int16 = pa.Field(ge=1, description="Ply after which it arose, from 1")
    val_color: str = pa.Field(isin=("white", "black"), description="Whose move it is")
    n_clock_cs: pl.Int32 = pa.Field(
        nullable=True, description="Time left to the player who made the ply, after it, centiseconds"
    )
    val_eval_cp: pl.Int32 = pa.Field(nullable=True, description="Evaluation, centipawns, White's view")
    val_eval_mate: pl.Int16 = pa.Field(nullable=True, description="Moves to mate, White's view")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of the game")


POSITIONS = Table("chess", "positions", Positions, optional=True)


def position_rows(games: pl.DataFrame, month: str) -> tuple[pl.DataFrame, int]:
    """Rows of chess.positions of games of standard chess, sorted by key; and the number of games cut short.

    A game is cut short before a ply that is no legal move (seven real games hold an illegal castling).
    """
    played = replay(games)
    n_plies = pl.Series(np.diff(played.borders))

    def by_ply(column: str) -> pl.Expr:
        nothing = pl.lit(None, polars_schema(GAMES.model)[column].inner).repeat_by("n")  # type: ignore[attr-defined]  # a list
        return pl.coalesce(pl.col(column).list.head(pl.col("n")), nothing)

    black_moves = (pl.col("n_ply") % 2 == 1) != pl.col("black_starts")
    rows = (
        games.lazy()
        .with_columns(n=n_plies, id_position=played.keys(), black_starts=pl.Series(played.black_starts))
        .filter(pl.col("n") > 0)
        .select(
            "id_position",
            "id_game",
            "black_starts",
            n_ply=pl.int_ranges(1, pl.col("n") + 1, dtype=pl.Int16),
            n_clock_cs=by_ply("arr_clock_cs"),
            val_eval_cp=by_ply("arr_eval_cp"),
            val_eval_mate=by_ply("arr_eval_mate"),
        )
        .explode("id_position", "n_ply", "n_clock_cs", "val_eval_cp", "val_eval_mate")
        .sort("id_position")
        .with_columns(
            val_color=pl.when(black_moves).then(pl.lit("black")).otherwise(pl.lit("white")), dt_month=pl.lit(month)
        )
        .select(polars_schema(Positions).names())
        .collect()
    )
    return rows, int(np.count_nonzero(played.status))


@dg.asset(
    key=POSITIONS.key,
    deps=[GAMES.key],
    partitions_def=MONTHS,
    group_name="chess/cleaned",
    description=f"{summary(Positions)}\n\nOptional: made by `kshift run chess/positions+`, a month with `--partition`.",
    kinds={"python", "polars", "deltalake"},
    owners=[OWNER],
    tags={"layer": "cleaned", "domain": "chess", **OPTIONAL},
    metadata=table_metadata(POSITIONS, position_rows),
    code_version="1",
    check_specs=[
        schema_check(POSITIONS),
        check(POSITIONS, "games_read", "Every game of standard chess could be played to its end.", blocking=False),
    ],
)
def positions(context: dg.AssetExecutionContext, lake: Lake) -> Iterator[Report]:
    """A month's positions in runs sorted by key, so that a reader finds one by the statistics of the row groups."""
    month, schema = context.partition_key, polars_schema(Positions)
    audit = Audit(Positions)
    n_games = n_cut = 0

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal n_games, n_cut
        n_games = n_cut = 0
        for batch in lake.batches(GAMES.full_name, polars_schema(GAMES.model), month, READS, BATCH_GAMES):
            games = batch.filter(STANDARD.met)
            rows, n_cut_here = position_rows(games, month)
            n_games, n_cut = n_games + games.height, n_cut + n_cut_here
            yield rows

    try:
        written = lake.overwrite(POSITIONS.full_name, lambda: audit.watch(frames()), schema, month)
    except AuditFailed as failed:
        yield from refuse(POSITIONS.key, failed.finding)
        return
    findings = [*audit.findings(), games_read(n_games, n_cut)]
    yield from report(context, POSITIONS.key, written.n_rows, findings, {"games": n_games})


def games_read(n_games: int, n_cut: int) -> Finding:
    """A warning where games have positions only up to a ply that is no legal move."""
    text = f"{n_cut} of {n_games} games are here only up to a ply that is no legal move" if n_cut else ""
    return Finding(
        "games_read",
        passed=not n_cut,
        metadata={"games": n_games, "cut short": n_cut},
        text=text,
        severity=dg.AssetCheckSeverity.WARN,
    )
