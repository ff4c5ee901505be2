"""The chess marts: SQL over cleaned games and analytics, for the questions that are asked most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
from dagster_duckdb import DuckDBResource

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_SETTLED_CHANGE_OR_NIGHTLY
from kshift_assets.chess.tables import GAMES, OPENING_RESULTS, PLAYER_SUMMARY
from kshift_assets.reporting import (
    OWNER,
    AuditFailed,
    Finding,
    Report,
    Table,
    check,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.tables import polars_schema, summary
from resources.lake import Lake

FINISHED = "val_result <> '*'"

PLAYER_SUMMARY_SQL = f"""
WITH sides AS (
    SELECT id_user_white AS id_user, 'white' AS val_color, val_speed, val_result, val_result = '1-0' AS won,
        val_result = '0-1' AS lost, n_rating_white AS rating, n_rating_black AS opponent, ind_rated, tm_created, id_game
    FROM chess.games
    UNION ALL
    SELECT id_user_black, 'black', val_speed, val_result, val_result = '0-1',
        val_result = '1-0', n_rating_black, n_rating_white, ind_rated, tm_created, id_game
    FROM chess.games
)
SELECT id_user, val_speed, val_color,
    count(*) AS n_games,
    count(*) FILTER (won) AS n_wins,
    count(*) FILTER (val_result = '1/2-1/2') AS n_draws,
    count(*) FILTER (lost) AS n_losses,
    count(*) FILTER (val_result = '*') AS n_unfinished,
    100 * (count(*) FILTER (won) + 0.5 * count(*) FILTER (val_result = '1/2-1/2'))
        / nullif(count(*) FILTER ({FINISHED}), 0) AS n_score_pct,
    min(rating) FILTER (ind_rated) AS n_rating_min,
    max(rating) FILTER (ind_rated) AS n_rating_max,
    arg_max(rating, (tm_created, id_game)) FILTER (ind_rated) AS n_rating_last,
    avg(opponent) AS n_rating_opponents,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last
FROM sides
WHERE id_user IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""  # noqa: S608  # constants of this module

OPENING_RESULTS_SQL = f"""
SELECT opening.val_eco, opening.val_opening_family AS val_family, games.val_speed,
    count(*) AS n_games,
    count(*) FILTER (val_result = '1-0') AS n_white_wins,
    count(*) FILTER (val_result = '1/2-1/2') AS n_draws,
    count(*) FILTER (val_result = '0-1') AS n_black_wins,
    100 * (count(*) FILTER (val_result = '1-0') + 0.5 * count(*) FILTER (val_result = '1/2-1/2')) / count(*)
        AS n_white_score_pct,
    avg((n_rating_white + n_rating_black) / 2) AS n_rating_mean,
    avg(n_plies) AS n_plies_mean
FROM analytics.opening AS opening JOIN chess.games AS games USING (id_game, dt_month)
WHERE {FINISHED} AND val_variant = 'standard' AND opening.val_eco IS NOT NULL AND opening.val_opening_family IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""  # noqa: S608  # constants of this module


@dataclass(frozen=True)
class Mart:
    """A mart: its table, its SQL, the tables that the SQL names, and the games that it must account for."""

    table: Table
    sql: str
    sources: Sequence[Table]
    expected_games_sql: str


PLAYER_SUMMARY_MART = Mart(
    PLAYER_SUMMARY,
    PLAYER_SUMMARY_SQL,
    [GAMES],
    "SELECT count(id_user_white) + count(id_user_black) FROM chess.games",
)


def opening_results_mart(opening: Table) -> Mart:
    """The mart over the table of the analytic `opening`."""
    return Mart(
        OPENING_RESULTS,
        OPENING_RESULTS_SQL,
        [opening, GAMES],
        f"SELECT count(*) FROM chess.games WHERE {FINISHED} AND val_variant = 'standard' "  # noqa: S608  # constants
        "AND val_eco IS NOT NULL AND val_opening IS NOT NULL",
    )


def mart_asset(mart: Mart, freshness: dg.FreshnessPolicy, data_age: timedelta) -> dg.AssetsDefinition:
    """The asset of a mart: computed by DuckDB over the lake's files, audited, and written as one commit."""
    table = mart.table

    @dg.asset(
        key=table.key,
        deps=[source.key for source in mart.sources],
        group_name="chess/marts",
        description=f"{summary(table.model)}\n\nDuckDB computes it from the files of the lake:\n```sql{mart.sql}```",
        kinds={"duckdb", "sql", "deltalake"},
        owners=[OWNER],
        tags={"layer": "mart", "domain": "chess"},
        metadata=table_metadata(table, opening_results_mart),
        code_version="1",
        check_specs=[
            schema_check(table),
            check(table, "row_counts", "Its games add up to those of chess.games."),
            check(table, "newest_row", f"Its newest game is at most {data_age.days} days old.", blocking=False),
        ],
        freshness_policy=freshness,
        automation_condition=ON_SETTLED_CHANGE_OR_NIGHTLY,
    )
    def build_mart(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Iterator[Report]:
        schema = polars_schema(table.model)
        audit = Audit(table.model)
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for source in mart.sources:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {source.schema}")
                connection.execute(
                    f"CREATE VIEW {source.full_name} AS SELECT * FROM "  # noqa: S608  # our own names
                    + lake.relation_sql(source.full_name, polars_schema(source.model))
                )

            def frames() -> Iterator[pl.DataFrame]:
                for batch in connection.sql(mart.sql).to_arrow_reader(100_000):
                    yield pl.DataFrame(pl.from_arrow(batch)).cast(schema)

            expected, newest = connection.execute(
                f"SELECT ({mart.expected_games_sql}), (SELECT max(tm_created) FROM chess.games)"  # noqa: S608  # constants
            ).fetchall()[0]
            n_games = 0

            def counted() -> Iterator[pl.DataFrame]:
                nonlocal n_games
                n_games = 0
                for frame in audit.watch(frames()):
                    n_games += int(frame.get_column("n_games").sum())
                    yield frame
                if n_games != expected:
                    raise AuditFailed(row_counts(n_games, expected))

            try:
                written = lake.overwrite(table.full_name, counted, schema)
            except AuditFailed as failed:
                yield from refuse(table.key, failed.finding)
                return
        findings = [*audit.findings(), row_counts(n_games, expected), newest_row(newest, data_age)]
        yield from report(context, table.key, written.n_rows, findings, {"version": written.version, "games": n_games})

    return build_mart


def row_counts(found: int, expected: int) -> Finding:
    """Whether a mart accounts for as many games as its sources have."""
    text = "" if found == expected else f"it counts {found} games where its sources have {expected}"
    return Finding("row_counts", passed=found == expected, metadata={"games": found, "expected": expected}, text=text)


def newest_row(newest: datetime | None, limit: timedelta) -> Finding:
    """The data's own age, since a freshness policy only sees when something last ran; a warning, never a failure."""
    if newest is None:
        return Finding("newest_row", passed=False, text="there is no game yet", severity=dg.AssetCheckSeverity.WARN)
    age = datetime.now(UTC) - newest
    text = "" if age <= limit else f"the newest game is {age.days} days old, the limit is {limit.days}"
    return Finding(
        "newest_row",
        passed=age <= limit,
        metadata={"newest": newest.isoformat(), "age_days": age.days},
        text=text,
        severity=dg.AssetCheckSeverity.WARN,
    )
