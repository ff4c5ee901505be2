"""Storing what Lichess sent about users: each version of a profile once, each rating once, and who was asked when."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
from filelock import FileLock

from kshift_assets.audit import broken_rules
from kshift_assets.chess.perfs import key_of
from kshift_assets.chess.tables import RATING_HISTORIES, USER_PROFILES, USER_REQUESTS
from kshift_assets.reporting import AuditFailed, Table
from kshift_assets.tables import polars_schema, split
from resources.lake import Lake
from resources.lichess import RatingDocument, UserDocument

PROFILES_SCHEMA = polars_schema(USER_PROFILES.model)
REQUESTS_SCHEMA = polars_schema(USER_REQUESTS.model)
HISTORIES_SCHEMA = polars_schema(RATING_HISTORIES.model)
PROFILE, RATING_HISTORY = "profile", "rating_history"
TICK = timedelta(microseconds=1)
NOBODY = sha256(b"").hexdigest()


@dataclass(frozen=True)
class ProfileStore:
    """The tables lichess.user_profiles, lichess.rating_histories and lichess.user_requests.

    Looking what is there and adding to it is one step: a kernel lock keeps other processes out meanwhile. That a user
    was asked for is noted last: a kill before it costs one more question, and nothing is stored twice.
    """

    lake: Lake
    lock: Path

    def due(self, what: str, users: Sequence[str], now: datetime, max_age: timedelta) -> list[str]:
        """Those of the users who were not asked for within `max_age`, in the same order."""
        asked = self.lake.scan(USER_REQUESTS.full_name, REQUESTS_SCHEMA).filter(pl.col("val_what") == what)
        # A time ahead of ours was written under another clock: it does not count.
        is_fresh = pl.col("tm_asked").is_between(now - max_age, now, closed="right")
        fresh = set(asked.filter(is_fresh).select("id_user").unique().collect().to_series())
        return [user for user in users if user not in fresh]

    def add_profiles(self, asked: Sequence[str], users: Sequence[UserDocument], id_fetch: str, now: datetime) -> int:
        """Store the documents that differ from the newest of their user, and who of `asked` is missing; how many rows.

        Raises AuditFailed, with nothing stored, if a row breaks a rule of lichess.user_profiles.
        """
        found = {user.id_user: user for user in users}
        rows = [_profile(found[name], id_fetch) if name in found else _missing(name, id_fetch) for name in asked]
        with self._locked():
            newest = self._newest(asked)
            new = [
                row | {"tm_ingested": max(now, newest[name][1] + TICK) if name in newest else now}
                for name, row in zip(asked, rows, strict=True)
                if name not in newest or newest[name][0] != row["val_hash"]
            ]
            self._append(USER_PROFILES, new, PROFILES_SCHEMA)
            self._note(PROFILE, asked, now)
        return len(new)

    def add_histories(self, histories: Sequence[RatingDocument], now: datetime) -> int:
        """Store the ratings that are new, or other than before; how many. What a history no longer has is kept."""
        points = _points(histories, now)
        with self._locked():
            stored = self.lake.scan(RATING_HISTORIES.full_name, HISTORIES_SCHEMA).collect()
            key = ["id_user", "val_perf", "dt_day"]
            new = points.join(stored, on=[*key, "n_rating"], how="anti")
            if new.height:
                good, bad = split(RATING_HISTORIES.model, new)
                if bad.height:
                    raise AuditFailed(broken_rules(bad))
                kept = pl.concat([stored.join(good, on=key, how="anti"), good]).sort(key)
                self.lake.overwrite(RATING_HISTORIES.full_name, lambda: [kept], HISTORIES_SCHEMA)
            self._note(RATING_HISTORY, [history.id_user for history in histories], now)
        return new.height

    def note_asked(self, what: str, users: Iterable[str], now: datetime) -> None:
        """Write down that users were asked for."""
        with self._locked():
            self._note(what, users, now)

    def _locked(self) -> FileLock:
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.lock, poll_interval=0.01)

    def _newest(self, users: Collection[str]) -> Mapping[str, tuple[str, datetime]]:
        stored = self.lake.scan(USER_PROFILES.full_name, PROFILES_SCHEMA).filter(pl.col("id_user").is_in(list(users)))
        newest = stored.sort("tm_ingested").group_by("id_user").agg(pl.col("val_hash", "tm_ingested").last())
        return {name: (val_hash, moment) for name, val_hash, moment in newest.collect().iter_rows()}

    def _note(self, what: str, users: Iterable[str], now: datetime) -> None:
        self._append(
            USER_REQUESTS, [{"id_user": name, "val_what": what, "tm_asked": now} for name in users], REQUESTS_SCHEMA
        )

    def _append(self, table: Table, rows: Sequence[Mapping[str, object]], schema: pl.Schema) -> None:
        if not rows:
            return
        good, bad = split(table.model, pl.DataFrame(rows, schema=schema, orient="row"))
        if bad.height:
            raise AuditFailed(broken_rules(bad))
        self.lake.append(table.full_name, good, schema)


def _profile(user: UserDocument, id_fetch: str) -> dict[str, object]:
    return {
        "id_user": user.id_user,
        "val_state": "closed" if user.is_closed else "open",
        "val_document": user.document.decode(),
        "val_hash": user.val_hash,
        "id_fetch": id_fetch,
    }


def _missing(name: str, id_fetch: str) -> dict[str, object]:
    return {"id_user": name, "val_state": "missing", "val_document": None, "val_hash": NOBODY, "id_fetch": id_fetch}


def _points(histories: Iterable[RatingDocument], now: datetime) -> pl.DataFrame:
    rows = {
        (history.id_user, key_of(perf), day): rating for history in histories for perf, day, rating in history.points
    }
    listed = [(*key, rating, now) for key, rating in rows.items()]
    return pl.DataFrame(listed, schema=HISTORIES_SCHEMA, orient="row")
