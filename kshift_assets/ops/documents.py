"""Documents of sources that are old: those whose games are cleaned, and those of which there is a newer version.

A month that lost documents is marked so in the commit that removes them; cleaning then keeps the games that it has.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
from filelock import FileLock

from kshift_assets.chess.dump_units import DUMP_UNITS, UNITS_SCHEMA
from kshift_assets.chess.kept_games import SOURCES, THINNED
from kshift_assets.chess.tables import DUMP_GAMES, GAMES, PLAYER_GAMES, REJECTED_GAMES
from kshift_assets.reporting import Table
from kshift_assets.tables import polars_schema
from resources.lake import Lake
from resources.names import month_span
from resources.retention import Expired, Rules
from resources.rewriting import stored_files


def old_documents(lake: Lake, rules: Rules, now: datetime) -> Iterator[Expired]:
    """Documents of months that ended long enough ago, if their games are in chess.games; the others stay."""
    for table in SOURCES:
        days = rules.documents.get(table.full_name)
        for month in lake.months(table.full_name) if days else ():
            end = datetime.fromtimestamp(month_span(month)[1] / 1000, UTC)
            if days and end + timedelta(days=days) < now:
                why = f"{month} ended more than {days} days ago, and these games are cleaned"
                yield from _expired("documents", lake, rules, (table, month, why), partial(_uncleaned, lake, month))


def old_versions(lake: Lake, rules: Rules, now: datetime) -> Iterator[Expired]:
    """Documents of players' games that came before the newest one of the same game, if none of them was rejected."""
    before = now - timedelta(days=rules.versions)
    for month in lake.months(PLAYER_GAMES.full_name) if rules.versions else ():
        why = f"older than {rules.versions} days, with a newer version"
        newest = partial(_newest, lake, month, before)
        yield from _expired("versions", lake, rules, (PLAYER_GAMES, month, why), newest)


def _expired(
    rule: str, lake: Lake, rules: Rules, what: tuple[Table, str, str], stays: "partial[pl.Expr]"
) -> Iterator[Expired]:
    table, month, why = what
    name, schema = table.full_name, polars_schema(table.model)
    n_rows = lake.n_rows(name, month)
    n_gone = n_rows - lake.scan(name, schema, month).filter(stays()).select(pl.len()).collect().item()
    if n_gone:
        sizes = [file.n_bytes for file in stored_files(lake, name) if file.month == month]
        share = sum(sizes) * n_gone // n_rows
        remove = partial(_thin, lake, rules, (table, month, rule), stays)
        yield Expired(rule, f"{name} {month}", why, len(sizes), share, remove, n_gone)


def _thin(lake: Lake, rules: Rules, what: tuple[Table, str, str], stays: "partial[pl.Expr]") -> None:
    """Write what stays of a month in one commit, while nobody adds to it."""
    table, month, rule = what
    name, schema = table.full_name, polars_schema(table.model)

    def frames() -> Iterator[pl.DataFrame]:
        stay = stays()
        for batch in lake.batches(name, schema, month):
            yield batch.filter(stay)

    lock = Path(rules.home) / "state" / f"{table.name}.lock"  # as ingestion takes it
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        lake.overwrite(name, frames, schema, month, mark=THINNED if rule == "documents" else None)
    if table is DUMP_GAMES:  # its files would count as needed by a dump under way
        lake.overwrite(DUMP_UNITS.full_name, list, UNITS_SCHEMA, month)


def _uncleaned(lake: Lake, month: str) -> pl.Expr:
    """Which documents no game of the month comes from: of rejected games, and of those that are not cleaned yet."""
    return ~pl.col("id_game").is_in(_settled(lake, month).implode(), nulls_equal=True)


def _newest(lake: Lake, month: str, before: datetime) -> pl.Expr:
    """Which documents are the newest of their game, or of games of which one was rejected, or young."""
    rows = lake.scan(PLAYER_GAMES.full_name, polars_schema(PLAYER_GAMES.model), month)
    order = ("tm_ingested", "val_hash")  # as cleaning has it
    newest = rows.select("id_game", *order).sort(order, descending=True).unique("id_game", keep="first").collect()
    return (
        pl.col("val_hash").is_in(newest.get_column("val_hash").implode())
        | ~pl.col("id_game").is_in(_settled(lake, month).implode())
        | (pl.col("tm_ingested") >= before)
    )


def _settled(lake: Lake, month: str) -> pl.Series:
    """Ids of the games that are cleaned, and of which no document was rejected: it may be mended some day."""
    cleaned, rejected = _ids(lake, GAMES, month), _ids(lake, REJECTED_GAMES, month)
    return cleaned.join(rejected, on="id_game", how="anti").to_series()


def _ids(lake: Lake, table: Table, month: str) -> pl.DataFrame:
    return lake.scan(table.full_name, polars_schema(table.model), month).select("id_game").collect()
