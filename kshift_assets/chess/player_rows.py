"""The versions of a user's profile → one row of chess.players: the newest facts, also of accounts that closed since."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
import polars as pl

from kshift_assets.chess.perfs import PERFS, RUNS
from kshift_assets.chess.schemas import Players
from kshift_assets.chess.source_schemas import UserProfiles
from kshift_assets.tables import polars_schema

SCHEMA = polars_schema(Players)
PROFILES = polars_schema(UserProfiles)
OPEN = "open"

Value = TypeVar("Value")

_LARGEST: dict[object, int] = {pl.Int16(): 2**15 - 1, pl.Int32(): 2**31 - 1, pl.Int64(): 2**53}
_COUNTS = {
    "all": "n_games",
    "rated": "n_games_rated",
    "ai": "n_games_ai",
    "win": "n_wins",
    "draw": "n_draws",
    "loss": "n_losses",
    "playing": "n_playing",
    "import": "n_imported",
    "bookmark": "n_bookmarked",
}


def standings(heads: pl.DataFrame) -> pl.DataFrame:
    """How each user stands, from `id_user`, `val_state` and `tm_ingested` of all versions.

    One row a user: ind_closed and tm_ingested by the newest version, tm_facts of the one that gives the facts: the
    newest that shows an open account, since a closed one shows nothing but its name.
    """
    is_open = pl.col("val_state") == OPEN
    return (
        heads.sort("tm_ingested")
        .group_by("id_user")
        .agg(
            ind_closed=pl.col("val_state").last() != OPEN,
            tm_newest=pl.col("tm_ingested").last(),
            tm_facts=pl.coalesce(pl.col("tm_ingested").filter(is_open).last(), pl.col("tm_ingested").last()),
        )
        .sort("id_user")
    )


def player_rows(profiles: pl.DataFrame, standing: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Rows of chess.players for those of UserProfiles that give a user's facts; and how many values were unreadable.

    A value of another type than it should have, or beyond what its column holds, counts as absent.
    """
    chosen = profiles.join(standing, left_on=["id_user", "tm_ingested"], right_on=["id_user", "tm_facts"])
    n_odd = 0
    rows = []
    for profile in chosen.iter_rows(named=True):
        facts = _Facts(orjson.loads(profile["val_document"] or b"{}"))
        rows.append(
            _row(facts)
            | {
                "id_user": profile["id_user"],
                "ind_closed": profile["ind_closed"],
                "tm_facts": profile["tm_ingested"],
                "tm_ingested": profile["tm_newest"],
            }
        )
        n_odd += facts.n_odd
    return pl.DataFrame(rows, schema=SCHEMA, orient="row"), n_odd


class _Facts:
    """Typed access to one document; `path` leads through its objects."""

    def __init__(self, document: Any) -> None:  # noqa: ANN401  # JSON is anything
        self._document = document
        self.n_odd = 0

    def text(self, *path: str) -> str | None:
        """A text; an empty one counts as absent."""
        value = self._at(path)
        return self._kept(value, is_sound=isinstance(value, str)) or None

    def flag(self, *path: str) -> bool:
        """Whether it is true: Lichess leaves out what is false."""
        value = self._at(path)
        return bool(self._kept(value, is_sound=isinstance(value, bool)))

    def number(self, column: str, *path: str) -> int | None:
        """A whole number that its column can hold."""
        value = self._at(path)
        return self._kept(value, is_sound=type(value) is int and abs(value) <= _LARGEST[SCHEMA[column]])

    def count(self, column: str, *path: str) -> int | None:
        """The same, not below zero."""
        value = self.number(column, *path)
        return self._kept(value, is_sound=value is not None and value >= 0)

    def moment(self, *path: str) -> datetime | None:
        """A time in milliseconds; 0 stands for none."""
        value = self.count("n_play_time_s", *path)
        try:
            return datetime.fromtimestamp(value / 1000, UTC) if value else None
        except (ValueError, OverflowError, OSError):  # beyond the year 9999
            self.n_odd += 1
            return None

    def has(self, *path: str) -> bool:
        """Whether there is anything."""
        return self._at(path) is not None

    def _kept(self, value: Value, *, is_sound: bool) -> Value | None:
        if is_sound:
            return value
        self.n_odd += value is not None
        return None

    def _at(self, path: tuple[str, ...]) -> Any:  # noqa: ANN401  # JSON is anything
        value = self._document
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def _row(facts: _Facts) -> dict[str, object]:
    row: dict[str, object] = {
        "val_name": facts.text("username"),
        "val_title": facts.text("title"),
        "ind_patron": facts.flag("patron"),
        "ind_verified": facts.flag("verified"),
        "ind_tos_violation": facts.flag("tosViolation"),
        "val_flair": facts.text("flair"),
        "val_country": facts.text("profile", "flag") or facts.text("profile", "country"),
        "val_location": facts.text("profile", "location"),
        "val_real_name": facts.text("profile", "realName"),
        "val_bio": facts.text("profile", "bio"),
        "val_links": facts.text("profile", "links"),
        "n_rating_fide": facts.count("n_rating_fide", "profile", "fideRating"),
        "tm_created": facts.moment("createdAt"),
        "tm_seen": facts.moment("seenAt"),
        "n_play_time_s": facts.count("n_play_time_s", "playTime", "total"),
        "n_play_time_tv_s": facts.count("n_play_time_tv_s", "playTime", "tv"),
    }
    row |= {column: facts.count(column, "count", key) for key, column in _COUNTS.items()}
    for key, name in PERFS.items():
        row |= {
            f"n_rating_{name}": facts.count(f"n_rating_{name}", "perfs", key, "rating"),
            f"n_rd_{name}": facts.count(f"n_rd_{name}", "perfs", key, "rd"),
            f"n_games_{name}": facts.count(f"n_games_{name}", "perfs", key, "games"),
            f"n_progress_{name}": facts.number(f"n_progress_{name}", "perfs", key, "prog"),
            f"ind_provisional_{name}": facts.flag("perfs", key, "prov") if facts.has("perfs", key) else None,
        }
    for name in RUNS:
        row |= {
            f"n_runs_{name}": facts.count(f"n_runs_{name}", "perfs", name, "runs"),
            f"n_score_{name}": facts.count(f"n_score_{name}", "perfs", name, "score"),
        }
    return row
