"""How far everybody is from each tracked player, over the network of opponents."""

import duckdb
import pandera.polars as pa
import polars as pl

from kshift_assets.chess.marts.columns import user
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.network import network_of, tracked_players
from kshift_assets.chess.marts.opponent_network import PAIRS

MOST_PLAYERS = 100
FARTHEST = 4


class OpponentDistances(pa.DataFrameModel):
    """Steps from opponent to opponent to each tracked player: up to 4, for the 100 tracked players with most games.

    They are ways through the whole network: searched anew each time, from the pairs of all months.
    """

    id_user_tracked: str = user(description="The tracked player")
    id_user: str = user(description="The other player; also the tracked player, at 0 steps")
    n_steps: pl.Int32 = pa.Field(
        in_range={"min_value": 0, "max_value": FARTHEST},
        description="Steps between the two: 1 for opponents, 2 for opponents of opponents …",
    )


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Add `network_distances`, one row a pair within reach."""
    network = network_of(connection)
    parts = [
        network.distances(player, FARTHEST).with_columns(id_user_tracked=pl.lit(player))
        for player in tracked_players(connection)[:MOST_PLAYERS]
    ]
    empty = pl.DataFrame(schema={"id_user": pl.String, "n_steps": pl.Int32, "id_user_tracked": pl.String})
    connection.register("network_distances", pl.concat([empty, *parts]).to_arrow())


mart = Mart(
    name="opponent_distances",
    model=OpponentDistances,
    sql="\nSELECT id_user_tracked, id_user, n_steps FROM network_distances ORDER BY ALL\n",
    partials=(PAIRS,),
    reads=("lichess.players_frontier",),
    account=Account(
        "tracked players and their opponents",
        (pl.col("n_steps") <= 1).sum(),
        f"""
        WITH starts AS (
            SELECT id_user FROM lichess.players_frontier
            WHERE n_depth = 0 ORDER BY n_games_stored DESC, id_user LIMIT {MOST_PLAYERS}
        ),
        sides AS (
            SELECT id_user, id_opponent FROM partials.pairs UNION ALL SELECT id_opponent, id_user FROM partials.pairs
        ),
        meetings AS (SELECT DISTINCT id_user, id_opponent FROM sides SEMI JOIN starts USING (id_user))
        SELECT count(*) + count(DISTINCT id_user) FROM meetings
        """,  # noqa: S608  # constants of this module
    ),
    prepare=prepare,
)
