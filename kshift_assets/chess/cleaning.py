"""The cleaned layer: source rows in, rows of chess.games and chess.rejected_games out. No lake, no Dagster."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

from kshift_assets.chess.document_columns import read_documents
from kshift_assets.chess.dump_rows import read_dump_games
from kshift_assets.chess.merging import SeenIds, merge
from kshift_assets.chess.schemas import Games, RejectedGames
from kshift_assets.chess.source_schemas import DumpGames
from kshift_assets.tables import polars_schema, split

GAMES = list(polars_schema(Games))
REJECTED = list(polars_schema(RejectedGames))
DUMP_GAMES = list(polars_schema(DumpGames))

NO_GAMES = pl.DataFrame(schema=polars_schema(Games))
NO_REJECTED = pl.DataFrame(schema=polars_schema(RejectedGames))

_AT_ONCE = 20_000

Frames = tuple[pl.DataFrame, pl.DataFrame]
"""Games and rejected games, with the columns of these tables."""
Judged = tuple[pl.DataFrame, pl.DataFrame, int]
"""Games, rejected games, and how many rows were older versions or repetitions of one of them."""


@dataclass
class Tally:
    """What became of every source row of a month."""

    n_player_rows: int = 0
    n_tv_rows: int = 0
    n_dump_rows: int = 0
    n_games: int = 0
    n_rejected: int = 0
    n_duplicates: int = 0
    n_merged: int = 0
    n_kept: int = 0
    """Games of which no document is there any more; in no other number."""

    @property
    def n_lost(self) -> int:
        """Source rows that are neither a game, nor rejected, nor an older version or repetition, nor merged: 0."""
        kept = self.n_games + self.n_rejected + self.n_duplicates + self.n_merged
        return self.n_player_rows + self.n_tv_rows + self.n_dump_rows - kept


def from_documents(rows: pl.DataFrame, source: Literal["player", "tv"] = "player") -> Frames:
    """Games and rejected games from rows of PlayerGames (or rows of that shape from Lichess TV).

    The newest version of a game counts; a version that is rejected gives way to the next older one, so that a broken
    answer never takes away a game that was there.
    """
    games, rejected, _ = _from_documents(rows, source)
    return games, rejected


def from_dump(rows: pl.DataFrame) -> Frames:
    """Games and rejected games from rows of DumpGames; damaged rows and games of another month are rejected.

    Of several rows with one id that of the newest file counts, then the longest game.
    """
    games, rejected, _ = _from_dump(rows)
    return games, rejected


def clean_month(
    player_rows: pl.DataFrame,
    dump_batches: Iterable[pl.DataFrame],
    tally: Tally | None = None,
    tv_batches: Iterable[pl.DataFrame] = (),
) -> Iterator[Frames]:
    """Games and rejected games of a month, batch by batch, every game once; `tally` counts along.

    The rows of PlayerGames and the games of TvGames are in memory, those of DumpGames stream by: each batch takes the
    API's record of its games along, and the games that no dump has come last. Of a game that comes again in a later
    batch the first one counts. Beside one batch and the API's games, memory grows by 8 bytes a game of the dump (16 at
    times).
    """
    tally = Tally() if tally is None else tally
    players, rejected, n_repeated = _from_documents(player_rows, "player")
    tally.n_player_rows += player_rows.height
    tally.n_duplicates += n_repeated
    yield _counted(players.clear(), rejected, tally)
    televised = [players.clear()]
    for batch in tv_batches:
        games, rejected, n_repeated = _from_documents(batch, "tv")
        tally.n_tv_rows += batch.height
        tally.n_duplicates += n_repeated
        televised.append(games)
        yield _counted(games.clear(), rejected, tally)
    api = merge(players, pl.concat(televised))
    tally.n_merged += sum(frame.height for frame in (players, *televised)) - api.height
    seen, met = SeenIds(), [players.select("id_game").clear()]
    for batch in dump_batches:
        games, rejected, n_repeated = _from_dump(batch)
        fresh = games.filter(seen.new(games.get_column("id_game")))
        twins = api.join(fresh.select("id_game"), on="id_game", how="semi")
        met.append(twins.select("id_game"))
        tally.n_dump_rows += batch.height
        tally.n_duplicates += n_repeated + games.height - fresh.height
        tally.n_merged += twins.height
        yield _counted(merge(twins, fresh), rejected, tally)
    alone = api.join(pl.concat(met), on="id_game", how="anti", maintain_order="left")
    for part in alone.iter_slices(_AT_ONCE):  # so that the next is audited while this one is written
        yield _counted(part, rejected.clear(), tally)


def _counted(games: pl.DataFrame, rejected: pl.DataFrame, tally: Tally) -> Frames:
    tally.n_games += games.height
    tally.n_rejected += rejected.height
    return games, rejected


def _from_documents(rows: pl.DataFrame, source: str) -> Judged:
    if rows.get_column("id_game").n_unique() == rows.height:
        return *_judge_documents(rows.with_row_index("n_row"), source), 0
    versions = rows.sort("tm_ingested", "val_hash", descending=True).with_columns(
        n_version=pl.int_range(pl.len()).over("id_game")
    )
    games, rejected, n_examined = [NO_GAMES], [NO_REJECTED], 0
    for (_,), current in versions.group_by("n_version", maintain_order=True):
        wanted = current.join(pl.concat(games), on="id_game", how="anti")
        good, bad = _judge_documents(wanted.with_row_index("n_row"), source)
        games.append(good)
        rejected.append(bad)
        n_examined += wanted.height
    return pl.concat(games), pl.concat(rejected), rows.height - n_examined


def _judge_documents(rows: pl.DataFrame, source: str) -> Frames:
    said = pl.col("id_document")
    other = pl.when(said != pl.col("id_game")).then(pl.format("id: not the game that was stored (got {})", said))
    created = pl.col("tm_created")
    candidates = (
        read_documents(rows.get_column("val_document"))
        .rename({"id_game": "id_document"})
        .with_columns(rows.select("n_row", "id_game", "tm_ingested", dt_source="dt_month"))
        .with_columns(
            pl.from_epoch(name, "ms").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
            for name in ("tm_created", "tm_last_move")
        )
        .with_columns(
            dt_game=created.dt.date(),
            dt_month=created.dt.strftime("%Y-%m"),
            val_source=pl.lit(source),
            val_faults=_joined(other, "val_faults"),
        )
    )
    games, reasons = _judge(candidates)
    arrived = rows.select("n_row", "id_game", "tm_ingested", "dt_month", val_origin="id_fetch", val_text="val_document")
    return games.select(GAMES), _rejected(arrived, reasons, source)


def _from_dump(rows: pl.DataFrame) -> Judged:
    numbered = rows.with_row_index("n_row")
    damage = pl.col("val_error")
    sound = numbered.filter(damage.is_null())
    games, reasons = _judge(
        read_dump_games(sound.with_columns(dt_source="dt_month", val_source=pl.lit("dump"))).select(
            *GAMES, "n_row", "n_game", "val_file_sha256", "val_faults", "dt_source"
        )
    )
    damaged = numbered.filter(damage.is_not_null())
    reasons = pl.concat([reasons, damaged.select("n_row", val_reasons=pl.format("val_error: {}", damage))])
    arrived = numbered.join(reasons, on="n_row", how="semi").select(
        "n_row",
        "id_game",
        "tm_ingested",
        "dt_month",
        val_origin=pl.format("{}#{}", "val_file", "n_game"),
        val_text=pl.coalesce("val_text", pl.struct(DUMP_GAMES).struct.json_encode()),
    )
    once = games.filter(_first_of_each(games))
    return once.select(GAMES), _rejected(arrived, reasons, "dump"), games.height - once.height


def _first_of_each(games: pl.DataFrame) -> pl.Series:
    """Which row of each game of a dump counts: nearly always there is one only."""
    ids = games.get_column("id_game")
    if ids.n_unique() == ids.len():
        return pl.repeat(value=True, n=ids.len(), eager=True)
    order = ("tm_ingested", "n_plies", "val_file_sha256", "n_game")
    chosen = (
        games.select("n_row", "id_game", *order)
        .sort(order, descending=[True, True, False, False])
        .unique("id_game", keep="first", maintain_order=True)
    )
    return games.get_column("n_row").is_in(chosen.get_column("n_row").implode())


def _judge(candidates: pl.DataFrame) -> Frames:
    """Candidates without a fault that keep every rule; of the others the row's number with every reason."""
    foreign = pl.format("dt_month: not the month of its source, {} (got {})", "dt_source", "dt_month")
    misplaced = pl.when(pl.col("dt_month") != pl.col("dt_source")).then(foreign)
    good, bad = split(Games, candidates.with_columns(val_faults=_joined("val_faults", misplaced)))
    faulty = pl.col("val_faults").is_not_null()
    refused = pl.concat([good.filter(faulty).with_columns(val_reasons=pl.lit(None, pl.String)), bad])
    return good.filter(~faulty), refused.select("n_row", val_reasons=_joined("val_faults", "val_reasons"))


def _rejected(arrived: pl.DataFrame, reasons: pl.DataFrame, source: str) -> pl.DataFrame:
    named = arrived.join(reasons, on="n_row", maintain_order="left").with_columns(val_source=pl.lit(source))
    return named.sort("n_row").select(REJECTED)


def _joined(*reasons: str | pl.Expr) -> pl.Expr:
    text = pl.concat_str(*reasons, separator="; ", ignore_nulls=True)
    return pl.when(text != "").then(text)
