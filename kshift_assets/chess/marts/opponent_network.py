"""Who plays whom, as a graph: its edges. The nodes stand in opponent_nodes."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.marts.columns import count, user
from kshift_assets.chess.marts.counts import counted
from kshift_assets.chess.marts.mart import Account, Mart
from kshift_assets.chess.marts.partial import Partial
from kshift_assets.chess.vocabulary import Utc


class OpponentNetwork(pa.DataFrameModel):
    """Pairs of players who met, each pair once: the edges of the network, weighted by finished games."""

    id_user: str = user(description="User id of one of the two, the one that comes first by the alphabet")
    id_opponent: str = user(description="User id of the other")
    n_games: pl.Int64 = pa.Field(ge=1, description="Finished games between the two: the weight of the edge")
    n_games_rated: pl.Int64 = count(description="Of these, rated games")
    n_points: pl.Float64 = count(description="Points of `id_user` in these games; the other made the rest")
    tm_first: Utc = pa.Field(description="When the first of these games was created")
    tm_last: Utc = pa.Field(description="When the newest of these games was created")

    @pa.dataframe_check(name="each_pair_once")
    @classmethod
    def _each_pair_once(cls, data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("id_user") < pl.col("id_opponent"))

    @pa.dataframe_check(name="points_within_games")
    @classmethod
    def _points_within_games(cls, data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("n_points") <= pl.col("n_games"))


PAIRS = Partial(
    name="pairs",
    sql="""
SELECT least(id_user_white, id_user_black) AS id_user,
    greatest(id_user_white, id_user_black) AS id_opponent,
    count(*) AS n_games,
    count(*) FILTER (ind_rated) AS n_games_rated,
    sum(CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(id_user_white < id_user_black, '1-0', '0-1') THEN 1 ELSE 0 END)
        ::DOUBLE AS n_points,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last
FROM chess.games
WHERE val_result <> '*' AND id_user_white <> id_user_black
GROUP BY ALL
ORDER BY id_user
""",
    reads=("chess.games",),
)

SQL = """
SELECT id_user, id_opponent,
    sum(part.n_games) AS n_games,
    sum(part.n_games_rated) AS n_games_rated,
    sum(part.n_points) AS n_points,
    min(part.tm_first) AS tm_first,
    max(part.tm_last) AS tm_last
FROM partials.pairs AS part
GROUP BY ALL
ORDER BY ALL
"""

mart = Mart(
    name="opponent_network",
    model=OpponentNetwork,
    sql=SQL,
    partials=(PAIRS,),
    account=Account("games of pairs", pl.col("n_games").sum(), counted("n_meetings")),
)
