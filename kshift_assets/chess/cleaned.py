"""The cleaned layer: every game once, typed and validated, and beside it what was rejected, with every reason."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_CHANGE
from kshift_assets.chess.cleaning import Tally, clean_month
from kshift_assets.chess.kept_games import is_thinned, with_kept
from kshift_assets.chess.tables import DUMP_GAMES, GAMES, PLAYER_GAMES, REJECTED_GAMES, TV_GAMES
from kshift_assets.partitions import MONTHS
from kshift_assets.reporting import (
    OWNER,
    AuditFailed,
    Finding,
    Report,
    check,
    refuse,
    report,
    schema_check,
    table_metadata,
)
from kshift_assets.spool import Spool
from kshift_assets.tables import polars_schema, summary
from resources.commits import LostRace
from resources.lake import Lake

# A share of rejected games above the first is worth a look, above the second the source itself is broken: these are
# two checks, since a blocking check that fails stops what follows even where it only warns.
REJECTED_WARNING, REJECTED_FAILURE = 0.01, 0.5
SMALL_MONTH = 20
# So many rows are worked on at once: more take more memory, fewer more time.
ROWS_AT_ONCE = 20_000


@dg.multi_asset(
    name="clean_games",
    specs=[
        dg.AssetSpec(
            table.key,
            deps=[PLAYER_GAMES.key, TV_GAMES.key, DUMP_GAMES.key],
            partitions_def=MONTHS,
            group_name="chess/cleaned",
            description=summary(table.model),
            kinds={"python", "polars", "deltalake"},
            owners=[OWNER],
            tags={"layer": "cleaned", "domain": "chess"},
            metadata=table_metadata(table, clean_month),
            code_version="2",
            automation_condition=ON_CHANGE,
        )
        for table in (GAMES, REJECTED_GAMES)
    ],
    check_specs=[
        schema_check(GAMES),
        check(GAMES, "unique_id_game", "Every game has one row."),
        check(GAMES, "row_counts", "Rows of the sources = games + rejected rows + older versions and repetitions."),
        check(
            GAMES,
            "mostly_accepted",
            f"At most {REJECTED_FAILURE:.0%} of the games are rejected, else nothing is written.",
        ),
        check(GAMES, "rejected_share", f"At most {REJECTED_WARNING:.0%} of the games are rejected.", blocking=False),
        schema_check(REJECTED_GAMES),
    ],
)
def clean_games(context: dg.AssetExecutionContext, lake: Lake) -> Iterator[Report]:
    """One pass over a month of all sources: good rows stream into chess.games, the others to chess.rejected_games."""
    month = context.partition_key
    audit, rejected = Audit(GAMES.model, unique="id_game"), Audit(REJECTED_GAMES.model)
    tally = Tally()

    def games(bad_rows: Spool) -> Iterator[pl.DataFrame]:
        nonlocal tally
        tally = Tally()
        bad_rows.clear()
        thinned = is_thinned(lake, month)
        players = lake.scan(PLAYER_GAMES.full_name, polars_schema(PLAYER_GAMES.model), month).collect()
        dumps = lake.batches(DUMP_GAMES.full_name, polars_schema(DUMP_GAMES.model), month, rows=ROWS_AT_ONCE)
        televised = lake.batches(TV_GAMES.full_name, polars_schema(TV_GAMES.model), month, rows=ROWS_AT_ONCE)

        def good_rows() -> Iterator[pl.DataFrame]:
            for good, bad in clean_month(players, dumps, tally, televised):
                bad_rows.add(bad)
                yield good

        if thinned:
            stored = lake.batches(GAMES.full_name, polars_schema(GAMES.model), month, rows=ROWS_AT_ONCE)
            yield from with_kept(good_rows(), stored, tally)
        else:
            yield from good_rows()
            if is_thinned(lake, month):
                raise LostRace(f"documents of {month} were removed while they were cleaned")
        for finding in (row_counts(tally), mostly_accepted(tally)):
            if not finding.passed:
                raise AuditFailed(finding)

    try:
        with Spool(polars_schema(REJECTED_GAMES.model)) as bad_rows:
            written = lake.overwrite(
                GAMES.full_name, lambda: audit.watch(games(bad_rows)), polars_schema(GAMES.model), month
            )
            lake.overwrite(
                REJECTED_GAMES.full_name,
                lambda: rejected.watch(bad_rows.frames()),
                polars_schema(REJECTED_GAMES.model),
                month,
            )
    except AuditFailed as failed:
        yield from refuse(GAMES.key, failed.finding)
        return
    findings = [*audit.findings(), row_counts(tally), mostly_accepted(tally), rejected_share(tally)]
    yield from report(context, GAMES.key, written.n_rows, findings, vars(tally))
    yield from report(context, REJECTED_GAMES.key, rejected.n_rows, rejected.findings())


def row_counts(tally: Tally) -> Finding:
    """Whether every row of the sources is accounted for."""
    text = f"{tally.n_lost} rows of the sources are not accounted for" if tally.n_lost else ""
    return Finding("row_counts", passed=not tally.n_lost, metadata=dict(vars(tally)), text=text)


def mostly_accepted(tally: Tally) -> Finding:
    """Whether the source as a whole can be believed; a month of few games always is."""
    total = tally.n_games + tally.n_kept + tally.n_rejected
    passed = tally.n_rejected <= REJECTED_FAILURE * total or total < SMALL_MONTH
    text = "" if passed else f"{tally.n_rejected} of {total} games would be rejected: the source itself is broken"
    return Finding("mostly_accepted", passed=passed, metadata={"rejected": tally.n_rejected, "games": total}, text=text)


def rejected_share(tally: Tally) -> Finding:
    """How many of the games were rejected, with a warning above a little."""
    total = tally.n_games + tally.n_kept + tally.n_rejected
    share = tally.n_rejected / total if total else 0.0
    text = f"{tally.n_rejected} of {total} games were rejected ({share:.1%})" if share > REJECTED_WARNING else ""
    return Finding(
        "rejected_share",
        passed=share <= REJECTED_WARNING,
        metadata={"share": share, "rejected": tally.n_rejected, "games": total},
        text=text,
        severity=dg.AssetCheckSeverity.WARN,
    )
