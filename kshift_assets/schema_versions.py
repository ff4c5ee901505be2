"""Which columns the tables have at which version: the code is held against it, so that no change is forgotten.

What belongs here: tables whose rows outlive a change of the code. Marts and openings are made anew as a whole.
"""

from collections.abc import Iterable, Sequence
from typing import TypedDict

import polars as pl

from kshift_assets.chess.analytic_months import analytic_table
from kshift_assets.chess.dump_units import DUMP_UNITS
from kshift_assets.chess.engine_assets import engine_table
from kshift_assets.chess.engine_cache import ENGINE_POSITIONS
from kshift_assets.chess.positions import POSITIONS
from kshift_assets.chess.tables import TABLES
from kshift_assets.chess.tracking import SCHEMA as TRACKED_COLUMNS
from kshift_assets.chess.tracking import TABLE as TRACKED
from kshift_assets.ops.tables import RUN_STEPS, RUNS
from kshift_assets.tables import polars_schema
from plugins import EnginePlugin, Plugin
from resources.migrations import Migration, newest

_COLOCATED = (DUMP_UNITS, ENGINE_POSITIONS, POSITIONS, RUNS, RUN_STEPS)
TYPES: dict[str, pl.DataType] = {
    str(dtype): dtype
    for dtype in (
        *(pl.String(), pl.Boolean(), pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64()),
        *(pl.Date(), pl.Datetime("us", "UTC"), pl.List(pl.Int16()), pl.List(pl.Int32()), pl.List(pl.String())),
    )
}


class Versions(TypedDict):
    """The version of the lake, table → version of the plugin that makes it anew, and table → column → type."""

    version: int
    plugins: dict[str, str]
    tables: dict[str, dict[str, str]]


def schema_versions(known: Sequence[Migration], plugins: Sequence[Plugin]) -> Versions:
    """What the code says today."""
    own = {table.full_name: polars_schema(table.model) for table in (*TABLES, *_COLOCATED)} | {TRACKED: TRACKED_COLUMNS}
    versions = {_table_of(one): one.version for one in plugins if not isinstance(one, EnginePlugin)}
    own |= {_table_of(plugin): _columns_of(plugin) for plugin in plugins}
    columns = {name: {column: str(dtype) for column, dtype in schema.items()} for name, schema in own.items()}
    return Versions(version=newest(known), plugins=versions, tables=dict(sorted(columns.items())))


def forgotten(before: Versions, now: Versions, known: Sequence[Migration]) -> list[str]:
    """Tables whose columns are others than before although no migration, and no plugin's version, says so."""
    found = []
    for table, columns in before["tables"].items():
        if table not in now["tables"] or before["plugins"].get(table) != now["plugins"].get(table):
            continue
        schema = pl.Schema({name: TYPES[dtype] for name, dtype in columns.items()})
        for migration in known:
            for change in migration.changes if migration.number > before["version"] else ():
                schema = change.schema_after(schema) if change.table == table else schema
        if {name: str(dtype) for name, dtype in schema.items()} != now["tables"][table]:
            found.append(table)
    return found


def _table_of(plugin: Plugin) -> str:
    return f"analytics.{plugin.name}"


def _columns_of(plugin: Plugin) -> pl.Schema:
    table = engine_table(plugin) if isinstance(plugin, EnginePlugin) else analytic_table(plugin)
    return polars_schema(table.model)


def told(tables: Iterable[str]) -> str:
    """What to do about forgotten tables, in a sentence."""
    return f"write a migration, or raise the plugin's version, for {', '.join(tables)}: see docs/migrations.md"
