"""The columns of cleaned tables and of views: types, meanings and rules, written only here.

What stands in a file of its own has its columns there: sources, analytics, marts, openings and positions.
"""

from types import new_class
from typing import cast

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.game_rules import GameRules
from kshift_assets.chess.perfs import PERFS, RUNS
from kshift_assets.chess.vocabulary import (
    GAME_ID,
    MONTH,
    RESULTS,
    SPEEDS,
    STATUSES,
    TERMINATIONS,
    USER_ID,
    VARIANTS,
    Int16s,
    Int32s,
    Strings,
    Utc,
)


class Games(GameRules):
    """Every game once, typed and validated, whatever brought it here."""

    id_game: str = pa.Field(str_matches=GAME_ID, description="Lichess game id; case matters; `lichess.org/<id>`")
    id_user_white: str = pa.Field(
        nullable=True, str_matches=USER_ID, description="White's user id, lower case; null for anonymous and AI"
    )
    id_user_black: str = pa.Field(
        nullable=True, str_matches=USER_ID, description="Black's user id, lower case; null for anonymous and AI"
    )
    val_name_white: str = pa.Field(nullable=True, description="White's name as displayed; null for anonymous and AI")
    val_name_black: str = pa.Field(nullable=True, description="Black's name as displayed; null for anonymous and AI")
    val_title_white: str = pa.Field(nullable=True, description="White's title, e.g. GM, BOT")
    val_title_black: str = pa.Field(nullable=True, description="Black's title, e.g. GM, BOT")
    n_rating_white: pl.Int16 = pa.Field(
        nullable=True, in_range={"min_value": 100, "max_value": 4500}, description="White's rating before the game"
    )
    n_rating_black: pl.Int16 = pa.Field(
        nullable=True, in_range={"min_value": 100, "max_value": 4500}, description="Black's rating before the game"
    )
    n_rating_diff_white: pl.Int16 = pa.Field(nullable=True, description="What the game changed in White's rating")
    n_rating_diff_black: pl.Int16 = pa.Field(nullable=True, description="What the game changed in Black's rating")
    n_ai_level_white: pl.Int8 = pa.Field(
        nullable=True,
        in_range={"min_value": 1, "max_value": 8},
        description="Stockfish level, where White is the computer",
    )
    n_ai_level_black: pl.Int8 = pa.Field(
        nullable=True,
        in_range={"min_value": 1, "max_value": 8},
        description="Stockfish level, where Black is the computer",
    )
    ind_rated: bool = pa.Field(description="Whether the game was rated")
    val_variant: str = pa.Field(isin=VARIANTS, description="Variant, Lichess's key")
    val_speed: str = pa.Field(isin=SPEEDS, description="Speed by estimated duration (scalachess Speed.scala)")
    val_perf: str = pa.Field(description="Rating category: the speed for standard chess, else the variant")
    val_status: str = pa.Field(
        nullable=True,
        isin=STATUSES,
        description="How the game ended or stands; null where only a dump knows it and does not say",
    )
    val_termination: str = pa.Field(isin=TERMINATIONS, description="PGN's Termination")
    val_result: str = pa.Field(isin=RESULTS, description="1-0, 0-1, 1/2-1/2, or * for unfinished")
    tm_created: Utc = pa.Field(description="When the game was created; whole seconds from dumps")
    tm_last_move: Utc = pa.Field(nullable=True, description="When the last move was made; unknown to dumps")
    dt_game: pl.Date = pa.Field(description="UTC day of tm_created")
    n_clock_initial_s: pl.Int32 = pa.Field(nullable=True, ge=0, description="Initial time, seconds")
    n_clock_increment_s: pl.Int16 = pa.Field(nullable=True, ge=0, description="Increment a move, seconds")
    n_days_per_turn: pl.Int16 = pa.Field(nullable=True, ge=1, description="Days a move, correspondence with a limit")
    val_eco: str = pa.Field(nullable=True, str_matches=r"^[A-E][0-9]{2}$", description="ECO code of the opening")
    val_opening: str = pa.Field(nullable=True, description="Name of the opening")
    n_opening_ply: pl.Int16 = pa.Field(
        nullable=True, ge=0, description="Plies that belong to the opening; unknown to dumps"
    )
    n_plies: pl.Int16 = pa.Field(ge=0, description="Plies played")
    val_moves: str = pa.Field(description="All moves in SAN, blank separated; empty if none was made")
    arr_clock_cs: Int32s = pa.Field(
        nullable=True, description="Time left after each ply, centiseconds; null if the game has no clocks"
    )
    arr_eval_cp: Int32s = pa.Field(
        nullable=True, description="Evaluation after each ply, centipawns, White's view; null if not analysed"
    )
    arr_eval_mate: Int16s = pa.Field(
        nullable=True, description="Moves to mate after each ply, White's view; null if not analysed"
    )
    arr_glyph: Strings = pa.Field(
        nullable=True,
        description="Judgment of each ply as on the site: `?!` inaccuracy, `?` mistake, `??` blunder",
    )
    arr_best: Strings = pa.Field(
        nullable=True,
        description="Engine's best move instead of each ply, UCI, where it is another than the one played; null if the "
        "source names none, as dumps do",
    )
    val_initial_fen: str = pa.Field(nullable=True, description="Starting position where it is not the usual one")
    id_tournament: str = pa.Field(nullable=True, description="Arena tournament id")
    id_swiss: str = pa.Field(nullable=True, description="Swiss tournament id")
    val_source: str = pa.Field(isin=("player", "tv", "dump"), description="The richest source that has the game")
    tm_ingested: Utc = pa.Field(description="When the newest version of it was fetched")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of tm_created")


class RejectedGames(pa.DataFrameModel):
    """Games that break a rule of chess.games or could not be read, with every reason and their text."""

    id_game: str = pa.Field(nullable=True, description="Game id, where it could be read")
    val_source: str = pa.Field(isin=("player", "tv", "dump"), description="Where it came from")
    val_origin: str = pa.Field(description="Dump file and position in it, or id of the request")
    val_reasons: str = pa.Field(description="Every rule it breaks, `; ` between them")
    val_text: str = pa.Field(
        description="The game as it arrived: a document in JSON, a damaged game in PGN, a row of a dump in JSON"
    )
    tm_ingested: Utc = pa.Field(description="When it was fetched")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: month of the source")


class _PlayerFacts(pa.DataFrameModel):
    """Every player whose profile was fetched, once, with ratings by category; closed accounts as last seen."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    val_name: str = pa.Field(nullable=True, description="Name as displayed; null for a user whom Lichess does not know")
    val_title: str = pa.Field(nullable=True, description="Title, e.g. GM, BOT")
    ind_closed: bool = pa.Field(description="Whether the account is closed, or Lichess knows it no more")
    ind_patron: bool = pa.Field(description="Whether the player supports Lichess")
    ind_verified: bool = pa.Field(description="Whether Lichess has verified who it is")
    ind_tos_violation: bool = pa.Field(description="Whether the account is marked for breaking the rules")
    val_flair: str = pa.Field(nullable=True, description="Flair beside the name, Lichess's key")
    val_country: str = pa.Field(nullable=True, description="Flag that the player chose, mostly ISO 3166-1 alpha-2")
    val_location: str = pa.Field(nullable=True, description="Place, as the player wrote it")
    val_real_name: str = pa.Field(nullable=True, description="Real name, as the player wrote it")
    val_bio: str = pa.Field(nullable=True, description="What the player says of themself")
    val_links: str = pa.Field(nullable=True, description="Links, as the player wrote them, one a line")
    n_rating_fide: pl.Int16 = pa.Field(nullable=True, ge=0, description="FIDE rating, as the player wrote it")
    tm_created: Utc = pa.Field(nullable=True, description="When the account was opened")
    tm_seen: Utc = pa.Field(nullable=True, description="When the player was last online")
    n_play_time_s: pl.Int64 = pa.Field(nullable=True, ge=0, description="Time spent playing, seconds")
    n_play_time_tv_s: pl.Int64 = pa.Field(nullable=True, ge=0, description="Time spent on TV, seconds")
    n_games: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games played; null where Lichess left counts out")
    n_games_rated: pl.Int32 = pa.Field(nullable=True, ge=0, description="Rated games played")
    n_games_ai: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games against the computer")
    n_wins: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games won")
    n_draws: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games drawn")
    n_losses: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games lost")
    n_playing: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games in play when it was fetched")
    n_imported: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games imported")
    n_bookmarked: pl.Int32 = pa.Field(nullable=True, ge=0, description="Games bookmarked")
    tm_facts: Utc = pa.Field(description="When the profile that gives these facts was fetched")
    tm_ingested: Utc = pa.Field(description="When the newest version was fetched: later, if the account closed since")


def _with_perfs(facts: type[pa.DataFrameModel]) -> type[pa.DataFrameModel]:
    """The same table with five columns for each rating category, two for each puzzle game."""
    columns: dict[str, tuple[object, object]] = {}
    for key, name in PERFS.items():
        columns |= {
            f"n_rating_{name}": (pl.Int16, _optional(f"Glicko-2 rating in {key}; 1500 where none was played")),
            f"n_rd_{name}": (pl.Int16, _optional(f"Rating deviation in {key}")),
            f"n_games_{name}": (pl.Int32, _optional(f"Rated games in {key}" if key != "puzzle" else "Puzzles tried")),
            f"n_progress_{name}": (
                pl.Int16,
                pa.Field(nullable=True, description=f"Change of the rating in {key} over the last twelve games"),
            ),
            f"ind_provisional_{name}": (
                pl.Boolean,
                pa.Field(nullable=True, description=f"Whether the rating in {key} is provisional"),
            ),
        }
    for name in RUNS:
        columns[f"n_runs_{name}"] = (pl.Int32, _optional(f"Runs of puzzle {name}"))
        columns[f"n_score_{name}"] = (pl.Int32, _optional(f"Best score in puzzle {name}"))
    body = {
        "__doc__": facts.__doc__,
        "__module__": __name__,
        "__annotations__": {name: kind for name, (kind, _) in columns.items()},
        **{name: column for name, (_, column) in columns.items()},
    }
    return cast("type[pa.DataFrameModel]", new_class("Players", (facts,), exec_body=lambda space: space.update(body)))


def _optional(text: str) -> object:
    return pa.Field(nullable=True, ge=0, description=text)


Players = _with_perfs(_PlayerFacts)


class Moves(pa.DataFrameModel):
    """One row a ply: the lists of chess.games, unnested (a view)."""

    id_game: str = pa.Field(description="Game id, see chess.games")
    n_ply: pl.Int64 = pa.Field(description="Ply, from 1")
    val_color: str = pa.Field(description="Who moved: white or black")
    val_san: str = pa.Field(description="The move in SAN")
    n_clock_cs: pl.Int32 = pa.Field(nullable=True, description="Mover's time left after it, centiseconds")
    val_eval_cp: pl.Int32 = pa.Field(nullable=True, description="Evaluation after it, centipawns, White's view")
    val_eval_mate: pl.Int16 = pa.Field(nullable=True, description="Moves to mate after it, White's view")
    val_glyph: str = pa.Field(nullable=True, description="Judgment: `?!` inaccuracy, `?` mistake, `??` blunder")
    val_best: str = pa.Field(nullable=True, description="Engine's best move instead of it, UCI, where it is another")
    dt_month: str = pa.Field(description="UTC month of the game")


class Failures(pa.DataFrameModel):
    """Games on which an analytic failed, with what went wrong (a view)."""

    id_game: str = pa.Field(description="Game id, see chess.games")
    val_plugin: str = pa.Field(description="Name of the analytic, analytics.<name>")
    val_plugin_version: str = pa.Field(description="Its version; another one tries again")
    val_error: str = pa.Field(description="What went wrong")
    dt_month: str = pa.Field(description="UTC month of the game")
