"""What is kept for how long: files that nothing needs any more, and, where somebody says so, what is old."""

import json
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg

from resources.settings import Settings, documents_days
from resources.snapshots import Snapshots


class Retention(dg.ConfigurableResource["Retention"]):
    """Days for which readers and writers that are under way may go on with files that were replaced."""

    days: int = 7

    @property
    def grace(self) -> timedelta:
        """The same as a span of time."""
        return timedelta(days=self.days)


class Rules(dg.ConfigurableResource["Rules"]):
    """After how many days what is removed by `kshift retain`, 0 for never, and where it lies."""

    snapshots: int = 0
    logs: int = 0
    downloads: int = 0
    quarantine: int = 0
    versions: int = 0
    """Older versions of documents."""
    documents: dict[str, int] = {}  # noqa: RUF012  # a field of a model
    """Table of a source → days."""
    home: str
    dagster_home: str
    alert_file: str

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """The rules of these settings."""
        return cls(
            snapshots=settings.keep_snapshots_days,
            logs=settings.keep_logs_days,
            downloads=settings.keep_downloads_days,
            quarantine=settings.keep_quarantine_days,
            versions=settings.keep_versions_days,
            documents=documents_days(settings.keep_documents),
            home=str(settings.home),
            dagster_home=str(settings.dagster_home),
            alert_file=str(settings.alert_file),
        )


@dataclass(frozen=True)
class Expired:
    """Something that a rule removes: `remove` does it, after it has looked once more whether it may."""

    rule: str
    what: str
    why: str
    files: int
    n_bytes: int
    remove: Callable[[], None]
    rows: int = 0


def old_snapshots(snapshots: Snapshots, days: int, now: datetime) -> Iterator[Expired]:
    """Snapshots but the latest, the newest and pinned ones. Their tables' files go with the next `kshift maintain`."""

    def expired() -> list[str]:
        latest = snapshots.latest()
        kept = {*snapshots.pinned(), *snapshots.ids()[-1:], *([latest["snapshot"]] if latest else [])}
        return [
            one for one in snapshots.ids() if one not in kept and one < f"{now - timedelta(days=days):%Y%m%dT%H%M%S}"
        ]

    def remove(snapshot: str) -> None:
        with snapshots.turn():
            if snapshot in expired():  # pinned meanwhile, or made the latest
                folder = snapshots.folder_of(snapshot)
                gone = folder.rename(folder.with_name(f".{snapshot}.gone"))
                shutil.rmtree(gone)

    for one in expired() if days else ():
        folder = snapshots.folder_of(one)
        yield _of_files("snapshots", one, f"older than {days} days", [*folder.iterdir()], partial(remove, one))


def old_logs(rules: Rules, finished: Callable[[datetime], Collection[str]], now: datetime) -> Iterator[Expired]:
    """What runs printed, once they are over and in ops.runs; the file of alerts is set aside, then removed."""
    if not rules.logs:
        return
    before = now - timedelta(days=rules.logs)
    known = finished(before)
    for folder in sorted((Path(rules.dagster_home) / "storage").glob("*/compute_logs")):
        files = [file for file in folder.rglob("*") if file.is_file()]
        if folder.parent.name in known and all(_age(file) < before for file in files):
            why = f"the run ended more than {rules.logs} days ago, and is in ops.runs"
            yield _of_files("logs", folder.parent.name, why, files, partial(shutil.rmtree, folder.parent))
    alerts = Path(rules.alert_file)
    for file in sorted(alerts.parent.glob(f"{alerts.stem}-*{alerts.suffix}")):
        if _age(file) < before:
            yield _of_files("logs", file.name, f"set aside, older than {rules.logs} days", [file], file.unlink)
    if alerts.exists() and _born(alerts) < before:
        aside = alerts.with_name(f"{alerts.stem}-{now:%Y%m%d}{alerts.suffix}")
        yield Expired("logs", alerts.name, f"set aside as {aside.name}", 1, 0, partial(_rename, alerts, aside))


def old_downloads(rules: Rules, months: Collection[str], now: datetime) -> Iterator[Expired]:
    """Dump files that were downloaded and whose month is in the lake; they can be fetched again."""
    before = now - timedelta(days=rules.downloads)
    for file in sorted((Path(rules.home) / "downloads").glob("*.pgn*")) if rules.downloads else ():
        month = file.name.partition(".")[0][-7:]
        if file.suffix not in (".lock", ".part", ".sha256", ".json") and month in months and _age(file) < before:
            files = [file, *file.parent.glob(f"{file.name}.sha256")]
            why = f"older than {rules.downloads} days, and {month} is in the lake"
            yield _of_files("downloads", file.name, why, files, partial(_unlink, files))


def old_quarantine(rules: Rules, now: datetime) -> Iterator[Expired]:
    """Answers that were set aside."""
    before = now - timedelta(days=rules.quarantine)
    found = (Path(rules.home) / "state/quarantine").glob("*.txt") if rules.quarantine else ()
    if files := [file for file in found if _age(file) < before]:
        why = f"older than {rules.quarantine} days"
        yield _of_files("quarantine", f"{len(files)} answers", why, files, partial(_unlink, files))


def _of_files(rule: str, what: str, why: str, files: Collection[Path], remove: Callable[[], None]) -> Expired:
    return Expired(rule, what, why, len(files), sum(file.stat().st_size for file in files), remove)


def _age(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _born(alerts: Path) -> datetime:
    """When the first alert in a file was told; when the file was written last, if it does not say."""
    with alerts.open(encoding="utf-8") as lines:
        try:
            return datetime.fromisoformat(json.loads(lines.readline())["time"]).astimezone(UTC)
        except (ValueError, KeyError):
            return _age(alerts)


def _rename(file: Path, to: Path) -> None:
    if not to.exists():  # else another time: nothing is overwritten
        file.rename(to)


def _unlink(files: Collection[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
