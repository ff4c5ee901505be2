"""The table chess.opening_differences: where the games' own openings are not those of chess.openings."""

from collections.abc import Iterator

import dagster as dg
import pandera.polars as pa
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_CHANGE
from kshift_assets.chess.tables import GAMES
from kshift_assets.chess.vocabulary import GAME_ID, MONTH
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    OWNER,
    AuditFailed,
    Report,
    Table,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import polars_schema, summary
from plugins.chess.opening import from_moves
from plugins.chess.opening import plugin as opening
from resources.lake import Lake

_READS = ("id_game", "val_eco", "val_opening", "val_moves", "val_variant", "val_initial_fen", "n_plies")
_PAIR = ("val_eco", "val_opening", "val_eco_by_moves", "val_opening_by_moves")


class OpeningDifferences(pa.DataFrameModel):
    """Openings that games name otherwise than their moves would by chess.openings; the games' own word counts."""

    val_eco: str = pa.Field(nullable=True, description="ECO code that the games carry")
    val_opening: str = pa.Field(nullable=True, description="Name that the games carry; null where they have none")
    val_eco_by_moves: str = pa.Field(nullable=True, description="ECO code of their last position in chess.openings")
    val_opening_by_moves: str = pa.Field(nullable=True, description="Name of that position")
    n_games: pl.Int64 = pa.Field(ge=1, description="Games of the month in which it is so")
    id_game_example: str = pa.Field(str_matches=GAME_ID, description="One of these games: the first by id")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of the games")


OPENING_DIFFERENCES = Table("chess", "opening_differences", OpeningDifferences)


def differences(games: pl.DataFrame) -> pl.DataFrame:
    """Those of the games whose opening has another code or name than their moves say: `id_game` and both openings."""
    named = games.filter(
        pl.any_horizontal(pl.col("val_eco", "val_opening").is_not_null()),
        *(need.met for need in opening.needs),
    )
    by_moves = from_moves(named).select(val_eco_by_moves="val_eco", val_opening_by_moves="val_opening_name")
    eco, name = pl.col("val_eco"), pl.col("val_opening")
    return (
        named.select("id_game", eco, name)
        .hstack(by_moves)
        .filter(
            (eco.is_not_null() & eco.ne_missing(pl.col("val_eco_by_moves")))
            | (name.is_not_null() & name.ne_missing(pl.col("val_opening_by_moves")))
        )
    )


def counted(cases: pl.DataFrame, month: str) -> pl.DataFrame:
    """Rows of chess.opening_differences: each pair of openings once, the most frequent first."""
    return (
        cases.group_by(_PAIR)
        .agg(n_games=pl.len().cast(pl.Int64), id_game_example=pl.col("id_game").min())
        .sort("n_games", *_PAIR, descending=[True, *(False for _ in _PAIR)])
        .with_columns(dt_month=pl.lit(month))
        .select(polars_schema(OpeningDifferences).names())
    )


@dg.asset(
    key=OPENING_DIFFERENCES.key,
    deps=[GAMES.key],
    partitions_def=MONTHS,
    group_name="chess/cleaned",
    description=summary(OpeningDifferences),
    kinds={"python", "polars", "deltalake"},
    owners=[OWNER],
    tags={"layer": "cleaned", "domain": "chess"},
    metadata=table_metadata(OPENING_DIFFERENCES, differences),
    code_version=f"1+opening-{opening.version}",
    automation_condition=ON_CHANGE,
    check_specs=[schema_check(OPENING_DIFFERENCES)],
)
def opening_differences(context: dg.AssetExecutionContext, lake: Lake) -> Iterator[Report]:
    """The games of a month, batch by batch, their own openings held against their moves."""
    month = context.partition_key
    batches = lake.batches(GAMES.full_name, polars_schema(GAMES.model), month, _READS)
    cases = [differences(games) for games in batches]
    rows = counted(pl.concat(cases), month) if cases else pl.DataFrame(schema=polars_schema(OpeningDifferences))
    audit = Audit(OpeningDifferences)
    try:
        lake.overwrite(
            OPENING_DIFFERENCES.full_name, lambda: audit.watch([rows]), polars_schema(OpeningDifferences), month
        )
    except AuditFailed as failed:
        yield from refuse(OPENING_DIFFERENCES.key, failed.finding)
        return
    n_games = int(rows.get_column("n_games").sum())
    yield from report(context, OPENING_DIFFERENCES.key, rows.height, audit.findings(), {"games": n_games})
