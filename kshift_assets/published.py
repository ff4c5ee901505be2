"""What consumers may read: a snapshot that pins one version of every consumer table, once all their checks passed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import duckdb
from dagster import DagsterInstance

from kshift_assets import check_states
from kshift_assets.automation import ON_SETTLED_CHANGE_OR_NIGHTLY
from kshift_assets.chess import player_search, position_search
from kshift_assets.chess.schemas import Failures, Moves
from kshift_assets.chess.tables import GAMES
from kshift_assets.reporting import (
    AT_HOME,
    OWNER,
    AuditFailed,
    Finding,
    Report,
    Table,
    code_reference_of,
    refuse,
    report,
)
from kshift_assets.tables import Model, descriptions, polars_schema, summary
from resources.lake import Lake, duckdb_type, parquet_sql
from resources.snapshots import DATABASE, Pin, Snapshots

SNAPSHOT_KEY = dg.AssetKey(["published", "snapshot"])
MOVES = Table("chess", "moves", Moves)
FAILURES = Table("analytics", "failures", Failures)
MACROS = (*position_search.MACROS, *player_search.MACROS)
"""SQL that makes what consumers may call."""
VIEWS = (MOVES, FAILURES)
"""What consumers find beside the tables."""

MOVES_SQL = """
SELECT id_game, n_ply, CASE WHEN n_ply % 2 = 1 THEN first_color ELSE second_color END AS val_color, val_san,
    n_clock_cs, val_eval_cp, val_eval_mate, val_glyph, val_best, dt_month
FROM (
    SELECT id_game, dt_month,
        CASE WHEN regexp_matches(val_initial_fen, '^[^ ]+ b ') THEN 'black' ELSE 'white' END AS first_color,
        CASE WHEN regexp_matches(val_initial_fen, '^[^ ]+ b ') THEN 'white' ELSE 'black' END AS second_color,
        unnest(range(1, n_plies + 1)) AS n_ply, unnest(string_split(val_moves, ' ')) AS val_san,
        unnest(arr_clock_cs) AS n_clock_cs, unnest(arr_eval_cp) AS val_eval_cp,
        unnest(arr_eval_mate) AS val_eval_mate, unnest(arr_glyph) AS val_glyph, unnest(arr_best) AS val_best
    FROM {games} AS games
    WHERE n_plies > 0
)
"""


def pin(lake: Lake, table: Table) -> Pin:
    """The newest version of a table: read once, so that files and rows belong together."""
    version = lake.version(table.full_name)
    schema = polars_schema(table.model)
    files = lake.files(table.full_name, version=version)
    return _pin(
        table.full_name,
        table.model,
        f"SELECT * FROM {parquet_sql(files, schema)}",  # noqa: S608  # our own names
        files,
        lake.n_rows(table.full_name, version=version),
        version,
    )  # our own names


def pin_moves(games: Pin) -> Pin:
    """The view chess.moves over the same files as chess.games."""
    return _pin(
        MOVES.full_name, MOVES.model, MOVES_SQL.format(games=f"({games.sql})"), games.files, None, games.version
    )


FAILURES_SQL = """
SELECT id_game, '{name}' AS val_plugin, val_plugin_version, val_error, dt_month FROM ({rows})
WHERE val_error IS NOT NULL
"""


def pin_failures(analytics: Sequence[Pin]) -> Pin:
    """The view analytics.failures over the tables of all analytics that keep what went wrong with a game."""
    sql = " UNION ALL ".join(
        FAILURES_SQL.format(name=one.name.rpartition(".")[2], rows=one.sql)
        for one in analytics
        if "val_error" in one.columns
    )
    files = sorted({file for one in analytics for file in one.files})
    return _pin(FAILURES.full_name, FAILURES.model, sql, files, None, None)


def _pin(name: str, model: Model, sql: str, files: Sequence[str], rows: int | None, version: int | None) -> Pin:
    columns = {column: duckdb_type(dtype) for column, dtype in polars_schema(model).items()}
    return Pin(name, sql, summary(model), columns, descriptions(model), files, rows, version)


def contents(pins: Sequence[Pin]) -> str:
    """What a snapshot holds, as Markdown."""
    rows = [f"| {one.name} | {'a view' if one.rows is None else format(one.rows, ',')} | {one.text} |" for one in pins]
    return "\n".join(["| table | rows | what it holds |", "|---|---|---|", *rows])


def failed_checks(instance: DagsterInstance, checks: Sequence[dg.AssetCheckSpec]) -> list[str]:
    """Those of the checks, with their months, whose newest result is a failure."""
    return [
        f"{spec.asset_key.to_user_string()}:{spec.name}{f' ({months})' if months else ''}"
        for spec, months in check_states.failed(instance, checks)
    ]


def audit(connection: duckdb.DuckDBPyConnection, pins: Sequence[Pin], analytics: Sequence[Table]) -> list[Finding]:
    """Look at a snapshot before anybody else does: every view opens with the rows that were pinned, none is skewed.

    Raises AuditFailed with the first thing that is wrong.
    """
    for one in pins:
        found = connection.execute(f"SELECT count(*) FROM {one.name}").fetchall()[0][0]  # noqa: S608  # our own names
        if one.rows is not None and found != one.rows:
            raise AuditFailed(Finding("views_open", passed=False, text=f"{one.name} shows {found} rows of {one.rows}"))
    for table in analytics:
        skewed = connection.execute(
            f"SELECT count(*) FROM (SELECT id_game, dt_month FROM {GAMES.full_name} "  # noqa: S608  # our own names
            f"EXCEPT SELECT id_game, dt_month FROM {table.full_name}) "
        ).fetchall()[0][0]
        if skewed:
            text = f"{skewed} games of {GAMES.full_name} have no row in {table.full_name} yet"
            raise AuditFailed(Finding("tables_agree", passed=False, text=text))
    return [Finding("views_open", passed=True, metadata={"tables": len(pins)}), Finding("tables_agree", passed=True)]


def snapshot_asset(
    tables: Sequence[Table],
    checks: Sequence[dg.AssetCheckSpec],
    freshness: dg.FreshnessPolicy,
    carried: Sequence[dg.AssetKey] = (),
) -> dg.AssetsDefinition:
    """The asset `published/snapshot` over these tables; a failure of one of `checks` stops it.

    `carried` is made together with it, and no reason to make it.
    """
    analytics = [table for table in tables if table.schema == "analytics"]
    complete = [table for table in analytics if not table.optional]

    @dg.asset(
        key=SNAPSHOT_KEY,
        deps=sorted({*(spec.asset_key for spec in checks), *carried}),
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=[OWNER],
        tags={"layer": "published"},
        op_tags=AT_HOME,
        metadata=code_reference_of(pin, "published/snapshot"),
        code_version="1",
        check_specs=[
            dg.AssetCheckSpec(
                "sources_passed",
                asset=SNAPSHOT_KEY,
                blocking=True,
                description="No blocking check of a pinned table has failed.",
            ),
            dg.AssetCheckSpec(
                "views_open",
                asset=SNAPSHOT_KEY,
                blocking=True,
                description="Every view opens and shows the pinned rows.",
            ),
            dg.AssetCheckSpec(
                "tables_agree",
                asset=SNAPSHOT_KEY,
                blocking=True,
                description="Every game has its row in every analytic.",
            ),
        ],
        freshness_policy=freshness,
        automation_condition=ON_SETTLED_CHANGE_OR_NIGHTLY,
    )
    def snapshot(context: dg.AssetExecutionContext, lake: Lake, snapshots: Snapshots) -> Iterator[Report]:
        """The published database, `latest.duckdb` and `latest.json`: swapped in when everything they pin passed."""
        if failed := failed_checks(context.instance, checks):
            text = f"the latest snapshot stays: {'; '.join(failed)} failed"
            yield from refuse(SNAPSHOT_KEY, Finding("sources_passed", passed=False, text=text))
            return
        findings: list[Finding] = [Finding("sources_passed", passed=True, metadata={"checks": len(checks)})]
        try:
            with snapshots.turn():
                pins = [pin(lake, table) for table in tables]
                pins.append(pin_moves(next(one for one in pins if one.name == GAMES.full_name)))
                if analytics:
                    names = {table.full_name for table in analytics}
                    pins.append(pin_failures([one for one in pins if one.name in names]))
                catalog = snapshots.publish(
                    pins, lambda database: findings.extend(audit(database, pins, complete)), macros=MACROS
                )
        except AuditFailed as failure:
            yield from refuse(SNAPSHOT_KEY, failure.finding)
            return
        rows = sum(one.rows or 0 for one in pins)
        yield from report(
            context,
            SNAPSHOT_KEY,
            rows,
            findings,
            {
                "snapshot": catalog["snapshot"],
                "tables": len(pins),
                "contents": dg.MetadataValue.md(contents(pins)),
                "path": dg.MetadataValue.path(str(Path(snapshots.folder) / DATABASE)),
            },
        )

    return snapshot
