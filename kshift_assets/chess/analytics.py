"""Analytics: each plugin becomes one asset, split by month; only games without a result of its version are computed."""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pandera.polars as pa
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_CHANGE
from kshift_assets.chess.schemas import MONTH, Utc
from kshift_assets.chess.tables import GAMES
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    OWNER,
    AuditFailed,
    Finding,
    Report,
    Table,
    check,
    code_reference,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import Model, polars_schema
from plugins import Plugin, PluginError
from resources.lake import Lake

BATCH = 50_000


def stored_model(plugin: Plugin) -> Model:
    """The plugin's schema with what the lake adds: the version that computed a row, and of which state of the game."""
    additions = {
        "val_plugin_version": pa.Field(eq=plugin.version, description="Version of the plugin that computed the row"),
        "tm_game_ingested": pa.Field(description="chess.games.tm_ingested of the game that it was computed from"),
        "dt_month": pa.Field(str_matches=MONTH, description="Partition: UTC month of the game"),
    }
    namespace = additions | {
        "__annotations__": {"val_plugin_version": str, "tm_game_ingested": Utc, "dt_month": str},
        "__doc__": plugin.description,
        "__module__": __name__,
    }
    return type(f"{plugin.schema.__name__}Stored", (plugin.schema,), namespace)


def analytic_table(plugin: Plugin) -> Table:
    """The table of a plugin: `analytics.<name>`."""
    return Table("analytics", plugin.name, stored_model(plugin))


@dataclass(frozen=True)
class Missing:
    """What a month of an analytic lacks: the games to compute, and the rows that are still right."""

    games: pl.DataFrame
    valid: pl.DataFrame
    n_dropped: int


def find_missing(plugin: Plugin, games: pl.DataFrame, stored: pl.DataFrame) -> Missing:
    """Compare games (id_game, tm_ingested) with stored rows (id_game, tm_game_ingested, val_plugin_version).

    A row is right if it is of this version and computed from the present state of a game that is still there.
    """
    present = games.rename({"tm_ingested": "tm_game_ingested"})
    current = stored.filter(pl.col("val_plugin_version") == plugin.version)
    valid = current.join(present, on=["id_game", "tm_game_ingested"], how="semi").select("id_game")
    return Missing(games.join(valid, on="id_game", how="anti"), valid, stored.height - valid.height)


def compute_month(plugin: Plugin, table: Table, lake: Lake, month: str, missing: Missing) -> Iterator[pl.DataFrame]:
    """The month's rows: first the stored ones that are still right, then the computed ones, in batches."""
    schema = polars_schema(table.model)
    if missing.valid.height:
        for batch in lake.batches(table.full_name, schema, month, rows=BATCH):
            yield batch.join(missing.valid, on="id_game", how="semi", maintain_order="left")
    if not missing.games.height:
        return
    columns = list(dict.fromkeys(["id_game", "tm_ingested", *plugin.reads]))
    for batch in lake.batches(GAMES.full_name, polars_schema(GAMES.model), month, columns, BATCH):
        wanted = batch.join(missing.games.select("id_game"), on="id_game", how="semi", maintain_order="left")
        if wanted.height:
            yield compute_rows(plugin, wanted, month).select(schema.names())


def compute_rows(plugin: Plugin, games: pl.DataFrame, month: str) -> pl.DataFrame:
    """Run the plugin on a batch of games and add the columns of the lake; AuditFailed if it breaks its contract."""
    try:
        computed = plugin.run(games)
    except PluginError as error:
        raise AuditFailed(Finding("schema", passed=False, text=str(error))) from error
    return computed.with_columns(
        val_plugin_version=pl.lit(plugin.version), tm_game_ingested=games["tm_ingested"], dt_month=pl.lit(month)
    )


def analytic_asset(plugin: Plugin) -> dg.AssetsDefinition:
    """The asset of a plugin, with its version as code version: raise it, and Dagster shows what is stale."""
    table = analytic_table(plugin)
    source = code_reference(plugin.source_file, plugin.source_line, plugin.name)

    @dg.asset(
        key=table.key,
        deps=[GAMES.key],
        partitions_def=MONTHS,
        group_name="chess/analytics",
        description=plugin.description,
        kinds={"python", "polars", "deltalake"},
        owners=[plugin.owner or OWNER],
        tags={"layer": "analytic", "domain": "chess", **plugin.tags},
        metadata=table_metadata(table) | source,
        code_version=plugin.version,
        check_specs=[
            schema_check(table),
            check(table, "unique_id_game", "Every game has one row."),
            check(
                table, "every_row_has_its_game", "Every row belongs to a game of chess.games, and every game has a row."
            ),
        ],
        automation_condition=ON_CHANGE,
    )
    def build_analytic(context: dg.AssetExecutionContext, lake: Lake) -> Iterator[Report]:
        month, schema = context.partition_key, polars_schema(table.model)
        games = lake.scan(GAMES.full_name, polars_schema(GAMES.model), month).select("id_game", "tm_ingested").collect()
        stored = lake.scan(table.full_name, schema, month)
        missing = find_missing(
            plugin, games, stored.select("id_game", "tm_game_ingested", "val_plugin_version").collect()
        )
        audit = Audit(table.model, unique="id_game")
        try:
            if missing.games.height or missing.n_dropped:
                lake.overwrite(
                    table.full_name,
                    lambda: audit.watch(compute_month(plugin, table, lake, month, missing)),
                    schema,
                    month,
                )
            else:
                for _ in audit.watch(lake.batches(table.full_name, schema, month)):
                    pass
        except AuditFailed as failed:
            yield from refuse(table.key, failed.finding)
            return
        found = lake.scan(table.full_name, schema, month).select("id_game").collect()
        finding = every_row_has_its_game(found, games)
        counts = {"computed": missing.games.height, "kept": missing.valid.height, "dropped": missing.n_dropped}
        yield from report(context, table.key, found.height, [*audit.findings(), finding], counts)

    return build_analytic


def every_row_has_its_game(rows: pl.DataFrame, games: pl.DataFrame) -> Finding:
    """Whether rows and games are the same set."""
    orphans = rows.join(games, on="id_game", how="anti").height
    bare = games.join(rows, on="id_game", how="anti").height
    text = f"{orphans} rows have no game, {bare} games have no row" if orphans or bare else ""
    return Finding(
        "every_row_has_its_game",
        passed=not orphans and not bare,
        metadata={"orphans": orphans, "bare": bare},
        text=text,
    )
