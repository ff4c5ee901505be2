"""The cache of the engine: what it said of a position is kept in the lake, and asked for once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import chess
import chess.polyglot
import pandera.polars as pa
import polars as pl

from kshift_assets.chess.vocabulary import Utc
from kshift_assets.reporting import Table
from kshift_assets.tables import polars_schema
from resources.engine import Answer
from resources.lake import Lake

QUIET_PLIES = 20
"""Only from so many plies without capture or pawn's move on does the count of them matter to an evaluation."""
MOST_FILES = 64
_SIGN = 1 << 63


class EnginePositions(pa.DataFrameModel):
    """What an engine said of a position, once for each number of nodes."""

    id_position: pl.Int64 = pa.Field(description="Polyglot's key of the position, as a signed number")
    n_halfmove_clock: pl.Int16 = pa.Field(
        ge=0, description="Plies without capture or pawn's move, as the engine was told; fewer than 20 count as 0"
    )
    val_engine: str = pa.Field(description="Name and version of the engine")
    n_nodes: pl.Int64 = pa.Field(ge=1, description="Nodes that it was allowed to look at")
    val_eval_cp: pl.Int32 = pa.Field(nullable=True, description="Centipawns, White's view; null where there is a mate")
    val_eval_mate: pl.Int16 = pa.Field(nullable=True, description="Moves to mate, White's view; null if there is none")
    val_best: str = pa.Field(description="Best move, UCI")
    tm_asked: Utc = pa.Field(description="When the engine was asked")


ENGINE_POSITIONS = Table("chess", "engine_positions", EnginePositions, consumer=False)
_SCHEMA = polars_schema(EnginePositions)
_KEY = ("id_position", "n_halfmove_clock")


@dataclass(frozen=True, slots=True)
class Place:
    """A position as the engine is asked about it: without the game that led to it."""

    id_position: int
    n_halfmove_clock: int
    fen: str


def place(board: chess.Board) -> Place:
    """The position on a board. Transpositions meet: neither move numbers nor a short halfmove clock tell them apart."""
    clock = board.halfmove_clock if board.halfmove_clock >= QUIET_PLIES else 0
    key = chess.polyglot.zobrist_hash(board)
    return Place((key ^ _SIGN) - _SIGN, clock, f"{board.epd(en_passant='legal')} {clock} 1")


class EngineCache:
    """The answers of one engine with one number of nodes."""

    def __init__(self, lake: Lake, engine: str, nodes: int) -> None:
        self._lake, self._engine, self._nodes = lake, engine, nodes

    def known(self, places: Iterable[Place]) -> dict[Place, Answer]:
        """Those of the places that the engine was asked about before."""
        by_key = {(one.id_position, one.n_halfmove_clock): one for one in places}
        wanted = pl.LazyFrame(list(by_key), schema={name: _SCHEMA[name] for name in _KEY}, orient="row")
        rows = (
            self._lake.scan(ENGINE_POSITIONS.full_name, _SCHEMA)
            .filter(pl.col("val_engine") == self._engine, pl.col("n_nodes") == self._nodes)
            .join(wanted, on=_KEY, how="semi")
            .select(*_KEY, "val_eval_cp", "val_eval_mate", "val_best")
            .collect()
        )
        return {by_key[key, clock]: Answer(cp, mate, best) for key, clock, cp, mate, best in rows.iter_rows()}

    def keep(self, answers: Mapping[Place, Answer]) -> None:
        """Add what the engine was asked about now; durable when the call returns."""
        now = datetime.now(UTC)
        rows = [
            (one.id_position, one.n_halfmove_clock, self._engine, self._nodes, said.cp, said.mate, said.best, now)
            for one, said in answers.items()
        ]
        if rows:
            self._lake.append(ENGINE_POSITIONS.full_name, pl.DataFrame(rows, schema=_SCHEMA, orient="row"), _SCHEMA)

    def tidy(self) -> None:
        """Make few files of many."""
        name = ENGINE_POSITIONS.full_name
        if len(self._lake.files(name)) > MOST_FILES:
            self._lake.overwrite(name, lambda: self._lake.batches(name, _SCHEMA), _SCHEMA)
