"""The chess marts: tables that answer what is asked most. One file = one mart: its model, its SQL, its rules."""

from collections.abc import Collection

from kshift_assets.chess.marts import opening_results, player_summary
from kshift_assets.chess.marts.mart import Mart, mart_asset

__all__ = ["MARTS", "Mart", "mart_asset", "marts_over"]

MARTS: tuple[Mart, ...] = (
    player_summary.mart,
    opening_results.mart,
)


def marts_over(tables: Collection[str]) -> list[Mart]:
    """The marts that can be made from these tables: a graph with other plugins lacks some analytics."""
    return [mart for mart in MARTS if set(mart.reads) <= set(tables)]
