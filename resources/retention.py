"""How long files stay that nothing needs any more."""

from datetime import timedelta

import dagster as dg


class Retention(dg.ConfigurableResource["Retention"]):
    """Days for which readers and writers that are under way may go on with files that were replaced."""

    days: int = 7

    @property
    def grace(self) -> timedelta:
        """The same as a span of time."""
        return timedelta(days=self.days)
