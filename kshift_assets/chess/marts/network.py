"""Players as a graph: who is connected with whom, and over how many steps. SciPy's algorithms on plain frames.

Everything here is linear in players and pairs, but for `distances`, which is so for each player that it starts from.
"""

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import polars as pl

PAIRS_SQL = "SELECT DISTINCT id_user, id_opponent FROM partials.pairs"
TRACKED_SQL = "SELECT id_user FROM lichess.players_frontier WHERE n_depth = 0 ORDER BY n_games_stored DESC, id_user"


class Network:
    """Players, numbered in the order of the alphabet, and the pairs that met, each once."""

    def __init__(self, pairs: pl.DataFrame) -> None:
        from scipy.sparse import coo_array  # noqa: PLC0415  # a quarter of a second, which every loading would wait

        self.players = pl.concat([pairs["id_user"], pairs["id_opponent"].alias("id_user")]).unique().sort()
        numbers = pl.DataFrame({"id_user": self.players}).with_row_index("n")
        ends = [
            pairs.select(id_user=column).join(numbers, on="id_user", how="left", maintain_order="left")["n"].to_numpy()
            for column in ("id_user", "id_opponent")
        ]
        size = self.players.len()
        self._graph: Any = coo_array((np.ones(pairs.height, np.int8), tuple(ends)), shape=(size, size)).tocsr()

    def components(self) -> pl.DataFrame:
        """Player → `id_component`: the first by the alphabet of all who are connected with the player."""
        from scipy.sparse.csgraph import connected_components  # noqa: PLC0415  # see above

        _, labels = connected_components(self._graph, directed=False)
        frame = pl.DataFrame({"id_user": self.players, "label": labels})
        return frame.select("id_user", id_component=pl.col("id_user").min().over("label"))

    def nearest(self, starts: Sequence[str]) -> pl.DataFrame:
        """Player → `n_steps` to the nearest of `starts`, and which that is; players out of reach are left out."""
        known = self._numbers(starts)
        if not known:
            return pl.DataFrame(schema={"id_user": pl.String, "n_steps": pl.Int32, "id_user_tracked": pl.String})
        from scipy.sparse.csgraph import dijkstra  # noqa: PLC0415  # see above

        steps, _, sources = dijkstra(
            self._graph, directed=False, indices=known, unweighted=True, min_only=True, return_predecessors=True
        )
        reached = np.flatnonzero(np.isfinite(steps))
        return pl.DataFrame(
            {
                "id_user": self.players.gather(reached),
                "n_steps": steps[reached].astype(np.int32),
                "id_user_tracked": self.players.gather(sources[reached]),
            }
        )

    def distances(self, start: str, farthest: int) -> pl.DataFrame:
        """Player → `n_steps` from `start`, of those at most `farthest` away; no rows if `start` met nobody."""
        known = self._numbers([start])
        if not known:
            return pl.DataFrame(schema={"id_user": pl.String, "n_steps": pl.Int32})
        from scipy.sparse.csgraph import dijkstra  # noqa: PLC0415  # see above

        steps = dijkstra(self._graph, directed=False, indices=known[0], unweighted=True, limit=farthest)
        reached = np.flatnonzero(np.isfinite(steps))
        return pl.DataFrame({"id_user": self.players.gather(reached), "n_steps": steps[reached].astype(np.int32)})

    def _numbers(self, players: Sequence[str]) -> list[int]:
        return list(np.flatnonzero(self.players.is_in(list(players)).to_numpy()))


def network_of(connection: duckdb.DuckDBPyConnection) -> Network:
    """The network of all pairs that finished a game."""
    return Network(connection.sql(PAIRS_SQL).pl())


def tracked_players(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Who is tracked, those with most games first."""
    return [row[0] for row in connection.execute(TRACKED_SQL).fetchall()]
