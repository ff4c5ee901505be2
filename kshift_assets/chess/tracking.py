"""Who is followed: the players of the settings and those of `kshift track`, as changes in an append-only table."""

from collections.abc import Iterable
from datetime import UTC, datetime

import polars as pl

from kshift_assets.chess.source_schemas import TrackedPlayers
from kshift_assets.tables import polars_schema
from resources.lake import Lake
from resources.names import user_id

TABLE = "lichess.tracked_players"
SCHEMA = polars_schema(TrackedPlayers)


def say(lake: Lake, names: Iterable[str], *, tracked: bool, depth: int = 0) -> list[str]:
    """Follow or forget players; returns their ids. UserError, and nothing said, if one cannot be a name."""
    ids = list(dict.fromkeys(user_id(name) for name in names))
    frame = pl.DataFrame(
        {"id_user": ids, "ind_tracked": tracked, "n_depth": depth, "tm_changed": datetime.now(UTC)}, schema=SCHEMA
    )
    lake.append(TABLE, frame, SCHEMA)
    return ids


def tracked(lake: Lake, configured: Iterable[str]) -> dict[str, int]:
    """Every followed player's id → depth: what was said last counts, the settings' players are always followed."""
    newest = (
        lake.scan(TABLE, SCHEMA).sort("tm_changed").group_by("id_user").last().filter("ind_tracked").sort("id_user")
    )
    return dict.fromkeys(configured, 0) | dict(newest.select("id_user", "n_depth").collect().iter_rows())


def ever_tracked(lake: Lake) -> list[str]:
    """Everybody of whom anything was said, followed still or not."""
    return lake.scan(TABLE, SCHEMA).select(pl.col("id_user").unique().sort()).collect()["id_user"].to_list()
