"""A game of a monthly dump, tags as written → a row of chess.games. What dumps write oddly is known here."""

import polars as pl

from kshift_assets.chess.evaluation import site_glyphs
from kshift_assets.chess.speeds import speed
from kshift_assets.chess.vocabulary import VARIANTS

VARIANT_KEYS = {key.lower(): key for key in VARIANTS}
"""Tag Variant without blanks and hyphens, lower case → Lichess's key."""
MATE_MEANS_MATE = ("standard", "chess960", "crazyhouse", "fromPosition")
"""Variants where a game ends on the board by mate only, so that `#` and its absence say how it ended."""
_EVENT = r"(?i)^(rated|casual) [\w -]+ (?:game|tournament|swiss|simul)\b"
_AI = r"(?i)^lichess AI level (\d)$"
_UNKNOWN = ("", "?", "-")


def read_dump_games(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of DumpGames with the columns of Games, and val_faults: what could not be read, null for nothing.

    `rows` are sound ones (val_error is null) with val_source; their order and further columns stay.
    """
    tags = _with_event(rows).with_columns(
        tm_created=_created(),
        val_key=pl.col("val_variant").fill_null("standard").str.to_lowercase().str.replace_all("[ -]", ""),
        n_clock_initial_s=_part(r"^(\d+)\+\d+$", pl.Int32()),
        n_clock_increment_s=_part(r"^\d+\+(\d+)$", pl.Int16()),
        arr_clock_cs=_list("arr_clock_cs"),
        ind_analysed=(_filled("arr_eval_cp") | _filled("arr_eval_mate")).fill_null(value=False),
    )
    facts = tags.with_columns(
        val_variant=pl.col("val_key").replace(VARIANT_KEYS),
        val_speed=_speed(),
        ind_rated=_rated(),
        arr_eval_cp=_if_analysed("arr_eval_cp", pl.Int32()),
        arr_eval_mate=_if_analysed("arr_eval_mate", pl.Int16()),
        arr_glyph=pl.coalesce(_list("arr_glyph"), _if_analysed("arr_glyph", pl.String())),
        arr_best=pl.lit(None, pl.List(pl.String)),
        val_initial_fen=pl.col("val_fen"),
        **_player("white"),
        **_player("black"),
    )
    judged = facts.with_columns(arr_glyph=_judgments(facts))
    return judged.with_columns(
        val_perf=pl.when(pl.col("val_variant").is_in(["standard", "fromPosition"]))
        .then("val_speed")
        .otherwise("val_variant"),
        val_status=_status(),
        tm_last_move=pl.lit(None, pl.Datetime("us", "UTC")),
        dt_game=pl.col("tm_created").dt.date(),
        dt_month=pl.col("tm_created").dt.strftime("%Y-%m"),
        n_days_per_turn=pl.lit(None, pl.Int16),
        n_opening_ply=pl.lit(None, pl.Int16),
        n_plies=pl.col("n_plies").cast(pl.Int16, strict=False),
        val_eco=_known("val_eco"),
        val_opening=_known("val_opening"),
        arr_glyph=pl.when(pl.col("ind_analysed") | _filled("arr_glyph")).then("arr_glyph"),
        val_faults=_faults(),
    )


def _with_event(rows: pl.DataFrame) -> pl.DataFrame:
    """What the tag Event says; each of its few values is read once."""
    event = pl.col("val_event")
    events = rows.select(event.fill_null("").unique()).with_columns(
        ind_said_rated=event.str.extract(_EVENT).str.to_lowercase() == "rated",
        id_tournament=event.str.extract(r"lichess\.org/tournament/(\w+)"),
        id_swiss=event.str.extract(r"lichess\.org/swiss/(\w+)"),
    )
    return rows.with_columns(event.fill_null("")).join(events, on="val_event", how="left", maintain_order="left")


def _judgments(games: pl.DataFrame) -> pl.Series:
    """The lists of glyphs, with the site's in the few that have any."""
    marked = games.select(_filled("arr_glyph").fill_null(value=False)).to_series()
    places = (marked.cum_sum().cast(pl.Int64) - 1).set(~marked, None)
    glyphs = site_glyphs(games.filter(marked)).gather(places)
    return glyphs.zip_with(marked, games.get_column("arr_glyph"))


def _created() -> pl.Expr:
    days = [pl.col(name).str.to_date("%Y.%m.%d", strict=False) for name in ("val_utc_date", "val_date")]
    time = pl.col("val_utc_time").str.to_time("%H:%M:%S", strict=False)
    return pl.coalesce(days).dt.combine(time, time_unit="us").dt.replace_time_zone("UTC")


def _part(pattern: str, dtype: pl.DataType) -> pl.Expr:
    return pl.col("val_time_control").str.extract(pattern).cast(dtype, strict=False)


def _known(name: str) -> pl.Expr:
    value = pl.col(name)
    return pl.when(~value.is_in(list(_UNKNOWN))).then(value)


def _filled(name: str) -> pl.Expr:
    return pl.col(name).list.count_matches(None) < pl.col(name).list.len()


def _list(name: str) -> pl.Expr:
    return pl.when(_filled(name)).then(name)


def _if_analysed(name: str, dtype: pl.DataType) -> pl.Expr:
    """All three lists of an analysed game are there, also those that have nothing to say."""
    is_needed = pl.col("ind_analysed") & pl.col(name).is_null()
    nothing = pl.lit(None, dtype).repeat_by(pl.when(is_needed).then("n_plies").otherwise(0))
    return pl.when("ind_analysed").then(pl.coalesce(name, nothing))


def _number(name: str) -> pl.Expr:
    return _known(name).cast(pl.Int16, strict=False)


def _player(color: str) -> dict[str, pl.Expr]:
    name = pl.col(f"val_{color}")
    level = name.str.extract(_AI).cast(pl.Int8)
    person = pl.when(level.is_null() & ~name.is_in([*_UNKNOWN, "Anonymous"])).then(name)
    return {
        f"id_user_{color}": person.str.to_lowercase(),
        f"val_name_{color}": person,
        f"val_title_{color}": _known(f"val_{color}_title"),
        f"n_rating_{color}": _number(f"val_{color}_elo"),
        f"n_rating_diff_{color}": _number(f"val_{color}_rating_diff"),
        f"n_ai_level_{color}": level,
    }


def _speed() -> pl.Expr:
    """From the clock, since old Event tags have other speeds: rapid games were called classical or blitz."""
    clocked = speed(pl.col("n_clock_initial_s"), pl.col("n_clock_increment_s"))
    return pl.when(pl.col("val_time_control") == "-").then(pl.lit("correspondence")).otherwise(clocked)


def _rated() -> pl.Expr:
    """From Event; a named or swiss event says nothing, then a rating difference or the file's own name does."""
    said = pl.col("ind_said_rated")
    differs = pl.any_horizontal(pl.col(f"val_{color}_rating_diff").is_not_null() for color in ("white", "black"))
    in_rated_file = pl.col("val_file").str.contains("_rated_", literal=True)
    return pl.when(said.is_not_null()).then(said).when(differs | in_rated_file).then(statement=True)


def _status() -> pl.Expr:
    """How the game ended, where the file leaves one possibility only; it never tells a draw from a stalemate."""
    decisive = pl.col("val_result").is_in(["1-0", "0-1"])
    normal, termination = pl.col("val_termination") == "Normal", pl.col("val_termination")
    on_board = normal & pl.col("val_variant").is_in(list(MATE_MEANS_MATE))
    return (
        pl.when(on_board & pl.col("val_moves").str.ends_with("#"))
        .then(pl.lit("mate"))
        .when(on_board & decisive)
        .then(pl.lit("resign"))
        .when((termination == "Abandoned") & decisive)
        .then(pl.lit("noStart"))
        .when(termination == "Rules infraction")
        .then(pl.lit("cheat"))
        .when(termination == "Insufficient material")
        .then(pl.lit("insufficientMaterialClaim"))
    )


def _faults() -> pl.Expr:
    """Tags that are there but cannot be read, and facts that nothing tells."""
    numbers = {
        f"val_{color}_{tag}": f"n_{column}_{color}"
        for color in ("white", "black")
        for tag, column in {"elo": "rating", "rating_diff": "rating_diff"}.items()
    }
    said = [
        _fault(_known(tag).is_not_null() & pl.col(column).is_null(), tag, "not a number")
        for tag, column in numbers.items()
    ]
    time = pl.format(
        "{} {}",
        *(part.fill_null("nothing") for part in (pl.coalesce("val_utc_date", "val_date"), pl.col("val_utc_time"))),
    )
    return pl.concat_str(
        *said,
        _fault(pl.col("tm_created").is_null(), "val_utc_date", "no readable day and time", time),
        _fault(pl.col("val_speed").is_null(), "val_time_control", "neither seconds+increment nor -"),
        _fault(pl.col("ind_rated").is_null(), "val_event", "says neither rated nor casual"),
        separator="; ",
        ignore_nulls=True,
    ).replace("", None)


def _fault(when: pl.Expr, tag: str, rule: str, value: pl.Expr | None = None) -> pl.Expr:
    got = (pl.col(tag) if value is None else value).fill_null("nothing").str.slice(0, 80)
    return pl.when(when).then(pl.format(f"{tag}: {rule} (got {{}})", got))
