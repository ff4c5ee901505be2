"""What the models of several marts share: kinds of columns, with their rules, and rules of whole rows."""

from functools import partial

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.vocabulary import SPEEDS, USER_ID

COLORS = ("white", "black")
ECO = r"^[A-E][0-9]{2}$"

user = partial(pa.Field, str_matches=USER_ID)
speed = partial(pa.Field, isin=SPEEDS, description="Speed, see chess.games")
color = partial(pa.Field, isin=COLORS, description="Colour that the player had")
count = partial(pa.Field, ge=0)
maybe = partial(pa.Field, nullable=True)
amount = partial(pa.Field, nullable=True, ge=0)
percent = partial(pa.Field, nullable=True, in_range={"min_value": 0, "max_value": 100})


class ResultsAddUp(pa.DataFrameModel):
    """For models that count finished games: each was won, drawn or lost."""

    @pa.dataframe_check
    @classmethod
    def results_add_up(cls, data: PolarsData) -> pl.LazyFrame:
        """Whether each game is counted once. Its name is the rule's: pandera forgets another one in subclasses."""
        return data.lazyframe.select(pl.col("n_games") == pl.sum_horizontal("n_wins", "n_draws", "n_losses"))


class OutcomesAddUp(pa.DataFrameModel):
    """For models that count finished games by who won: White, nobody or Black."""

    @pa.dataframe_check
    @classmethod
    def results_add_up(cls, data: PolarsData) -> pl.LazyFrame:
        """Whether each game is counted once."""
        return data.lazyframe.select(pl.col("n_games") == pl.sum_horizontal("n_white_wins", "n_draws", "n_black_wins"))
