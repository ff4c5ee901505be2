"""The chess tables that assets make, but for analytics and marts: names and models in one list."""

from kshift_assets.chess.schemas import Games, Players, RejectedGames
from kshift_assets.chess.source_schemas import (
    DumpGames,
    Fetches,
    PendingGames,
    PlayerFetches,
    PlayerGames,
    PlayersFrontier,
    RatingHistories,
    TvGames,
    TvRunning,
    UserProfiles,
    UserRequests,
)
from kshift_assets.reporting import Table

PLAYER_GAMES = Table("lichess", "player_games", PlayerGames)
TV_GAMES = Table("lichess", "tv_games", TvGames)
TV_RUNNING = Table("lichess", "tv_running", TvRunning)
DUMP_GAMES = Table("lichess", "dump_games", DumpGames)
FETCHES = Table("lichess", "fetches", Fetches)
PENDING_GAMES = Table("lichess", "pending_games", PendingGames)
PLAYER_FETCHES = Table("lichess", "player_fetches", PlayerFetches, consumer=False)
PLAYERS_FRONTIER = Table("lichess", "players_frontier", PlayersFrontier)
USER_PROFILES = Table("lichess", "user_profiles", UserProfiles)
USER_REQUESTS = Table("lichess", "user_requests", UserRequests, consumer=False)
RATING_HISTORIES = Table("lichess", "rating_histories", RatingHistories)
GAMES = Table("chess", "games", Games)
REJECTED_GAMES = Table("chess", "rejected_games", RejectedGames)
PLAYERS = Table("chess", "players", Players)

# Every table above, also those that other places add.
TABLES: tuple[Table, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Table))
