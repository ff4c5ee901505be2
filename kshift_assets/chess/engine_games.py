"""Games for the engine: which of a month's are next, what is known of their positions, and their rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import chess
import chess.pgn
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.chess.engine_cache import EngineCache, Place, place
from kshift_assets.chess.tables import GAMES
from kshift_assets.reporting import Table
from kshift_assets.tables import polars_schema
from plugins import Analysis, EnginePlugin
from plugins.engines import known_analysis
from plugins.games import pgn_game
from resources.engine import Answer, Crew, NoAnswer
from resources.lake import Cursor, CursorMoved, Lake

BATCH_GAMES = 16
"""Games that are committed together: what a kill may lose, half a minute of two cores."""
READ_GAMES = 1_000
MOST_FILES = 16
_GAMES = polars_schema(GAMES.model)
# Starting positions of games set up by hand that engines crash on.
_REFUSED = (
    chess.STATUS_NO_WHITE_KING
    | chess.STATUS_NO_BLACK_KING
    | chess.STATUS_TOO_MANY_KINGS
    | chess.STATUS_TOO_MANY_WHITE_PIECES
    | chess.STATUS_TOO_MANY_BLACK_PIECES
    | chess.STATUS_PAWNS_ON_BACKRANK
    | chess.STATUS_OPPOSITE_CHECK
)


@dataclass
class Tally:
    """What a run did so far."""

    n_wanted: int = 0
    n_left: int = 0
    n_done: int = 0
    n_failed: int = 0
    n_dropped: int = 0
    n_positions: int = 0
    n_asked: int = 0
    n_cached: int = 0
    n_known: int = 0

    @property
    def as_metadata(self) -> dict[str, int]:
        """For the asset's report."""
        return {
            "games evaluated": self.n_done,
            "games failed": self.n_failed,
            "games left": self.n_left,
            "rows dropped": self.n_dropped,
            "positions": self.n_positions,
            "positions asked": self.n_asked,
            "positions from the cache": self.n_cached,
            "positions known without": self.n_known,
        }

    def count(self, rows: pl.DataFrame) -> None:
        """Rows that were stored."""
        n_good = rows.get_column("val_error").null_count()
        self.n_done += n_good
        self.n_failed += rows.height - n_good
        self.n_left -= rows.height

    def __str__(self) -> str:
        """A line of progress."""
        return (
            f"{self.n_done + self.n_failed:,} of {self.n_wanted:,} games, {self.n_left:,} left; "
            f"{self.n_asked:,} positions asked, {self.n_cached:,} from the cache"
        )


@dataclass
class _Evaluated:
    """A game on its way: what is known of its positions, or why nothing can be."""

    row: Mapping[str, object]
    game: chess.pgn.Game | None = None
    spots: list[Analysis | Place] = field(default_factory=list)
    error: str | None = None


class EngineMonth:
    """A month of an analytic that asks an engine: committed batch by batch, so that a rerun goes on."""

    def __init__(self, plugin: EnginePlugin, table: Table, lake: Lake, month: str, tracked: Sequence[str]) -> None:
        self._plugin, self._table, self._lake, self._month = plugin, table, lake, month
        self._schema, self._tracked = polars_schema(table.model), tracked
        self._cursor = f"{table.name} {month}"

    def rows(self) -> pl.LazyFrame:
        """What is stored."""
        return self._lake.scan(self._table.full_name, self._schema, self._month)

    def open_games(self, engine: str | None = None) -> pl.LazyFrame:
        """Games without a good row, the next first: those of followed players, then the newest.

        A game that failed is tried again when the plugin's version, the game or the engine is another.
        """
        succeeded, failed_here = pl.col("val_error").is_null(), pl.col("val_engine") == pl.lit(engine, pl.String)
        is_done = (pl.col("val_plugin_version") == self._plugin.version) & (
            succeeded | failed_here.fill_null(value=False)
        )
        done = self.rows().filter(is_done)
        theirs = pl.any_horizontal(
            pl.col(f"id_user_{color}").is_in(list(self._tracked)) for color in ("white", "black")
        )
        return (
            self._applicable("tm_created", theirs.fill_null(value=False).alias("is_followed"))
            .join(done, left_on=["id_game", "tm_ingested"], right_on=["id_game", "tm_game_ingested"], how="anti")
            .sort("is_followed", "tm_created", "id_game", descending=[True, True, False])
            .select("id_game")
        )

    def prepare(self) -> Tally:
        """Take out rows whose game is gone, or does not need an engine any more; count what is left to do."""
        orphans = self.rows().join(self._applicable(), on="id_game", how="anti").select("id_game").collect()
        self._take_out(orphans)
        return Tally(n_dropped=orphans.height, n_left=_height(self.open_games()))

    def evaluate(self, crew: Crew, engine: str, most: int, tally: Tally) -> Iterator[Tally]:
        """Evaluate at most so many games; yields what was done after each batch that was committed."""
        cache = EngineCache(self._lake, engine, crew.nodes)
        position = self._position()
        wanted = self.open_games(engine).head(most).collect()
        tally.n_left, tally.n_wanted = _height(self.open_games(engine)), wanted.height
        while wanted.height:
            rest = wanted
            try:
                for games in self._read(wanted):
                    for batch in games.iter_slices(BATCH_GAMES):
                        rows = self._evaluated(batch, crew, cache, engine, tally)
                        position = self._commit(rows, position)
                        rest = rest.join(rows, on="id_game", how="anti", maintain_order="left")
                        tally.count(rows)
                        yield tally
                break
            except CursorMoved:  # another run has stored games meanwhile, perhaps these
                position = self._position()
                wanted = rest.join(self.open_games(engine).collect(), on="id_game", how="semi", maintain_order="left")
        cache.tidy()
        self._tidy()

    def _evaluated(
        self, games: pl.DataFrame, crew: Crew, cache: EngineCache, engine: str, tally: Tally
    ) -> pl.DataFrame:
        works = [_known(row) for row in games.iter_rows(named=True)]
        places = list(dict.fromkeys(spot for work in works for spot in work.spots if isinstance(spot, Place)))
        answers: dict[Place, Answer | NoAnswer] = {**cache.known(places)}
        unknown = {one.fen: one for one in places if one not in answers}
        said = {unknown[fen]: answer for fen, answer in crew.ask(unknown).items()}
        cache.keep({one: answer for one, answer in said.items() if isinstance(answer, Answer)})
        answers |= said
        n_spots = sum(len(work.spots) for work in works)
        n_known = sum(isinstance(spot, Analysis) for work in works for spot in work.spots)
        tally.n_positions += n_spots
        tally.n_asked += len(unknown)
        tally.n_known += n_known
        tally.n_cached += n_spots - n_known - len(unknown)
        rows = [self._row(work, answers) for work in works]
        return (
            pl.DataFrame(rows, schema_overrides=self._schema, infer_schema_length=None)
            .with_columns(
                val_not_applicable=pl.lit(None, pl.String),
                val_plugin_version=pl.lit(self._plugin.version),
                val_engine=pl.lit(engine),
                n_nodes=pl.lit(crew.nodes, pl.Int64),
                tm_evaluated=pl.lit(datetime.now(UTC)),
                dt_month=pl.lit(self._month),
            )
            .select(pl.col(name).cast(dtype) for name, dtype in self._schema.items())
        )

    def _row(self, work: _Evaluated, answers: Mapping[Place, Answer | NoAnswer]) -> dict[str, object]:
        columns = self._plugin.columns.names()[1:]
        base = {"id_game": work.row["id_game"], "tm_game_ingested": work.row["tm_ingested"], "val_error": work.error}
        nothing = dict.fromkeys(columns)
        if work.game is None:
            return base | nothing
        analyses: list[Analysis] = []
        for spot in work.spots:
            answer = spot if isinstance(spot, Analysis) else answers[spot]
            if isinstance(answer, NoAnswer):
                return base | nothing | {"val_error": answer.reason}
            if isinstance(answer, Answer):
                answer = Analysis(answer.cp, answer.mate, answer.best, "engine")
            analyses.append(answer)
        try:
            return base | dict(self._plugin.row(work.game, analyses))
        except Exception as error:  # noqa: BLE001  # a stranger's function may raise anything; the others go on
            return base | nothing | {"val_error": f"{type(error).__name__}: {' '.join(str(error).split())}"}

    def _commit(self, rows: pl.DataFrame, position: int | None) -> int:
        """Store a batch in one commit; rows of older versions of its games go first. CursorMoved if another run did."""
        if self._position() != position:
            raise CursorMoved(f"{self._table.full_name}: another run evaluates {self._month} too")
        old = self.rows().join(rows.lazy().select("id_game"), on="id_game", how="semi").select("id_game").collect()
        self._take_out(old)
        audit = Audit(self._table.model, unique="id_game")
        (checked,) = audit.watch([rows])
        new = (position or 0) + 1
        self._lake.append(self._table.full_name, checked, self._schema, Cursor(self._cursor, new, position))
        return new

    def _take_out(self, games: pl.DataFrame) -> None:
        if games.is_empty():
            return

        def others() -> Iterator[pl.DataFrame]:
            for batch in self._lake.batches(self._table.full_name, self._schema, self._month):
                yield batch.join(games, on="id_game", how="anti", maintain_order="left")

        self._lake.overwrite(self._table.full_name, others, self._schema, self._month)

    def _tidy(self) -> None:
        name = self._table.full_name
        if len(self._lake.files(name, self._month)) > MOST_FILES:
            self._lake.overwrite(
                name, lambda: self._lake.batches(name, self._schema, self._month), self._schema, self._month
            )

    def _position(self) -> int | None:
        return self._lake.cursor(self._table.full_name, self._cursor)

    def _applicable(self, *columns: str | pl.Expr) -> pl.LazyFrame:
        games = self._lake.scan(GAMES.full_name, _GAMES, self._month)
        return games.filter(*(need.met for need in self._plugin.needs)).select("id_game", "tm_ingested", *columns)

    def _read(self, wanted: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """The columns that the plugin reads, of the wanted games in their order, some at a time."""
        columns = list(dict.fromkeys(["id_game", "tm_ingested", *self._plugin.reads]))
        for ids in wanted.iter_slices(READ_GAMES):
            games = self._lake.scan(GAMES.full_name, _GAMES, self._month).select(columns)
            picked = games.filter(pl.col("id_game").is_in(ids.get_column("id_game").implode())).collect()
            yield ids.join(picked, on="id_game", how="inner", maintain_order="left")


def _known(row: Mapping[str, object]) -> _Evaluated:
    """The positions of a game: what is known of each, or the place to ask about."""
    try:
        game = pgn_game(row)
        board = game.board()
        if board.status() & _REFUSED:
            return _Evaluated(row, error="the starting position cannot be given to an engine")
        spots: list[Analysis | Place] = [known_analysis(board) or place(board)]
        for node in game.mainline():
            board.push(node.move)
            spots.append(known_analysis(board, node) or place(board))
    except ValueError as error:
        return _Evaluated(row, error=f"{type(error).__name__}: {' '.join(str(error).split())}")
    return _Evaluated(row, game, spots)


def _height(games: pl.LazyFrame) -> int:
    return int(games.select(pl.len()).collect().item())
