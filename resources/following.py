"""Whom to follow and how: the settings of ingestion, as a resource."""

import dagster as dg


class Following(dg.ConfigurableResource["Following"]):
    """The configured players, and how their games are asked for."""

    players: list[str]
    page_games: int
    lookback_days: int
    pending_games: int = 3_000
    """Unfinished games to ask for by id in a run, at most."""
    dump_pending: str = "tracked"
    """Whose unfinished games of dumps are asked for by id: `none`, `tracked` (players) or `all`."""
    profile_days: int = 30
    """A profile is fetched anew when the copy is older than so many days."""
    profile_budget: int = 3_000
    """Profiles to ask for in a run, at most."""
