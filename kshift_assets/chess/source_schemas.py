"""The columns of source tables: types, meanings and rules, written only here."""

import pandera.polars as pa
import polars as pl

from kshift_assets.chess.vocabulary import GAME_ID, MONTH, USER_ID, Int16s, Int32s, Strings, Utc


class PlayerGames(pa.DataFrameModel):
    """Game documents of the players we follow, as Lichess sent them; a changed game is a further row."""

    id_game: str = pa.Field(str_matches=GAME_ID, description="Game id; case matters")
    id_user: str = pa.Field(str_matches=USER_ID, description="The followed player whose export brought the document")
    tm_created: Utc = pa.Field(description="When the game was created")
    val_document: str = pa.Field(description="The document as JSON, without the secret `fullId`")
    val_hash: str = pa.Field(description="SHA-256 of the document: tells a new version from a repetition")
    id_fetch: str = pa.Field(description="The request that brought it, see lichess.fetches")
    tm_ingested: Utc = pa.Field(description="When that request was made")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of tm_created")


class TvGames(pa.DataFrameModel):
    """Documents of games that were on Lichess TV, each once, fetched by id when the game was over."""

    id_game: str = pa.Field(str_matches=GAME_ID, description="Game id; case matters")
    val_channel: str = pa.Field(nullable=True, description="Channel on which it was seen first, Lichess's key")
    tm_created: Utc = pa.Field(description="When the game was created")
    tm_seen_first: Utc = pa.Field(description="When it was seen on TV first")
    val_document: str = pa.Field(description="The document as JSON, without the secret `fullId`")
    val_hash: str = pa.Field(description="SHA-256 of the document")
    id_fetch: str = pa.Field(description="The request that brought it, see lichess.fetches")
    tm_ingested: Utc = pa.Field(description="When that request was made")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of tm_created")


class TvRunning(pa.DataFrameModel):
    """Games that were seen on Lichess TV and are not over: each leaves for lichess.tv_games when it is."""

    id_game: str = pa.Field(str_matches=GAME_ID, description="Game id; case matters")
    val_channel: str = pa.Field(description="Channel on which it was seen first, Lichess's key")
    val_state: str = pa.Field(
        isin=("running", "over", "given up"),
        description="running; over: its document is still to be fetched; given up: no sign of life for 14 days",
    )
    tm_created: Utc = pa.Field(nullable=True, description="When it was created; null while only its id is known")
    val_document: str = pa.Field(nullable=True, description="How it stood when it was seen last, as JSON")
    tm_seen_first: Utc = pa.Field(description="When it was seen on TV first")
    tm_seen_last: Utc = pa.Field(description="When Lichess showed it last, on TV or when asked for it by id")
    tm_asked: Utc = pa.Field(nullable=True, description="When it was asked for by id last, since it was on TV")
    n_asked: pl.Int32 = pa.Field(ge=0, description="How often it was asked for by id since then")


class Fetches(pa.DataFrameModel):
    """Every request that was made, whatever came of it: the run history that an operator reads."""

    id_fetch: str = pa.Field(description="Request id, in order of time")
    val_source: str = pa.Field(description="Host that was asked")
    val_request: str = pa.Field(description="Method, path and query, without secrets")
    tm_started: Utc = pa.Field(description="When it was sent")
    n_status: pl.Int16 = pa.Field(nullable=True, description="HTTP status; null if no answer came")
    n_rows: pl.Int32 = pa.Field(ge=0, description="Records in the answer")
    n_bytes: pl.Int64 = pa.Field(ge=0, description="Bytes of the answer's body as received")
    n_duration_ms: pl.Int32 = pa.Field(ge=0, description="From sending to the end of the answer, milliseconds")
    val_error: str = pa.Field(nullable=True, description="What went wrong; null if nothing")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: UTC month of tm_started")


class TrackedPlayers(pa.DataFrameModel):
    """Who is followed, as `kshift track` and `untrack` said: one row a change, the newest of a player counts."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    ind_tracked: bool = pa.Field(description="Whether the player is followed from then on")
    n_depth: pl.Int16 = pa.Field(ge=0, description="How many steps of opponents are followed from this player")
    tm_changed: Utc = pa.Field(description="When that was said")


class PendingGames(pa.DataFrameModel):
    """Games that were not over when they were seen: asked for by their ids until they are."""

    id_game: str = pa.Field(str_matches=GAME_ID, description="Game id; case matters")
    id_user: str = pa.Field(str_matches=USER_ID, description="The player through whom it was seen")
    tm_created: Utc = pa.Field(description="When the game was created")
    tm_seen: Utc = pa.Field(description="When it was first seen unfinished")
    tm_next_due: Utc = pa.Field(nullable=True, description="When to ask for it again; null once it is given up")
    n_tries: pl.Int32 = pa.Field(ge=0, description="Times that it was asked for by its id")
    n_missing: pl.Int32 = pa.Field(ge=0, description="Times in a row that Lichess did not have it")
    val_state: str = pa.Field(
        isin=("waiting", "missing", "gone"),
        description="waiting; missing: not there when last asked for; gone: not there three times in a row, given up",
    )


class PlayerFetches(pa.DataFrameModel):
    """What became of each attempt to fetch all new games of a player: one row an attempt that ended."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    tm_fetched: Utc = pa.Field(description="When the attempt ended")
    val_state: str = pa.Field(
        isin=("done", "gone", "failed", "broken"),
        description="done; gone: no such account, or closed; failed; broken: the answers are not what we rely on",
    )
    n_new: pl.Int32 = pa.Field(ge=0, description="Documents stored")
    n_pages: pl.Int32 = pa.Field(ge=0, description="Pages asked for")
    val_reason: str = pa.Field(nullable=True, description="What went wrong; null if nothing")


class PlayersFrontier(pa.DataFrameModel):
    """Tracked players and, step by step, their opponents: who was fetched, through whom, and who is due when."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    n_depth: pl.Int16 = pa.Field(
        nullable=True, ge=0, description="Steps from the nearest tracked player, 0 for these; null if not followed"
    )
    id_user_found_through: str = pa.Field(
        nullable=True, description="Of the players one step nearer, the one with most games against this player"
    )
    val_state: str = pa.Field(
        isin=("queued", "fetched", "skipped_bot", "closed", "missing", "failed", "untracked"),
        description=(
            "queued: never fetched; fetched; skipped_bot; closed: the account has gone, its games stay; "
            "missing: there never was such an account; failed: the last attempt failed; untracked: followed no more"
        ),
    )
    val_reason: str = pa.Field(nullable=True, description="Why the last attempt failed")
    n_games_stored: pl.Int64 = pa.Field(ge=0, description="Games of this player in the lake, whatever brought them")
    n_games_with_tracked: pl.Int64 = pa.Field(ge=0, description="Of these, games against tracked players")
    tm_last_game: Utc = pa.Field(nullable=True, description="When the newest of these games was created")
    tm_last_fetched: Utc = pa.Field(nullable=True, description="When all that was new had last been fetched")
    tm_next_due: Utc = pa.Field(
        nullable=True, description="When to fetch next; in the past for those who wait; null for nobody to fetch"
    )


class DumpGames(pa.DataFrameModel):
    """Games of a monthly dump, tag by tag and ply by ply, as the file has them; damaged ones with their text."""

    id_game: str = pa.Field(nullable=True, description="Game id, from Site or GameId; null where the game is damaged")
    n_game: pl.Int64 = pa.Field(ge=1, description="Position of the game in its file, from 1")
    val_event: str = pa.Field(nullable=True, description="Tag Event")
    val_site: str = pa.Field(nullable=True, description="Tag Site")
    val_date: str = pa.Field(nullable=True, description="Tag Date")
    val_round: str = pa.Field(nullable=True, description="Tag Round")
    val_white: str = pa.Field(nullable=True, description="Tag White")
    val_black: str = pa.Field(nullable=True, description="Tag Black")
    val_result: str = pa.Field(nullable=True, description="Tag Result")
    val_utc_date: str = pa.Field(nullable=True, description="Tag UTCDate")
    val_utc_time: str = pa.Field(nullable=True, description="Tag UTCTime")
    val_white_elo: str = pa.Field(nullable=True, description="Tag WhiteElo")
    val_black_elo: str = pa.Field(nullable=True, description="Tag BlackElo")
    val_white_rating_diff: str = pa.Field(nullable=True, description="Tag WhiteRatingDiff")
    val_black_rating_diff: str = pa.Field(nullable=True, description="Tag BlackRatingDiff")
    val_white_title: str = pa.Field(nullable=True, description="Tag WhiteTitle")
    val_black_title: str = pa.Field(nullable=True, description="Tag BlackTitle")
    val_variant: str = pa.Field(nullable=True, description="Tag Variant; standard files have none")
    val_time_control: str = pa.Field(nullable=True, description="Tag TimeControl: seconds+increment, or `-`")
    val_eco: str = pa.Field(nullable=True, description="Tag ECO")
    val_opening: str = pa.Field(nullable=True, description="Tag Opening")
    val_termination: str = pa.Field(nullable=True, description="Tag Termination")
    val_fen: str = pa.Field(nullable=True, description="Tag FEN")
    val_tags_other: str = pa.Field(
        nullable=True, description="All other tags, in order, as a JSON object; null if none"
    )
    n_plies: pl.Int32 = pa.Field(nullable=True, ge=0, description="Plies in val_moves")
    val_moves: str = pa.Field(nullable=True, description="Main line in SAN, blank separated")
    arr_clock_cs: Int32s = pa.Field(nullable=True, description="Clock after each ply, centiseconds")
    arr_eval_cp: Int32s = pa.Field(
        nullable=True,
        description="Evaluation after each ply, centipawns, White's view",
    )
    arr_eval_mate: Int16s = pa.Field(
        nullable=True,
        description="Moves to mate after each ply, White's view",
    )
    arr_glyph: Strings = pa.Field(nullable=True, description="Glyph of each ply, e.g. `?!`")
    arr_draw_offer: Strings = pa.Field(nullable=True, description="Who offered a draw at each ply: white or black")
    arr_comment: Strings = pa.Field(nullable=True, description="What else stood in comments on each ply")
    val_error: str = pa.Field(nullable=True, description="Why the game could not be read; null for a sound one")
    val_text: str = pa.Field(nullable=True, description="The text of a damaged game, as found; null for a sound one")
    val_file: str = pa.Field(description="Name of the dump file")
    val_file_sha256: str = pa.Field(description="SHA-256 of the dump file")
    tm_ingested: Utc = pa.Field(description="When this file was first read into the lake")
    dt_month: str = pa.Field(str_matches=MONTH, description="Partition: month of the dump")


class UserProfiles(pa.DataFrameModel):
    """Profiles of players as Lichess sent them; a changed profile is a further row."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    val_state: str = pa.Field(
        isin=("open", "closed", "missing"),
        description="open; closed: an account that shows only its name; missing: Lichess knows no such user (any more)",
    )
    val_document: str = pa.Field(nullable=True, description="The document as JSON; null for a missing user")
    val_hash: str = pa.Field(description="SHA-256 of the document: tells a new version from a repetition")
    id_fetch: str = pa.Field(description="The request that brought it, see lichess.fetches")
    tm_ingested: Utc = pa.Field(description="When that request was made")


class UserRequests(pa.DataFrameModel):
    """Which users were asked for and when, whatever came: tells whose copy is old."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    val_what: str = pa.Field(isin=("profile", "rating_history"), description="What was asked for")
    tm_asked: Utc = pa.Field(description="When it was answered")


class RatingHistories(pa.DataFrameModel):
    """Ratings of the followed players day by day, as Lichess draws them; the newest of a day counts."""

    id_user: str = pa.Field(str_matches=USER_ID, description="User id, lower case")
    val_perf: str = pa.Field(description="Rating category, Lichess's key")
    dt_day: pl.Date = pa.Field(description="Day, UTC")
    n_rating: pl.Int16 = pa.Field(ge=0, description="Rating at the end of that day")
    tm_ingested: Utc = pa.Field(description="When this rating was fetched first")
