"""What a mart is, and the asset that makes it: SQL in DuckDB over the lake's files, audited, written as one commit.

What belongs here: what all marts share. Each mart stands in a file of its own beside this one, with its model.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb
import polars as pl
from dagster_duckdb import DuckDBResource

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_SETTLED_CHANGE_OR_NIGHTLY
from kshift_assets.chess.marts.counts import GAME_COUNTS
from kshift_assets.chess.marts.partial import BATCH, Partial, Refreshed, Refresher, open_partial, open_view
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
from kshift_assets.tables import Model, polars_schema, summary
from resources.lake import Lake


@dataclass(frozen=True)
class Account:
    """What a mart must account for: its name, how many the mart's rows stand for, and SQL that counts the sources'."""

    what: str
    rows: pl.Expr
    expected_sql: str


@dataclass(frozen=True, kw_only=True)
class Mart:
    """A mart: its name and model, its SQL, the partials and tables that the SQL names, and what it must account for.

    `partials` are kept month by month; of a table in `reads` all months are read each time. `prepare` may add to the
    connection what SQL alone cannot make, before the SQL runs.
    """

    name: str
    model: Model
    sql: str
    account: Account
    partials: tuple[Partial, ...] = ()
    reads: tuple[str, ...] = ()
    prepare: Callable[[duckdb.DuckDBPyConnection], None] | None = None

    @property
    def table(self) -> Table:
        """`marts.<name>`."""
        return Table("marts", self.name, self.model)

    @property
    def parts(self) -> tuple[Partial, ...]:
        """Its partials, and the counts that every mart is held to."""
        return GAME_COUNTS, *self.partials

    @property
    def sources(self) -> tuple[str, ...]:
        """Every table that it is made from, directly or by way of its partials."""
        return tuple(dict.fromkeys([name for partial in self.parts for name in partial.reads] + [*self.reads]))

    @property
    def text(self) -> str:
        """How it is made: its SQL, and that of its partials."""
        parts = "".join(
            f"\n\n`{partial.view}` keeps of each month:\n```sql{partial.sql}```" for partial in self.partials
        )
        return f"{summary(self.model)}\n\nDuckDB computes it:\n```sql{self.sql}```{parts}"

    def rows(self, connection: duckdb.DuckDBPyConnection) -> Iterator[pl.DataFrame]:
        """The mart's rows in batches, from a connection that has its partials and the tables it reads."""
        schema = polars_schema(self.model)
        if self.prepare:
            self.prepare(connection)
        for batch in connection.sql(self.sql).to_arrow_reader(BATCH):
            yield pl.DataFrame(pl.from_arrow(batch)).select(schema.names()).cast(schema)

    def expected(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How much its rows must account for, by what it is made from."""
        return int(connection.execute(self.account.expected_sql).fetchall()[0][0])


def mart_asset(
    mart: Mart, tables: Mapping[str, Table], freshness: dg.FreshnessPolicy, data_age: timedelta
) -> dg.AssetsDefinition:
    """The asset of a mart; `tables` has every table that it reads, by full name."""
    table, sources = mart.table, [tables[name] for name in mart.sources]

    @dg.asset(
        key=table.key,
        # An optional table is made when somebody asks for it: the mart shows it from its next making on.
        deps=[source.key for source in sources if not source.optional],
        group_name="chess/marts",
        description=mart.text,
        kinds={"duckdb", "sql", "deltalake"},
        owners=[OWNER],
        tags={"layer": "mart", "domain": "chess"},
        metadata=table_metadata(table, table.model),
        code_version="2",
        check_specs=[
            schema_check(table),
            check(table, "row_counts", f"Its {mart.account.what} are as many as its sources have."),
            check(table, "newest_row", f"Its newest game is at most {data_age.days} days old.", blocking=False),
        ],
        freshness_policy=freshness,
        automation_condition=ON_SETTLED_CHANGE_OR_NIGHTLY,
    )
    def build_mart(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Iterator[Report]:
        audit, accounted = Audit(table.model), 0
        refresher = Refresher(lake, sources, duckdb.get_connection)
        refreshed = [refresher.refresh(partial) for partial in mart.parts]
        with duckdb.get_connection() as connection:
            for partial in mart.parts:
                open_partial(connection, partial, lake)
            for name in mart.reads:
                open_view(connection, name, lake.relation_sql(name, polars_schema(tables[name].model)))
            expected = mart.expected(connection)

            def counted() -> Iterator[pl.DataFrame]:
                nonlocal accounted
                accounted = 0
                for frame in audit.watch(mart.rows(connection)):
                    accounted += int(frame.select(mart.account.rows).item())
                    yield frame
                if accounted != expected:
                    raise AuditFailed(row_counts(mart.account.what, accounted, expected))

            try:
                written = lake.overwrite(table.full_name, counted, polars_schema(table.model))
            except AuditFailed as failed:
                yield from refuse(table.key, failed.finding)
                return
            newest = connection.execute(f"SELECT max(tm_last) FROM {GAME_COUNTS.view}").fetchall()[0][0]  # noqa: S608  # our own name
        findings = [
            *audit.findings(),
            row_counts(mart.account.what, accounted, expected),
            newest_row(newest, data_age),
        ]
        metadata = {"version": written.version, mart.account.what: accounted, "months recomputed": months_of(refreshed)}
        yield from report(context, table.key, written.n_rows, findings, metadata)

    return build_mart


def months_of(refreshed: list[Refreshed]) -> str:
    """How many months had to be read again for the partials of a mart, e.g. `1 of 12`."""
    recomputed = {month for one in refreshed for month in one.recomputed}
    return f"{len(recomputed)} of {len({month for one in refreshed for month in one.months})}"


def row_counts(what: str, found: int, expected: int) -> Finding:
    """Whether a mart accounts for as much as its sources have."""
    text = "" if found == expected else f"it counts {found} {what} where its sources have {expected}"
    return Finding("row_counts", passed=found == expected, metadata={what: found, "expected": expected}, text=text)


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
