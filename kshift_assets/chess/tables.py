"""The chess tables that assets make: names and models in one list for every layer."""

from kshift_assets.chess.schemas import (
    DumpGames,
    Fetches,
    Games,
    OpeningResults,
    PlayerGames,
    PlayerSummary,
    RejectedGames,
)
from kshift_assets.reporting import Table

PLAYER_GAMES = Table("lichess", "player_games", PlayerGames)
DUMP_GAMES = Table("lichess", "dump_games", DumpGames)
FETCHES = Table("lichess", "fetches", Fetches)
GAMES = Table("chess", "games", Games)
REJECTED_GAMES = Table("chess", "rejected_games", RejectedGames)
PLAYER_SUMMARY = Table("marts", "player_summary", PlayerSummary)
OPENING_RESULTS = Table("marts", "opening_results", OpeningResults)

# Every table above, also those that other places add.
TABLES: tuple[Table, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Table))
