"""The outside world: the lake, the sources, the settings, the alerts."""
