"""`kshift doctor`: is this installation fit to run? A remedy stands beside each finding."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from resources.engine import Engine
from resources.errors import UserError
from resources.exchange import Request
from resources.http import NO_TOKEN, Access, PoliteClient
from resources.settings import Settings
from resources.snapshots import Snapshots
from resources.source_errors import SourceError
from serving.home import open_instance, prepare
from serving.sql import ask, connect

PYTHONS = ((3, 11), (3, 14))
GB = 1_000_000_000
CLOCK_SECONDS = 5.0
"""So much may the disk's clock differ from ours: a lake on a network drive has another."""
STYLES = {"ok": "green", "finding": "red", "skipped": "dim"}


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is (ok, finding, skipped), and for a finding what to do."""

    what: str
    state: str
    text: str
    remedy: str = ""


def examine(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Look at everything, one thing after the other; `offline`: ask no server."""
    looks: Sequence[Callable[[Settings], Finding]] = (
        *(_python, _packages, _folders, _disk, _clock, _catalogue, _daemon, _engine),
    )
    for look in looks:
        yield look(settings)
    if offline:
        yield Finding("Lichess", "skipped", "not asked, as --offline says")
    else:
        yield from _lichess(settings)


def show(found: Sequence[Finding], console: Console, *, as_json: bool) -> bool:
    """Print what was found; gives whether there is anything to do."""
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))  # noqa: T201  # the command's answer
    else:
        for one in found:
            console.print(f"[{STYLES[one.state]}]{one.state:<8}[/] {one.what:<10} {escape(one.text)}", soft_wrap=True)
            if one.remedy:
                console.print(f"         → {escape(one.remedy)}", soft_wrap=True)
    return any(one.state == "finding" for one in found)


def _python(_: Settings) -> Finding:
    text = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        return Finding("python", "ok", text)
    return Finding("python", "finding", f"{text} is not supported", "Install with Python 3.11, 3.12 or 3.13.")


def _packages(_: Settings) -> Finding:
    wanted = [Requirement(line) for line in requires("knightshift") or () if "extra ==" not in line]
    wrong = []
    for one in wanted:
        try:
            there = version(one.name)
        except PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(there, prereleases=True):
            wrong.append(f"{one.name} is {there}, not {one.specifier}")
    if wrong:
        return Finding("packages", "finding", "; ".join(wrong), "Run `make setup`, or install KnightShift anew.")
    return Finding("packages", "ok", f"knightshift {version('knightshift')}, {len(wanted)} packages as required")


def _folders(settings: Settings) -> Finding:
    places = [settings.home, settings.published, settings.state, settings.dagster_home, settings.alert_file.parent]
    places += [] if "://" in settings.lake_uri else [Path(settings.lake_uri)]
    for place in places:
        there = _nearest(place)
        if not os.access(there, os.W_OK | os.X_OK):
            remedy = f"Give yourself the right to write to {there}, or choose another KSHIFT_HOME."
            return Finding("folders", "finding", f"{there} cannot be written", remedy)
    return Finding("folders", "ok", f"{settings.home} can be written")


def _disk(settings: Settings) -> Finding:
    there = _nearest(settings.home)
    free = shutil.disk_usage(there).free / GB
    if free < settings.disk_free_gb:
        remedy = "Free space: `kshift maintain` removes what nothing needs; or move KSHIFT_HOME to a larger disk."
        return Finding("disk", "finding", f"{free:.1f} GB are free, less than {settings.disk_free_gb:g}", remedy)
    return Finding("disk", "ok", f"{free:.1f} GB are free")


def _clock(settings: Settings) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=_nearest(settings.home)) as file:
            off = abs(Path(file.name).stat().st_mtime - time.time())
    except OSError as error:
        return Finding("clock", "skipped", f"no file can be written: {error.strerror}")
    if off > CLOCK_SECONDS:
        return Finding("clock", "finding", f"the disk's clock is {off:.0f} s off", "Set both clocks by NTP.")
    return Finding("clock", "ok", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, as the disk has it")


def _catalogue(settings: Settings) -> Finding:
    remedy = "Publish anew: kshift run published/snapshot"
    try:
        catalog = Snapshots(folder=str(settings.published)).latest()
        if catalog is None:
            return Finding("catalogue", "skipped", "nothing is published yet")
        with connect(settings.published / "latest.duckdb", [settings.lake_uri]) as connection:
            for name in catalog["tables"]:
                list(ask(connection, f"SELECT 1 FROM {name} LIMIT 1").rows)  # noqa: S608  # our own names
    except (OSError, ValueError, KeyError, UserError) as error:
        return Finding("catalogue", "finding", f"the snapshot cannot be read: {error}", remedy)
    return Finding("catalogue", "ok", f"snapshot {catalog['snapshot']}, {len(catalog['tables'])} tables open")


def _daemon(settings: Settings) -> Finding:
    if not settings.daemon_silent_minutes:
        return Finding("daemon", "skipped", "none is meant to run, as KSHIFT_DAEMON_SILENT_MINUTES says")
    prepare(settings)
    with open_instance(settings.dagster_home) as instance:
        beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    silent = (time.time() - max(beats)) / 60 if beats else None
    if silent is not None and silent <= settings.daemon_silent_minutes:
        return Finding("daemon", "ok", "it gives signs of life")
    text = "it never gave a sign of life" if silent is None else f"no sign of life for {silent:,.0f} minutes"
    return Finding("daemon", "finding", text, "Start `kshift up`, or the service that runs it.")


def _engine(settings: Settings) -> Finding:
    command = Engine(command=settings.engine).command or "stockfish"
    found = shutil.which(command) or shutil.which(command, path="/usr/games")
    if found:
        return Finding("engine", "ok", found)
    if settings.engine:
        return Finding("engine", "finding", f"{command} is not there", "Mend KSHIFT_ENGINE, or install the engine.")
    return Finding("engine", "skipped", "no Stockfish here: analytics/engine_eval cannot run, all else can")


def _lichess(settings: Settings) -> Iterator[Finding]:
    try:
        with _client(settings, with_token=False) as client:
            client.ask(Request("/api/tv/channels"), lambda answer: answer.body())
    except (SourceError, UserError) as error:
        remedy = "Look whether the network and Lichess are up, and KSHIFT_LICHESS_URL right."
        yield Finding("Lichess", "finding", str(error), remedy)
        return
    yield Finding("Lichess", "ok", f"{settings.lichess_url} answers")
    if settings.lichess_token:
        yield _token(settings, settings.lichess_token.get_secret_value())


def _token(settings: Settings, token: str) -> Finding:
    request = Request("/api/token/test", method="POST", content=token.encode())
    try:
        with _client(settings, with_token=True) as client:
            answer = json.loads(client.ask(request, lambda answer: answer.body()))
        known = answer.get(token)
    except (SourceError, UserError, ValueError, AttributeError) as error:
        return Finding("token", "skipped", f"Lichess did not say: {type(error).__name__}")
    if not known:
        remedy = "Make another at lichess.org/account/oauth/token, without a scope, and set KSHIFT_LICHESS_TOKEN."
        return Finding("token", "finding", "Lichess does not know the token (any more)", remedy)
    if scopes := known.get("scopes"):
        remedy = "Use one without a scope: this one may do more than KnightShift ever needs."
        return Finding("token", "finding", f"the token has scopes: {scopes}", remedy)
    return Finding("token", "ok", "known to Lichess, without a scope")


def _client(settings: Settings, *, with_token: bool) -> PoliteClient:
    token = settings.lichess_token if with_token and settings.lichess_token else NO_TOKEN
    access = Access(token=token)
    return PoliteClient(
        settings.lichess_url, source="lichess", state=settings.state, contact=settings.contact, access=access
    )


def _nearest(place: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(one for one in (place, *place.parents) if one.exists())
