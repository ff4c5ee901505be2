"""Analytics that ask a chess engine: optional assets, split by month; each run goes on where the last one ended."""

from collections.abc import Collection, Iterator

import dagster as dg
import pandera.polars as pa
import polars as pl
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph  # the only name that Dagster 1.13 has for it

from kshift_assets.audit import uniqueness
from kshift_assets.chess.analytic_months import stored_model
from kshift_assets.chess.analytics import no_failures
from kshift_assets.chess.engine_games import EngineMonth, Tally
from kshift_assets.chess.tables import GAMES
from kshift_assets.chess.tracking import tracked
from kshift_assets.chess.vocabulary import Utc
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    OPTIONAL,
    OWNER,
    PROGRESS,
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
from kshift_assets.tables import Model
from plugins import EnginePlugin
from resources.engine import Engine, EngineBroken
from resources.errors import UserError
from resources.following import Following
from resources.lake import Lake

NEEDS_ENGINE = {"kshift/needs": "engine"}


def engine_model(plugin: EnginePlugin) -> Model:
    """The model of any analytic, and who evaluated when."""
    additions = {
        "val_engine": pa.Field(description="Name and version of the engine"),
        "n_nodes": pa.Field(ge=1, description="Nodes that the engine looked at in each position at most"),
        "tm_evaluated": pa.Field(description="When the game was evaluated"),
    }
    namespace = additions | {
        "__annotations__": {"val_engine": str, "n_nodes": pl.Int64, "tm_evaluated": Utc},
        "__doc__": plugin.description,
        "__module__": __name__,
    }
    return type(f"{plugin.schema.__name__}ByEngine", (stored_model(plugin),), namespace)


def engine_table(plugin: EnginePlugin) -> Table:
    """The table of a plugin: `analytics.<name>`."""
    return Table("analytics", plugin.name, engine_model(plugin), optional=True)


def refuse_without_engine(graph: AssetGraph, keys: Collection[dg.AssetKey], engine: Engine) -> None:
    """Raise UserError, before anything runs, where one of the assets asks an engine and there is none."""
    if engine.games and any(NEEDS_ENGINE.items() <= graph.get(key).tags.items() for key in keys):
        engine.identity()


def engine_asset(plugin: EnginePlugin) -> dg.AssetsDefinition:
    """The asset of a plugin that asks an engine. Nothing runs it by itself: it takes the machine for hours."""
    table = engine_table(plugin)

    @dg.asset(
        key=table.key,
        deps=[GAMES.key],
        partitions_def=MONTHS,
        group_name="chess/analytics",
        description=plugin.description,
        kinds={"python", "stockfish", "deltalake"},
        owners=[plugin.owner or OWNER],
        tags={"layer": "analytic", "domain": "chess", **OPTIONAL, **NEEDS_ENGINE, **plugin.tags},
        metadata=table_metadata(table) | code_reference(plugin.source_file, plugin.source_line, plugin.name),
        code_version=plugin.version,
        pool="engine",
        check_specs=[
            schema_check(table),
            check(table, "unique_id_game", "Every game has one row at most."),
            check(table, "no_failures", "The engine answered for every game.", blocking=False),
            check(table, "all_evaluated", "No game of the month is left for another run.", blocking=False),
        ],
    )
    def build_engine_analytic(
        context: dg.AssetExecutionContext, lake: Lake, engine: Engine, following: Following
    ) -> Iterator[Report]:
        month = EngineMonth(plugin, table, lake, context.partition_key, list(tracked(lake, following.players)))
        tally, trouble = Tally(), None
        try:
            for tally in evaluated(month, engine, plugin.nodes):
                if tally.n_wanted:
                    context.log.info(str(tally))
                    PROGRESS.info("%s %s: %s", table.key.to_user_string(), context.partition_key, tally)
        except (UserError, EngineBroken) as error:
            trouble = error
        except AuditFailed as failed:
            yield from refuse(table.key, failed.finding)
            return
        rows = month.rows().select("id_game", "val_not_applicable", "val_error").collect()
        if trouble is None or tally.n_done:
            findings = [
                Finding("schema", passed=True, metadata={"rows": rows.height}),
                uniqueness("id_game", rows.get_column("id_game").hash()),
                no_failures(rows),
                all_evaluated(tally, context.partition_key),
            ]
            yield from report(context, table.key, rows.height, findings, tally.as_metadata)
        if trouble:
            raise dg.Failure(str(trouble), allow_retries=False) from trouble

    return build_engine_analytic


def evaluated(month: EngineMonth, engine: Engine, nodes: int | None) -> Iterator[Tally]:
    """Evaluate as many games as the settings allow; without a game to evaluate no engine is needed."""
    tally = month.prepare()
    yield tally
    if engine.games and tally.n_left:
        name = engine.identity()
        with engine.crew(nodes) as crew:
            yield from month.evaluate(crew, name, engine.games, tally)


def all_evaluated(tally: Tally, month: str) -> Finding:
    """Whether games are left for another run; a warning, never a failure."""
    text = (
        f"{tally.n_left:,} games of {month} have no evaluations yet: run it again, or raise KSHIFT_ENGINE_GAMES"
        if tally.n_left
        else ""
    )
    return Finding(
        "all_evaluated",
        passed=not tally.n_left,
        metadata={"games left": tally.n_left},
        text=text,
        severity=dg.AssetCheckSeverity.WARN,
    )
