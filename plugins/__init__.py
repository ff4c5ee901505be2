"""Plugins: one file = one analytic = one asset. What one must be: contract.py; how it is found: discovery.py."""

from plugins.contract import Need, Plugin, PluginError
from plugins.discovery import CHESS, ENTRY_POINT_GROUP, discover

__all__ = ["CHESS", "ENTRY_POINT_GROUP", "Need", "Plugin", "PluginError", "discover"]
