"""How many moves a player made in each phase of a game, in SQL over the columns of analytics.phases.

A ply belongs to the phase of the position after it, as in plugins/chess/phases.py.
"""

PHASES = ("opening", "middlegame", "endgame")

FIRST_PLY = "if(is_white <> coalesce(contains(val_initial_fen, ' b '), false), 1, 2) AS first_ply"
"""The ply of the player's first move; for `player_games(others=…)`, as are the rest of the columns below."""

COLUMNS = (FIRST_PLY, "n_plies", "n_middlegame_ply", "n_endgame_ply", "n_plies_opening IS NOT NULL AS has_phases")

BORDERS = (
    "0",
    "greatest(0, coalesce(n_middlegame_ply, n_endgame_ply, n_plies + 1) - 1)",
    "greatest(0, coalesce(n_endgame_ply, n_plies + 1) - 1)",
    "n_plies",
)
"""The last ply before each phase, and the last of the game."""


def plies_within(plies: str, phase: str) -> str:
    """How many elements of the list `plies` lie in that phase."""
    before, last = _borders(phase)
    return f"len(list_filter({plies}, lambda ply: ply > {before} AND ply <= {last}))"


def moves_within(phase: str) -> str:
    """How many moves the player made in that phase."""
    before, last = _borders(phase)
    return f"(({last} - first_ply + 2) // 2 - ({before} - first_ply + 2) // 2)"


def _borders(phase: str) -> tuple[str, str]:
    place = PHASES.index(phase)
    return BORDERS[place], BORDERS[place + 1]
