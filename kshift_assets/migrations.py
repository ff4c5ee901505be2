"""How tables of older lakes become those of this code; the lake as the graph and the commands open it.

A table whose columns change needs a migration here, unless it is made anew as a whole each time (marts, openings, …) or
has a version of its own (analytics). `docs/migrations.md` tells how to write one; a test fails where one is missing.
"""

import dagster as dg
import polars as pl

from kshift_assets.chess.tables import GAMES
from resources.lake import Lake
from resources.migrations import Migration, Migrations, newest
from resources.settings import Settings
from resources.table_changes import Added, Change

MIGRATIONS = (
    Migration(
        2,
        "chess.games has the engine's better moves",
        (Change(GAMES.full_name, (Added("arr_best", pl.List(pl.String())),)),),
    ),
)


class MigratedLake(Lake):
    """A lake that no asset gets to see before its tables are those of this code."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002  # Dagster's signature
        """Once in each run, whoever launched it. Raises UserError where `kshift migrate` or an update is needed."""
        migrations(self).open()


def migrations(lake: Lake) -> Migrations:
    """The migrations of this code, for a lake."""
    return Migrations(lake, MIGRATIONS)


def lake_of(settings: Settings) -> Lake:
    """The lake of these settings, as it is."""
    return MigratedLake(uri=settings.lake_uri, layout=newest(MIGRATIONS))


def open_lake(settings: Settings) -> Lake:
    """The lake of these settings. Raises UserError if it is of a newer version, or takes `kshift migrate` first."""
    lake = lake_of(settings)
    migrations(lake).check()
    return lake
