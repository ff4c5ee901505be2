"""Chess on Lichess: sources, cleaned games, analytics and marts."""
