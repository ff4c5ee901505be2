"""Plugins: one file = one analytic = one asset. What one is: contract.py, kinds.py, engines.py; how: discovery.py."""

from plugins.contract import Need, Plugin, PluginError, Spread
from plugins.discovery import CHESS, ENTRY_POINT_GROUP, discover
from plugins.engines import Analysis, EnginePlugin
from plugins.kinds import ColumnPlugin, GamePlugin, sql

__all__ = [
    "CHESS",
    "ENTRY_POINT_GROUP",
    "Analysis",
    "ColumnPlugin",
    "EnginePlugin",
    "GamePlugin",
    "Need",
    "Plugin",
    "PluginError",
    "Spread",
    "discover",
    "sql",
]
