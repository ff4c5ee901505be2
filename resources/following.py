"""Whom to follow and how: the settings of ingestion, as a resource."""

import dagster as dg


class Following(dg.ConfigurableResource["Following"]):
    """The configured players, and how their games are asked for."""

    players: list[str]
    page_games: int
    lookback_days: int
