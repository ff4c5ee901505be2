"""Plugins: one file = one analytic = one asset. See contract.py and kinds.py for what one is, discovery.py for how."""

from plugins.contract import Need, Plugin, PluginError, Spread
from plugins.discovery import CHESS, ENTRY_POINT_GROUP, discover
from plugins.kinds import ColumnPlugin, GamePlugin, sql

__all__ = [
    "CHESS",
    "ENTRY_POINT_GROUP",
    "ColumnPlugin",
    "GamePlugin",
    "Need",
    "Plugin",
    "PluginError",
    "Spread",
    "discover",
    "sql",
]
