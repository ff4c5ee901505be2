"""The chess marts: tables that answer what is asked most. One file = one mart: its model, its SQL, its rules."""

from collections.abc import Collection

from kshift_assets.chess.marts import (
    completeness,
    head_to_head,
    opening_bands,
    opening_results,
    opponent_distances,
    opponent_dossier,
    opponent_network,
    opponent_nodes,
    peers,
    player_form,
    player_openings,
    player_sessions,
    player_summary,
    time_management,
)
from kshift_assets.chess.marts.mart import Mart, mart_asset

__all__ = ["MARTS", "Mart", "mart_asset", "marts_over"]

MARTS: tuple[Mart, ...] = (
    player_summary.mart,
    opening_results.mart,
    opening_bands.mart,
    player_form.mart,
    player_openings.mart,
    opponent_dossier.mart,
    head_to_head.mart,
    time_management.mart,
    peers.mart,
    opponent_network.mart,
    opponent_nodes.mart,
    opponent_distances.mart,
    completeness.mart,
    player_sessions.mart,
)


def marts_over(tables: Collection[str]) -> list[Mart]:
    """The marts that can be made from these tables: a graph with other plugins lacks some analytics."""
    return [mart for mart in MARTS if set(mart.sources) <= set(tables)]
