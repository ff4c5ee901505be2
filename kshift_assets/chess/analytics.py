"""Analytics: each plugin becomes one asset, split by month; only games without a result of its version are computed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
import pandera.polars as pa
import polars as pl

from kshift_assets.audit import SHOWN_CASES, Audit
from kshift_assets.automation import ON_CHANGE
from kshift_assets.chess.schemas import MONTH, Utc
from kshift_assets.chess.seen_games import BATCH, FILLED, SeenGames
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
from kshift_assets.tables import Model, polars_schema, split
from plugins import Plugin, PluginError, Spread
from resources.lake import Lake
from resources.workers import Workers

# Where a larger share of the games fails it is the plugin that is broken; a month of few games tells nothing.
FAILED_FAILURE, FEW_GAMES = 0.5, 20


def stored_model(plugin: Plugin) -> Model:
    """The plugin's schema with what the lake adds: why a game has no result, and from which version and state it is."""
    additions = {
        "val_not_applicable": pa.Field(
            nullable=True, description="Why the analytic says nothing of the game; null where it does"
        ),
        "val_error": pa.Field(nullable=True, description="What went wrong with the game; null where nothing did"),
        "val_plugin_version": pa.Field(eq=plugin.version, description="Version of the plugin that computed the row"),
        "tm_game_ingested": pa.Field(
            description="When the state of the game that it was computed from was fetched, or evaluated"
        ),
        "dt_month": pa.Field(str_matches=MONTH, description="Partition: UTC month of the game"),
    }
    annotations = {"val_not_applicable": str, "val_error": str, "val_plugin_version": str}
    namespace = additions | {
        "__annotations__": annotations | {"tm_game_ingested": Utc, "dt_month": str},
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
    """Compare games (id_game, tm_game_ingested) with stored rows (the same, and val_plugin_version).

    A row is right if it is of this version and computed from the present state of a game that is still there.
    """
    current = stored.filter(pl.col("val_plugin_version") == plugin.version)
    valid = current.join(games, on=["id_game", "tm_game_ingested"], how="semi").select("id_game")
    return Missing(games.join(valid, on="id_game", how="anti"), valid, stored.height - valid.height)


class Month:
    """A month of an analytic: what it lacks, and how that is computed and written."""

    def __init__(self, plugin: Plugin, lake: Lake, month: str, spread: Spread) -> None:
        self._plugin, self._lake, self._month, self._spread = plugin, lake, month, spread
        self._table = analytic_table(plugin)
        self._schema = polars_schema(self._table.model)
        self._games = SeenGames(lake, month, plugin.looks_at)

    def rows(self) -> pl.LazyFrame:
        """What is stored."""
        return self._lake.scan(self._table.full_name, self._schema, self._month)

    def games(self) -> pl.DataFrame:
        """The games that have a row, or must get one."""
        return self._games.states()

    def write(self) -> Missing:
        """Compute what is missing and commit it, in one piece; returns what it was. AuditFailed if a rule is broken.

        The new rows come beside the stored ones where these are all right, else the whole month is written anew.
        """
        name, audit = self._table.full_name, Audit(self._table.model, unique="id_game")
        version = self._lake.version(name)
        missing = self._missing()
        if missing.n_dropped:
            self._lake.overwrite(name, lambda: audit.watch(self._all(missing)), self._schema, self._month)
        elif missing.games.height:

            def frames() -> Iterator[pl.DataFrame]:
                # The commit has begun: whoever added rows before it may have added these.
                is_current = self._lake.version(name) == version
                return audit.watch(self._computed(missing if is_current else self._missing()))

            self._lake.extend(name, frames, self._schema, self._month)
        return missing

    def _missing(self) -> Missing:
        stored = self.rows().select("id_game", "tm_game_ingested", "val_plugin_version").collect()
        return find_missing(self._plugin, self.games(), stored)

    def _all(self, missing: Missing) -> Iterator[pl.DataFrame]:
        if missing.valid.height:
            for batch in self._lake.batches(self._table.full_name, self._schema, self._month, rows=BATCH):
                yield batch.join(missing.valid, on="id_game", how="semi", maintain_order="left")
        yield from self._computed(missing)

    def _computed(self, missing: Missing) -> Iterator[pl.DataFrame]:
        if missing.games.is_empty():
            return
        n_games, errors = 0, pl.Series(dtype=pl.String)
        for games in self._games.batches(missing.games):
            rows = compute_rows(self._plugin, games, self._spread).with_columns(dt_month=pl.lit(self._month))
            n_games += rows.get_column("val_not_applicable").null_count()
            errors = errors.append(rows.get_column("val_error").drop_nulls())
            yield rows.join(missing.games, on="id_game", how="left", maintain_order="left")
        if not (finding := mostly_computed(errors, n_games)).passed:
            raise AuditFailed(finding)


def compute_rows(plugin: Plugin, games: pl.DataFrame, spread: Spread = map) -> pl.DataFrame:
    """What the plugin says of a batch of games; AuditFailed if it breaks its contract.

    A game whose values break a rule of the plugin's schema counts as failed, with that rule as its error.
    """
    try:
        computed = plugin.run(games, spread)
    except PluginError as error:
        raise AuditFailed(Finding("mostly_computed", passed=False, text=str(error))) from error
    _, broken = split(plugin.schema, computed.select(*plugin.columns, "val_not_applicable", "val_error"))
    if broken.height:
        reasons = broken.select("id_game", "val_reasons")
        is_good = pl.col("val_reasons").is_null()
        computed = computed.join(reasons, on="id_game", how="left", maintain_order="left").select(
            "id_game",
            *(pl.when(is_good).then(name) for name in computed.columns if name not in {"id_game", "val_error"}),
            pl.coalesce("val_reasons", "val_error").alias("val_error"),
        )
    return computed.with_columns(val_plugin_version=pl.lit(plugin.version))


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
            unique_id_game(rows),
            every_row_has_its_game(rows, month.games()),
            mostly_computed(rows.get_column("val_error").drop_nulls(), counts["applicable"]),
            no_failures(rows),
        ]
        work = {"computed": missing.games.height, "kept": missing.valid.height, "dropped": missing.n_dropped}
        yield from report(context, table.key, rows.height, findings, work | counts)

    return build_analytic


def unique_id_game(rows: pl.DataFrame) -> Finding:
    """Whether each game has one row."""
    repeated = rows.height - rows.get_column("id_game").n_unique()
    text = f"{repeated} rows repeat an id_game" if repeated else ""
    return Finding("unique_id_game", passed=not repeated, metadata={"repeated": repeated}, text=text)


def mostly_computed(errors: pl.Series, n_games: int) -> Finding:
    """Whether the plugin works at all; a handful of games tells nothing."""
    n_failed = errors.len()
    passed = n_failed <= FAILED_FAILURE * n_games or n_games < FEW_GAMES
    text = "" if passed else f"{n_failed} of {n_games} games failed, so the plugin itself is broken: {errors[0]}"
    return Finding("mostly_computed", passed=passed, metadata={"failed": n_failed, "games": n_games}, text=text)


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
