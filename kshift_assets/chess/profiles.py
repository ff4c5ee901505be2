"""Who the players are: profiles and rating histories as Lichess sent them, and one typed row a player."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.automation import ON_CHANGE
from kshift_assets.chess.player_rows import player_rows, standings
from kshift_assets.chess.profile_pull import PeopleHarvest, players_to_ask, pull_histories, pull_profiles
from kshift_assets.chess.profile_store import PROFILES_SCHEMA
from kshift_assets.chess.tables import PLAYERS, RATING_HISTORIES, USER_PROFILES
from kshift_assets.chess.tracking import tracked
from kshift_assets.reporting import (
    AT_HOME,
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
from resources.alerts import Alerts
from resources.following import Following
from resources.lake import Lake
from resources.lichess import Lichess


def _source(table: Table, source: object) -> dg.AssetSpec:
    # No dependency on the games that say whom to ask about: it would ask Lichess whenever a game comes in.
    return dg.AssetSpec(
        table.key,
        skippable=True,  # a run that brings nothing new makes nothing anew
        group_name="lichess/sources",
        description=summary(table.model),
        kinds={"python", "lichess", "deltalake"},
        owners=[OWNER],
        tags={"layer": "source", "domain": "chess"},
        metadata=table_metadata(table, source),  # type: ignore[arg-type]  # a function
        code_version="1",
    )


@dg.multi_asset(
    name="user_profiles",
    specs=[_source(USER_PROFILES, pull_profiles)],
    check_specs=[schema_check(USER_PROFILES)],
    op_tags=AT_HOME,
    pool="lichess",
)
def user_profiles(
    context: dg.AssetExecutionContext, lake: Lake, lichess: Lichess, following: Following, alerts: Alerts
) -> Iterator[Report]:
    """Profiles of players who lack one or whose copy is old: the followed ones first, then those with most games."""
    users = players_to_ask(lake, list(tracked(lake, following.players)))
    max_age = timedelta(days=following.profile_days)
    try:
        harvest = pull_profiles(lake, lichess, users, max_age, following.profile_budget, context.log.info)
    except AuditFailed as failed:
        yield from refuse(USER_PROFILES.key, failed.finding)
        return
    yield from _told(context, lake, alerts, USER_PROFILES, harvest)


@dg.multi_asset(
    name="rating_histories",
    specs=[_source(RATING_HISTORIES, pull_histories)],
    check_specs=[schema_check(RATING_HISTORIES)],
    op_tags=AT_HOME,
    pool="lichess",
)
def rating_histories(
    context: dg.AssetExecutionContext, lake: Lake, lichess: Lichess, following: Following, alerts: Alerts
) -> Iterator[Report]:
    """Rating histories of the followed players, each once a day; what was stored stays where Lichess shows nothing."""
    users = list(tracked(lake, following.players))[: following.profile_budget]
    try:
        harvest = pull_histories(lake, lichess, users, context.log.info)
    except AuditFailed as failed:
        yield from refuse(RATING_HISTORIES.key, failed.finding)
        return
    yield from _told(context, lake, alerts, RATING_HISTORIES, harvest)


def _told(
    context: dg.AssetExecutionContext, lake: Lake, alerts: Alerts, table: Table, harvest: PeopleHarvest
) -> Iterator[Report]:
    """Say what a run stored, if the table is another one than Dagster knows, and fail if something went wrong."""
    alerts.judge("contract", table.key.to_user_string(), harvest.broken, "answers are as agreed again")
    n_rows = lake.n_rows(table.full_name)
    records = context.instance.fetch_materializations(table.key, limit=1).records
    event = records[0].asset_materialization if records else None
    # Rows are held to the model before they are stored.
    finding = Finding("schema", passed=True, metadata={"rows": harvest.n_new})
    if harvest.n_new or n_rows != (event.metadata["rows"].value if event else 0):
        metadata = {
            "asked": harvest.n_asked,
            "new": harvest.n_new,
            "left for later": harvest.n_left,
            "requests": harvest.n_requests,
        }
        yield from report(context, table.key, n_rows, [finding], metadata)
    else:
        yield dg.AssetCheckResult(passed=True, asset_key=table.key, check_name=finding.check, metadata=finding.metadata)
    if harvest.problems:
        text = f"{len(harvest.problems)} questions about users failed, first: {harvest.problems[0]}"
        raise dg.Failure(text, allow_retries=False)


@dg.asset(
    key=PLAYERS.key,
    deps=[USER_PROFILES.key],
    group_name="chess/cleaned",
    description=summary(PLAYERS.model),
    kinds={"python", "polars", "deltalake"},
    owners=[OWNER],
    tags={"layer": "cleaned", "domain": "chess"},
    metadata=table_metadata(PLAYERS, player_rows),
    code_version="1",
    automation_condition=ON_CHANGE,
    check_specs=[
        schema_check(PLAYERS),
        check(PLAYERS, "unique_id_user", "Every player has one row."),
        check(PLAYERS, "row_counts", "There are as many players as lichess.user_profiles has users."),
        check(PLAYERS, "odd_values", "No value of a profile has another type than it should.", blocking=False),
    ],
)
def players(context: dg.AssetExecutionContext, lake: Lake) -> Iterator[Report]:
    """The newest facts of each player, read from the profiles piece by piece."""
    heads = lake.scan(USER_PROFILES.full_name, PROFILES_SCHEMA).select("id_user", "val_state", "tm_ingested").collect()
    standing = standings(heads)
    audit = Audit(PLAYERS.model, unique="id_user")
    n_odd = 0

    def rows() -> Iterator[pl.DataFrame]:
        nonlocal n_odd
        n_odd, n_rows = 0, 0
        for batch in lake.batches(USER_PROFILES.full_name, PROFILES_SCHEMA):
            frame, n_odd_here = player_rows(batch, standing)
            n_odd += n_odd_here
            n_rows += frame.height
            yield frame
        if n_rows != standing.height:
            raise AuditFailed(row_counts(n_rows, standing.height))

    try:
        written = lake.overwrite(PLAYERS.full_name, lambda: audit.watch(rows()), polars_schema(PLAYERS.model))
    except AuditFailed as failed:
        yield from refuse(PLAYERS.key, failed.finding)
        return
    findings = [*audit.findings(), row_counts(written.n_rows, standing.height), odd_values(n_odd)]
    yield from report(context, PLAYERS.key, written.n_rows, findings)


def row_counts(found: int, expected: int) -> Finding:
    """Whether every user of the source has a row."""
    text = "" if found == expected else f"{found} players where the source has {expected} users"
    return Finding("row_counts", passed=found == expected, metadata={"players": found, "users": expected}, text=text)


def odd_values(number: int) -> Finding:
    """A warning where values of profiles could not be read: they count as absent."""
    text = f"{number} values of profiles have another type than they should" if number else ""
    return Finding(
        "odd_values", passed=not number, metadata={"values": number}, text=text, severity=dg.AssetCheckSeverity.WARN
    )
