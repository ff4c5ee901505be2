"""Metrics of the lake: tables, requests to sources, games, and how far behind the followed players are."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

import polars as pl
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from resources.lake import MONTH, scan_files
from resources.maintenance import Maintenance
from resources.table_logs import Content, TableLogs

FETCHES, OUTCOMES, GAMES, REJECTED = (
    *("lichess.fetches", "lichess.player_fetches"),
    *("chess.games", "chess.rejected_games"),
)
SOURCES = {"player": "lichess.player_games", "tv": "lichess.tv_games", "dump": "lichess.dump_games"}
"""Source, as chess.games names it → the table of what it brought."""
STATES = ("done", "gone", "failed", "broken", "never")
"""What became of a player's last fetch; never: there was none yet."""
BUCKETS_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000)
PARTIALS = "partials."
LIST_SECONDS = 300.0
"""So often it is looked which tables there are."""

_Utc = pl.Datetime("us", "UTC")
_FETCHES_SCHEMA = pl.Schema(
    {
        "val_source": pl.String(),
        "n_status": pl.Int16(),
        "n_rows": pl.Int32(),
        "n_bytes": pl.Int64(),
        "n_duration_ms": pl.Int32(),
        MONTH: pl.String(),
    }
)
_OUTCOMES_SCHEMA = pl.Schema({"id_user": pl.String(), "tm_fetched": _Utc, "val_state": pl.String()})
_GAMES_SCHEMA = pl.Schema({"id_game": pl.String(), "val_source": pl.String(), MONTH: pl.String()})

_Sums = tuple[int, int, int, int]
"""Requests, milliseconds, bytes, records."""


class Tables:
    """Rows, bytes and files of every table of the lake, also of those that are not published."""

    def __init__(self, logs: TableLogs) -> None:
        self._logs = logs
        self._names: Sequence[str] = ()
        self._listed = -LIST_SECONDS

    def read(self) -> Iterator[Metric]:
        """From the tables' logs; no file is opened."""
        if monotonic() - self._listed >= LIST_SECONDS or not self._names:
            self._names = Maintenance(self._logs.lake, timedelta(), frozenset).tables()
            self._listed = monotonic()
        rows = GaugeMetricFamily("kshift_table_rows", "Rows of a table", labels=["table"])
        size = GaugeMetricFamily("kshift_table_bytes", "Bytes of a table's newest version", labels=["table"])
        files = GaugeMetricFamily("kshift_table_files", "Files of a table's newest version", labels=["table"])
        sums: dict[str, Counter[str]] = {}
        for name in self._names:
            if content := self._logs.look(name):
                # The months that marts are made from: many tables, with other names for each version of the code.
                shown = name.partition(".")[0] if name.startswith(PARTIALS) else name
                counts = {"rows": content.n_rows, "bytes": content.n_bytes, "files": len(content.files)}
                sums.setdefault(shown, Counter()).update(counts)
        for name, sum_of in sorted(sums.items()):
            rows.add_metric([name], sum_of["rows"])
            size.add_metric([name], sum_of["bytes"])
            files.add_metric([name], sum_of["files"])
        return iter((rows, size, files))


class Requests:
    """Every request that was ever made, from the fetch log; each of its files is read once."""

    def __init__(self, logs: TableLogs) -> None:
        self._logs = logs
        self._files: dict[str, dict[tuple[str, str, int], _Sums]] = {}

    def read(self) -> Iterator[Metric]:
        """Requests by source and status, how long they took, and what they brought."""
        content = self._logs.look(FETCHES)
        present = content.files if content else {}
        # Upkeep puts one file into the place of many: the same rows, the same sums.
        self._files = {file: self._files.get(file) or _requests_of(file) for file in present}
        asked: Counter[tuple[str, str]] = Counter()
        buckets: dict[str, Counter[int]] = {}
        sums: dict[str, Counter[str]] = {}
        for one in self._files.values():
            for (source, status, bucket), (number, took, n_bytes, n_rows) in one.items():
                asked[source, status] += number
                buckets.setdefault(source, Counter())[bucket] += number
                sums.setdefault(source, Counter()).update({"ms": took, "bytes": n_bytes, "records": n_rows})
        return iter(_request_metrics(asked, buckets, sums))


def _requests_of(file: str) -> dict[tuple[str, str, int], _Sums]:
    rows = scan_files([file], _FETCHES_SCHEMA).drop(MONTH).collect()
    places = pl.Series(BUCKETS_MS, dtype=pl.Int32).search_sorted(rows["n_duration_ms"], side="left")
    found = (
        rows.with_columns(place=places, status=pl.col("n_status").cast(pl.String).fill_null("none"))
        .group_by("val_source", "status", "place")
        .agg(pl.len(), pl.sum("n_duration_ms", "n_bytes").cast(pl.Int64), pl.sum("n_rows").cast(pl.Int64))
    )
    return {
        (source, status, place): (number, took, n_bytes, n_rows)
        for source, status, place, number, took, n_bytes, n_rows in found.iter_rows()
    }


def _request_metrics(
    asked: Counter[tuple[str, str]], buckets: dict[str, Counter[int]], sums: dict[str, Counter[str]]
) -> list[Metric]:
    requests = CounterMetricFamily(
        "kshift_requests", "Requests to a source, by HTTP status; none: no answer came", labels=["source", "status"]
    )
    took = HistogramMetricFamily(
        "kshift_request_duration_seconds", "From sending to the end of the answer", labels=["source"]
    )
    size = CounterMetricFamily("kshift_response_bytes", "Bytes of answers as received", labels=["source"])
    records = CounterMetricFamily("kshift_response_records", "Records in answers", labels=["source"])
    for (source, status), number in sorted(asked.items()):
        requests.add_metric([source, status], number)
    for source, counted in sorted(buckets.items()):
        if (source, "429") not in asked:  # a rate begins with a zero
            requests.add_metric([source, "429"], 0)
        steps, below = [], 0
        for place, limit in enumerate(BUCKETS_MS):
            below += counted[place]
            steps.append((str(limit / 1000), float(below)))
        took.add_metric([source], [*steps, ("+Inf", float(counted.total()))], sums[source]["ms"] / 1000)
        size.add_metric([source], sums[source]["bytes"])
        records.add_metric([source], sums[source]["records"])
    return [requests, took, size, records]


class Games:
    """Games by source: what came, what came again in another version, what is there, and what was rejected."""

    def __init__(self, logs: TableLogs) -> None:
        self._logs = logs
        self._months: dict[tuple[str, str | None], tuple[list[str], Counter[str]]] = {}

    def read(self) -> Iterator[Metric]:
        """Counted month by month; a month is read again when its files are others."""
        came = CounterMetricFamily("kshift_games_ingested", "Games that a source brought, each once", labels=["source"])
        again = CounterMetricFamily(
            "kshift_games_updated", "Further versions of games, as after an analysis", labels=["source"]
        )
        for source, table in SOURCES.items():
            if source == "dump":
                # A month of a dump replaces the one before it: each game is there once.
                content = self._logs.look(table)
                came.add_metric([source], content.n_rows if content else 0)
                continue
            sums = self._sums(table, _versions)
            came.add_metric([source], sums["games"])
            again.add_metric([source], sums["versions"] - sums["games"])
        there = GaugeMetricFamily(
            "kshift_games", "Games of chess.games, by the richest source that has them", labels=["source"]
        )
        rejected = GaugeMetricFamily(
            "kshift_games_rejected", "Games that break a rule, or could not be read", labels=["source"]
        )
        for family, table in ((there, GAMES), (rejected, REJECTED)):
            sums = self._sums(table, _by_source)
            for source in SOURCES:
                family.add_metric([source], sums[source])
        return iter((came, again, there, rejected))

    def _sums(self, table: str, count: Callable[[list[str]], Counter[str]]) -> Counter[str]:
        content = self._logs.look(table)
        months = content.by_month() if content else {}
        sums: Counter[str] = Counter()
        for month, files in months.items():
            known = self._months.get((table, month))
            if known is None or known[0] != files:
                known = self._months[table, month] = (files, count(files))
            sums.update(known[1])
        for gone in [key for key in self._months if key[0] == table and key[1] not in months]:
            del self._months[gone]
        return sums


def _versions(files: list[str]) -> Counter[str]:
    """Rows, and the games that they are versions of: a game's versions lie in one month."""
    ids = scan_files(files, _GAMES_SCHEMA).select(versions=pl.len(), games=pl.col("id_game").n_unique()).collect()
    return Counter(ids.row(0, named=True))


def _by_source(files: list[str]) -> Counter[str]:
    found = scan_files(files, _GAMES_SCHEMA).group_by("val_source").agg(pl.len()).collect(engine="streaming")
    return Counter(dict(found.iter_rows()))


@dataclass
class _Outcomes:
    """Player → what became of the last fetch, and when all of theirs was there last, in seconds since 1970."""

    last: dict[str, str]
    whole: dict[str, float]


class Players:
    """How the followed players stand; no name leaves this machine."""

    def __init__(self, logs: TableLogs, followed: Callable[[], Collection[str]]) -> None:
        self._logs, self._followed = logs, followed
        self._content: Content | None = None
        self._outcomes = _Outcomes({}, {})

    def read(self) -> Iterator[Metric]:
        """Followed players by their last fetch, and when the one who waits longest was complete."""
        content = self._logs.look(OUTCOMES)
        if content is not self._content:
            self._outcomes = _outcomes(list(content.files) if content else [])
            self._content = content
        followed = self._followed()
        counted = Counter(self._outcomes.last.get(user, "never") for user in followed)
        players = GaugeMetricFamily(
            "kshift_followed_players", "Followed players by what became of their last fetch", labels=["state"]
        )
        for state in STATES:
            players.add_metric([state], counted[state])
        oldest = GaugeMetricFamily(
            "kshift_cursor_oldest_timestamp_seconds",
            "When the followed player whose games were all fetched the longest ago had them all; "
            "those who never had are not counted",
        )
        if whole := [self._outcomes.whole[user] for user in followed if user in self._outcomes.whole]:
            oldest.add_metric([], min(whole))
        return iter((players, oldest))


def _outcomes(files: list[str]) -> _Outcomes:
    # Who is gone has no games left to fetch.
    whole = pl.col("tm_fetched").filter(pl.col("val_state").is_in(["done", "gone"])).max().dt.epoch("us") / 1e6
    rows = (
        scan_files(files, _OUTCOMES_SCHEMA)
        .sort("tm_fetched")
        .group_by("id_user")
        .agg(last=pl.col("val_state").last(), whole=whole)
        .collect()
    )
    return _Outcomes(
        dict(rows.select("id_user", "last").iter_rows()),
        dict(rows.drop_nulls("whole").select("id_user", "whole").iter_rows()),
    )
