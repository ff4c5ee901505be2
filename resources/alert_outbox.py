"""What is wrong and what is still to be told, on disk: one file for all processes, which outlives them."""

import json
import logging
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from resources.alert_channels import Channel, Letter, NotDelivered

WAIT_SECONDS = 15.0
"""How long to wait for another process that delivers: after that, it will deliver ours too."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=10)
"""How long a receiver that did not answer is left alone; doubles each time."""
HOUR = timedelta(hours=1)
LISTED = 20

SCHEMA = """
CREATE TABLE IF NOT EXISTS incidents (incident TEXT PRIMARY KEY, letter TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL,
    letter TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS delivered (channel TEXT NOT NULL, tm_delivered REAL NOT NULL);
CREATE TABLE IF NOT EXISTS pauses (channel TEXT PRIMARY KEY, n_failures INTEGER NOT NULL, tm_until REAL NOT NULL,
    reason TEXT NOT NULL);
"""

_LOG = logging.getLogger("kshift.alerts.delivery")


@dataclass(frozen=True)
class Outbox:
    """Open incidents, and for each channel the letters that it has not taken yet, oldest first.

    A letter leaves the outbox when its receiver has taken it. Who is killed between the two delivers it again, under
    the same id: better twice than never.
    """

    folder: Path

    def take(self, incident: str, letter: Letter, channels: Sequence[str]) -> bool:
        """Note the beginning or end of an incident and what is to be told of it, in one step; False if it is known."""
        letter = replace(letter, id=uuid.uuid4().hex)
        with self._opened() as database:
            known = database.execute("SELECT letter FROM incidents WHERE incident = ?", [incident]).fetchone()
            if (letter.severity == "trouble") == (known is not None):
                return False
            if known:
                letter = replace(letter, since=json.loads(known[0])["since"])
                database.execute("DELETE FROM incidents WHERE incident = ?", [incident])
            else:
                database.execute("INSERT INTO incidents VALUES (?, ?)", [incident, _text(letter)])
            rows = [(channel, _text(letter)) for channel in channels]
            database.executemany("INSERT INTO outbox (channel, letter) VALUES (?, ?)", rows)
        return True

    def incidents(self) -> list[dict[str, str]]:
        """Every incident that has not ended, in the order in which they began."""
        with self._opened() as database:
            rows = database.execute("SELECT letter FROM incidents ORDER BY rowid").fetchall()
        return [dict(json.loads(letter)) for (letter,) in rows]

    def waiting(self) -> dict[str, tuple[int, str]]:
        """Channel → letters in its outbox, and why the last delivery failed."""
        with self._opened() as database:
            rows = database.execute(
                "SELECT channel, count(*), coalesce(max(reason), '') FROM outbox LEFT JOIN pauses USING (channel) "
                "GROUP BY channel ORDER BY channel"
            ).fetchall()
        return {channel: (number, reason) for channel, number, reason in rows}

    def deliver(self, channel: Channel, per_hour: int, now: datetime) -> None:
        """Hand the channel what waits for it, in order, by one process at a time; stop at the first that it refuses.

        Where more wait than it may get in this hour, the last of these tells of all the others.
        """
        if not self._is_due(channel, now):
            return
        try:
            with FileLock(self.folder / f"{channel.name}.lock", timeout=WAIT_SECONDS):
                while self._is_due(channel, now) and (batch := self._next(channel, per_hour, now)):
                    numbers, letter = batch
                    try:
                        channel.deliver(letter)
                    except NotDelivered as failure:
                        self._pause(channel, str(failure), now)
                        return
                    self._forget(channel, numbers, now)
        except Timeout:
            _LOG.info("another process delivers alerts to %s", channel.name)

    def _is_due(self, channel: Channel, now: datetime) -> bool:
        with self._opened() as database:
            query = "SELECT 1 FROM outbox WHERE channel = ? LIMIT 1"
            if not database.execute(query, [channel.name]).fetchone():
                return False
            query = "SELECT 1 FROM pauses WHERE channel = ? AND tm_until > ?"
            return not database.execute(query, [channel.name, now.timestamp()]).fetchone()

    def _next(self, channel: Channel, per_hour: int, now: datetime) -> tuple[list[int], Letter] | None:
        """The next letter, or one that stands for all that wait; None where enough was told in this hour."""
        with self._opened() as database:
            query = "SELECT number, letter FROM outbox WHERE channel = ? ORDER BY number"
            rows = database.execute(query, [channel.name]).fetchall()
            query = "SELECT count(*) FROM delivered WHERE channel = ? AND tm_delivered > ?"
            (told,) = database.execute(query, [channel.name, (now - HOUR).timestamp()]).fetchone()
        if not rows or (channel.is_limited and told >= per_hour):
            return None
        letters = [Letter(**json.loads(letter)) for _, letter in rows]
        if channel.is_limited and told == per_hour - 1 and len(rows) > 1:
            return [number for number, _ in rows], _digest(letters)
        return [rows[0][0]], letters[0]

    def _forget(self, channel: Channel, numbers: Sequence[int], now: datetime) -> None:
        with self._opened() as database:
            database.executemany("DELETE FROM outbox WHERE number = ?", [(number,) for number in numbers])
            database.execute("DELETE FROM pauses WHERE channel = ?", [channel.name])
            database.execute("DELETE FROM delivered WHERE tm_delivered < ?", [(now - HOUR).timestamp()])
            database.execute("INSERT INTO delivered VALUES (?, ?)", [channel.name, now.timestamp()])

    def _pause(self, channel: Channel, reason: str, now: datetime) -> None:
        with self._opened() as database:
            query = "SELECT n_failures FROM pauses WHERE channel = ?"
            (before,) = database.execute(query, [channel.name]).fetchone() or (0,)
            until = now + min(FIRST_PAUSE * 2 ** min(before, 16), LONGEST_PAUSE)
            values = [channel.name, before + 1, until.timestamp(), reason]
            database.execute("INSERT OR REPLACE INTO pauses VALUES (?, ?, ?, ?)", values)
        _LOG.warning("alerts wait for %s until %s: %s", channel.name, f"{until.astimezone(UTC):%H:%M:%S} UTC", reason)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The database within one transaction, which others wait for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.folder / "alerts.sqlite", timeout=30, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                for statement in SCHEMA.split(";"):
                    database.execute(statement)
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")


def _text(letter: Letter) -> str:
    return json.dumps(asdict(letter))


def _digest(letters: Sequence[Letter]) -> Letter:
    """One letter for many: how many there are, and the first of them."""
    first = letters[0]
    lines = [f"{one.severity}: {one.subject}: {one.text}" for one in letters[:LISTED]]
    more = [f"and {len(letters) - LISTED} more: see `kshift alerts`"] if letters[LISTED:] else []
    is_bad = any(one.severity == "trouble" for one in letters)
    return replace(
        first,
        severity="trouble" if is_bad else "recovered",
        kind="digest",
        subject=f"{len(letters)} alerts at once",
        text="\n".join([*lines, *more]),
        remedy="Begin with the first: the others may follow from it." if is_bad else "",
    )
