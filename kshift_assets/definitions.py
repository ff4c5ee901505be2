"""The asset graph, wired in one place: the only Definitions, made by one builder."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg

from kshift_assets.catching_up import monthly_keys
from kshift_assets.chess.analytic_months import analytic_table
from kshift_assets.chess.analytics import analytic_asset
from kshift_assets.chess.cleaned import clean_games
from kshift_assets.chess.dump_source import dump_games
from kshift_assets.chess.engine_assets import engine_asset, engine_table
from kshift_assets.chess.frontier import players_frontier
from kshift_assets.chess.marts import MARTS, mart_asset, marts_over
from kshift_assets.chess.opening_differences import OPENING_DIFFERENCES, opening_differences
from kshift_assets.chess.openings import OPENINGS, openings
from kshift_assets.chess.positions import POSITIONS, positions
from kshift_assets.chess.profiles import players, rating_histories, user_profiles
from kshift_assets.chess.seen_games import COLUMNS, ENGINE_EVAL
from kshift_assets.chess.sources import fetches, pending_games, player_games
from kshift_assets.chess.tables import (
    DUMP_GAMES,
    FETCHES,
    GAMES,
    PENDING_GAMES,
    PLAYER_GAMES,
    PLAYERS,
    PLAYERS_FRONTIER,
    RATING_HISTORIES,
    REJECTED_GAMES,
    TABLES,
    TV_GAMES,
    TV_RUNNING,
    USER_PROFILES,
)
from kshift_assets.chess.tv import tv_games, tv_running
from kshift_assets.executors import executor_of
from kshift_assets.migrations import lake_of
from kshift_assets.ops.history import run_history
from kshift_assets.ops.maintenance import maintenance
from kshift_assets.ops.retention import retention
from kshift_assets.ops.tables import RUN_STEPS, RUNS
from kshift_assets.ops.watch import GB, Watch
from kshift_assets.published import SNAPSHOT_KEY, VIEWS, snapshot_asset
from kshift_assets.reporting import Table
from plugins import EnginePlugin, Plugin, PluginError, discover
from resources.alert_settings import alerts_of
from resources.breaker import Patience
from resources.dumps import Dumps
from resources.engine import Engine
from resources.errors import UserError
from resources.following import Following
from resources.http import NO_TOKEN, Access, user_agent
from resources.lichess import Lichess
from resources.memory import bound_memory
from resources.retention import Retention, Rules
from resources.settings import Settings, load_settings
from resources.snapshots import Snapshots
from resources.workbench import Workbench
from resources.workers import Workers
from sensors.alarms import alarms
from sensors.analytics import analytics_job, nightly_analytics
from sensors.automation import AUTOMATION
from sensors.freshness import freshness_alerts
from sensors.ingestion import INGEST_JOB, hourly_ingest
from sensors.maintenance import MAINTENANCE_JOB, weekly_maintenance
from sensors.profiles import PROFILES_JOB, daily_profiles
from sensors.tv import TV_JOB, watch_tv_every_minute

# Tables whose model stands beside the asset that makes them.
COLOCATED = (OPENINGS, OPENING_DIFFERENCES, POSITIONS)


def build(settings: Settings, plugins: Sequence[Plugin] | None = None) -> dg.Definitions:
    """The whole graph for these settings; tests pass their own settings, and plugins where they want others."""
    found = find_plugins() if plugins is None else plugins
    tables = {table.full_name: table for table in [*TABLES, *COLOCATED, *map(_table_of, found)]}
    chess_marts = marts_over(tables)
    window = settings.max_age
    freshness = dg.FreshnessPolicy.time_window(fail_window=window, warn_window=window * 0.9)
    age = timedelta(days=settings.data_age_days)
    assets = [
        player_games,
        tv_games,
        dump_games,
        user_profiles,
        rating_histories,
        clean_games,
        players,
        players_frontier,
        openings,
        opening_differences,
        positions,
        *_analytics(found),
        *(mart_asset(mart, tables, freshness, age) for mart in chess_marts),
    ]
    consumer = consumer_tables(found)
    blocking = [spec for asset in assets for spec in asset.check_specs if spec.blocking]
    snapshot = snapshot_asset(consumer, blocking, freshness, carried=[RUNS.key, RUN_STEPS.key])
    made = [*assets, run_history, snapshot]
    watch = watch_of(settings, made)
    monthly = monthly_keys(assets)
    catch_up = analytics_job(monthly)
    at_first = dg.DefaultScheduleStatus.RUNNING if settings.schedules == "on" else dg.DefaultScheduleStatus.STOPPED
    return dg.Definitions(
        assets=[*made, maintenance, retention, tv_running, fetches, pending_games],
        jobs=[INGEST_JOB, TV_JOB, PROFILES_JOB, MAINTENANCE_JOB, catch_up],
        schedules=[
            hourly_ingest(at_first),
            nightly_analytics(catch_up, monthly, at_first),
            daily_profiles(at_first),
            weekly_maintenance(at_first),
        ],
        sensors=[AUTOMATION, freshness_alerts(watch.promised), *alarms(watch), watch_tv_every_minute],
        resources=outside_world(settings),
        executor=executor_of(settings),
    )


def consumer_tables(plugins: Sequence[Plugin]) -> list[Table]:
    """Every table that consumers may read, sources first."""
    analytics = [_table_of(plugin) for plugin in plugins]
    return [
        PLAYER_GAMES,
        TV_GAMES,
        TV_RUNNING,
        DUMP_GAMES,
        FETCHES,
        PENDING_GAMES,
        PLAYERS_FRONTIER,
        USER_PROFILES,
        RATING_HISTORIES,
        GAMES,
        REJECTED_GAMES,
        PLAYERS,
        *COLOCATED,
        *analytics,
        *(mart.table for mart in marts_over({table.full_name for table in [*TABLES, *COLOCATED, *analytics]})),
        RUNS,
        RUN_STEPS,
    ]


def _analytics(plugins: Sequence[Plugin]) -> list[dg.AssetsDefinition]:
    asking = [plugin for plugin in plugins if isinstance(plugin, EnginePlugin)]
    engines = [engine_table(plugin).key for plugin in asking if engine_table(plugin).full_name == ENGINE_EVAL]
    others = [analytic_asset(plugin, engines) for plugin in plugins if plugin not in asking]
    return [*others, *map(engine_asset, asking)]


def _table_of(plugin: Plugin) -> Table:
    return engine_table(plugin) if isinstance(plugin, EnginePlugin) else analytic_table(plugin)


def find_plugins() -> list[Plugin]:
    """Every plugin of this installation; a broken one raises UserError with a sentence that names its file."""
    taken = {
        *(table.name for table in (*TABLES, *COLOCATED, *VIEWS, RUNS, RUN_STEPS)),
        *(mart.name for mart in MARTS),
        SNAPSHOT_KEY.path[-1],
    }
    try:
        return discover(COLUMNS, taken=taken)
    except PluginError as error:
        raise UserError(str(error)) from error


def watch_of(settings: Settings, assets: Sequence[dg.AssetsDefinition]) -> Watch:
    """What these assets promise, and where to look whether it is kept."""
    specs = [spec for asset in assets for spec in asset.specs]
    places = [settings.home, *([] if "://" in settings.lake_uri else [Path(settings.lake_uri)])]
    return Watch(
        promised=[spec.key for spec in specs if spec.freshness_policy],
        checks=[spec for asset in assets for spec in asset.check_specs],
        max_age=settings.max_age,
        state=settings.state,
        folders=[place for place in places if place == settings.home or not place.is_relative_to(settings.home)],
        least_free=settings.disk_free_gb * GB,
        silent=timedelta(minutes=settings.daemon_silent_minutes),
    )


def engine_of(settings: Settings) -> Engine:
    """The chess engine of these settings."""
    return Engine(
        command=settings.engine, nodes=settings.engine_nodes, games=settings.engine_games, workers=settings.workers
    )


def outside_world(settings: Settings) -> dict[str, object]:
    """The resources of these settings."""
    return {
        "lake": lake_of(settings),
        "lichess": Lichess(
            url=settings.lichess_url,
            state=str(settings.state),
            contact=settings.contact,
            access=Access(
                token=settings.lichess_token or NO_TOKEN, patience=Patience(quiet_seconds=settings.quiet_seconds)
            ),
        ),
        "dumps": Dumps(
            folder=str(settings.dump_dir) if settings.dump_dir else None,
            url=settings.lichess_dump_url,
            cache=str(settings.downloads),
            user_agent=user_agent(settings.contact),
        ),
        "duckdb": Workbench(memory_mb=settings.duckdb_memory_mb),
        "snapshots": Snapshots(folder=str(settings.published)),
        "alerts": alerts_of(settings),
        "retention": Retention(days=settings.keep_days),
        "rules": Rules.of(settings),
        "workers": Workers(processes=settings.workers),
        "engine": engine_of(settings),
        "following": Following(
            players=list(settings.players),
            page_games=settings.page_games,
            lookback_days=settings.lookback_days,
            pending_games=settings.pending_games,
            dump_pending=settings.dump_pending,
            profile_days=settings.profile_days,
            profile_budget=settings.profile_budget,
        ),
    }


bound_memory()
defs = build(load_settings())
