"""SQL that consumers call in the published database: the games of one player. No extension is needed."""

# Two looks, each by one column, since DuckDB reads every row where either column may have the player: an OR finds
# neither the Bloom filters of the files nor their dictionaries.
_GAMES_SQL = """
SELECT 'white' AS val_color, games.* FROM chess.games AS games WHERE id_user_white = lower(player)
UNION ALL
SELECT 'black' AS val_color, games.* FROM chess.games AS games
WHERE id_user_black = lower(player) AND id_user_white IS DISTINCT FROM lower(player)
"""

MACROS = (
    f"CREATE MACRO main.games_of(player) AS TABLE {_GAMES_SQL}",
    "COMMENT ON MACRO TABLE main.games_of IS 'Games of a player: chess.games, with the colour that the player had'",
)
"""SQL that a published database runs when it is made, once it has the view chess.games."""
