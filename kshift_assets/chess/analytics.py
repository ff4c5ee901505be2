"""Analytics: each plugin becomes one asset, split by month; only games without a result of its version are computed."""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from kshift_assets.audit import SHOWN_CASES, uniqueness
from kshift_assets.automation import ON_CHANGE
from kshift_assets.chess.analytic_months import FAILED_FAILURE, Month, analytic_table, mostly_computed
from kshift_assets.chess.seen_games import FILLED
from kshift_assets.chess.tables import GAMES
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    OWNER,
    AuditFailed,
    Finding,
    Report,
    check,
    code_reference,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from plugins import Plugin
from resources.lake import Lake
from resources.workers import Workers


def outcomes(rows: pl.DataFrame) -> dict[str, int]:
    """Rows (val_not_applicable, val_error) counted by what became of their games."""
    reasons = rows.get_column("val_not_applicable").drop_nulls().value_counts(sort=True)
    n_failed = rows.height - rows.get_column("val_error").null_count()
    n_applicable = rows.get_column("val_not_applicable").null_count()
    counts = {"applicable": n_applicable, "failed": n_failed}
    return counts | {f"not applicable: {reason}": count for reason, count in reasons.iter_rows()}


def analytic_asset(plugin: Plugin, engines: Sequence[dg.AssetKey] = ()) -> dg.AssetsDefinition:
    """The asset of a plugin, with its version as code version: raise it, and Dagster shows what is stale.

    Who looks at evaluations follows also `engines`, the assets that add them to games.
    """
    table = analytic_table(plugin)
    source = code_reference(plugin.source_file, plugin.source_line, plugin.name)

    @dg.asset(
        key=table.key,
        deps=[GAMES.key, *(engines if FILLED.intersection(plugin.looks_at) else ())],
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
            check(
                table,
                "mostly_computed",
                f"At most {FAILED_FAILURE:.0%} of the games fail, else nothing is written.",
            ),
            check(table, "no_failures", "No game failed; those that did are in analytics.failures.", blocking=False),
        ],
        automation_condition=ON_CHANGE,
    )
    def build_analytic(context: dg.AssetExecutionContext, lake: Lake, workers: Workers) -> Iterator[Report]:
        month = Month(plugin, lake, context.partition_key, workers.map)
        try:
            missing = month.write()
        except AuditFailed as failed:
            yield from refuse(table.key, failed.finding)
            return
        rows = month.rows().select("id_game", "val_not_applicable", "val_error").collect()
        counts = outcomes(rows)
        findings = [
            Finding("schema", passed=True, metadata={"rows": rows.height}),
            uniqueness("id_game", rows.get_column("id_game").hash()),
            every_row_has_its_game(rows, month.games()),
            mostly_computed(rows.get_column("val_error").drop_nulls(), counts["applicable"]),
            no_failures(rows),
        ]
        work = {"computed": missing.n_computed, "kept": missing.n_kept, "dropped": missing.n_dropped}
        yield from report(context, table.key, rows.height, findings, work | counts)

    return build_analytic


def no_failures(rows: pl.DataFrame) -> Finding:
    """How many games failed, with the first errors; a warning, never a failure."""
    failed = rows.filter(pl.col("val_error").is_not_null()).sort("id_game")
    cases = "\n".join(f"| {game} | {error} |" for game, _, error in failed.head(SHOWN_CASES).iter_rows())
    return Finding(
        "no_failures",
        passed=failed.is_empty(),
        metadata={"failed": failed.height, "cases": dg.MetadataValue.md(f"| game | error |\n|---|---|\n{cases}")},
        text=f"{failed.height} games failed, first {failed.item(0, 0)}: {failed.item(0, 2)}" if failed.height else "",
        severity=dg.AssetCheckSeverity.WARN,
    )


def every_row_has_its_game(rows: pl.DataFrame, games: pl.DataFrame) -> Finding:
    """Whether rows and games are the same set; told by 64-bit hashes of their ids."""
    of_rows, of_games = (frame.get_column("id_game").hash() for frame in (rows, games))
    orphans = of_rows.len() - int(of_rows.is_in(of_games.implode()).sum())
    bare = of_games.len() - int(of_games.is_in(of_rows.implode()).sum())
    text = f"{orphans} rows have no game, {bare} games have no row" if orphans or bare else ""
    return Finding(
        "every_row_has_its_game",
        passed=not orphans and not bare,
        metadata={"orphans": orphans, "bare": bare},
        text=text,
    )
