"""Who plays whom, as a graph: its nodes, with their degrees, components and nearest tracked players."""

import duckdb
import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.columns import amount, maybe, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.network import network_of, tracked_players
from kshift_assets.chess.marts.opponent_network import PAIRS


class OpponentNodes(pa.DataFrameModel):
    """Players who met others: the nodes of marts.opponent_network, and their way to the nearest tracked player.

    Components and ways are those of the whole network: they are searched anew, from the pairs of all months.
    """

    id_user: str = user(unique=True, description="User id, lower case")
    n_opponents: pl.Int64 = pa.Field(ge=1, description="Different opponents in finished games: the degree")
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games against them: the weighted degree")
    id_component: str = pa.Field(
        description="The part of the network that hangs together with this player, named after its first player by the "
        "alphabet"
    )
    n_component_players: pl.Int64 = pa.Field(ge=2, description="Players of that part")
    n_steps_tracked: pl.Int32 = amount(
        description="Steps from opponent to opponent to the nearest tracked player, 0 for these; null out of reach"
    )
    id_user_tracked: str = maybe(description="That tracked player; one of them, if several are as near")

    @pa.dataframe_check(name="degree_within_games")
    @classmethod
    def _degree_within_games(cls, data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("n_opponents") <= pl.col("n_games"))


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Add `network_nodes`: id_user, id_component, n_steps, id_user_tracked."""
    network = network_of(connection)
    nodes = network.components().join(network.nearest(tracked_players(connection)), on="id_user", how="left")
    connection.register("network_nodes", nodes.to_arrow())


SQL = """
WITH pairs AS (
    SELECT id_user, id_opponent, sum(n_games) AS n_games FROM partials.pairs GROUP BY ALL
),
degrees AS (
    SELECT id_user, count(*) AS n_opponents, sum(n_games) AS n_games
    FROM (SELECT id_user, n_games FROM pairs UNION ALL SELECT id_opponent, n_games FROM pairs)
    GROUP BY ALL
)
SELECT id_user, n_opponents, n_games, id_component,
    count(*) OVER (PARTITION BY id_component) AS n_component_players,
    n_steps AS n_steps_tracked, id_user_tracked
FROM degrees JOIN network_nodes USING (id_user)
ORDER BY id_user
"""

mart = Mart(
    name="opponent_nodes",
    model=OpponentNodes,
    sql=SQL,
    partials=(PAIRS,),
    reads=("lichess.players_frontier",),
    account=Account("games of pairs, from either side", pl.col("n_games").sum(), counted("n_meetings", 2)),
    prepare=prepare,
)
