"""Secrets are planted in every setting and provoked in every way: none stands in anything that is printed or stored."""

import os
import shlex
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import duckdb
import polars as pl
import pytest

from alert_receivers import free_port
from commands import KSHIFT
from serving.replay import ReplayServer
from serving.replay_api import Answer, Question
from serving.replay_wire import Fault
from serving.replay_world import World
from worlds import MARCH, MINUTE, game

pytestmark = pytest.mark.timeout(1_200)  # the demo and fifteen commands, seven minutes on a busy machine

ROOT = Path(__file__).parents[2]
# None has a form by which it could be told from other words.
PLANTED = {
    name: f"planted{name}{number}sesame"
    for number, name in enumerate(("Token", "Hook", "Mail", "Postgres", "Broker", "AwsId", "AwsKey", "Command"))
}
MAIL_PASSWORD = PLANTED["Mail"] + "@:/"  # has to be quoted in an address
ECHO = f'{{"error": "No such token: Bearer {PLANTED["Token"]} {PLANTED["Hook"]}"}}'.encode()
PLAYERS = "alice_a,bob-b,carol_c,dave_d"


def echo(status: int, kind: str = "application/json", before: bytes = b"") -> Fault:
    """The server says the request's token in its answer."""

    def change(answer: Answer) -> Answer:
        return replace(answer, status=status, headers=(("Content-Type", kind),), pieces=[before + ECHO], length=None)

    return Fault(change=change, name=str(status))


def plan(number: int, question: Question) -> Fault | None:
    """Each player but the first fails in a way of its own: a page, a broken line, a refusal that ends the fetching."""
    faults = {
        "bob-b": echo(200, "text/html", b"<html>"),
        "carol_c": echo(200, "application/x-ndjson", b'{"id": "Zz000009", "players": 7, "told": '),
        "dave_d": echo(401),
    }
    if number == 0:
        return echo(500)
    return next((fault for name, fault in faults.items() if f"/{name}" in question.path), None)


@dataclass
class Home:
    """A lakehouse with secrets in all settings, and what its commands printed."""

    folder: Path
    server: ReplayServer
    printed: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        command = "import os, sys; sys.exit(os.environ['KSHIFT_LICHESS_TOKEN'] + os.environ['KSHIFT_ALERT_WEBHOOK'])"
        closed = free_port()
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            "KSHIFT_HOME": str(self.folder),
            "KSHIFT_LICHESS_URL": self.server.url,
            "KSHIFT_PLAYERS": PLAYERS,
            "KSHIFT_LICHESS_TOKEN": PLANTED["Token"],
            "KSHIFT_ALERT_WEBHOOK": f"http://127.0.0.1:{closed}/hooks/{PLANTED['Hook']}",
            "KSHIFT_ALERT_SMTP": f"smtp://me:{quote(MAIL_PASSWORD, safe='')}@127.0.0.1:{closed}",
            "KSHIFT_ALERT_MAIL_TO": "me@example.org",
            "KSHIFT_ALERT_COMMAND": f"{sys.executable} -c {shlex.quote(command)} {PLANTED['Command']}",
            "KSHIFT_CELERY_BROKER": f"redis://:{PLANTED['Broker']}@127.0.0.1:{closed}/0",
            "AWS_ACCESS_KEY_ID": PLANTED["AwsId"],
            "AWS_SECRET_ACCESS_KEY": PLANTED["AwsKey"],
            "KSHIFT_DATA_AGE_DAYS": "36600",
        }

    def kshift(self, *arguments: str, **settings: str) -> int:
        """Run a command; its exit code."""
        found = subprocess.run(
            [sys.executable, *KSHIFT, *arguments],
            env=self.settings | settings,
            cwd=self.folder.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
        self.printed.append((" ".join(arguments), found.returncode, found.stdout))
        return found.returncode


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Everything that a lakehouse does, and everything that can go wrong with a secret at hand."""
    folder = tmp_path_factory.mktemp("planted")
    games = [game(number, MARCH + number * MINUTE) for number in range(5)]
    world = World({one["id"]: one for one in games})
    with ReplayServer(world, plan) as server:
        home = Home(folder / "home", server)
        assert home.kshift("demo") == 0
        assert home.kshift("ingest", "--alert") == 1
        assert [fault.fault for fault in server.ledger.asked if fault.fault].count("500") == 1
        home.kshift("ingest", "--alert")
        home.kshift("alerts", "--test")
        home.kshift("doctor")
        home.kshift("runs")
        home.kshift("status")
        postgres = f"postgresql://me:{PLANTED['Postgres']}@127.0.0.1:{free_port()}/dagster"
        assert home.kshift("status", KSHIFT_DAGSTER_POSTGRES=postgres) == 2
        assert home.kshift("ingest", KSHIFT_EXECUTOR="celery") != 0
        store = {"KSHIFT_LAKE_URI": "s3://bucket/lake", "AWS_ENDPOINT_URL": server.url, "AWS_ALLOW_HTTP": "true"}
        assert home.kshift("status", AWS_REGION="eu-west-1", **store) == 2
        for name, value in {
            "KSHIFT_LICHESS_TOKEN": f"{PLANTED['Token']} with a blank",
            "KSHIFT_ALERT_WEBHOOK": f"gopher://{PLANTED['Hook']}",
            "KSHIFT_ALERT_SMTP": f"smtp:/me:{PLANTED['Mail']}",
            "KSHIFT_CELERY_BROKER": f"amqp://me:{PLANTED['Broker']}@x",
            "KSHIFT_DAGSTER_POSTGRES": f"mysql://me:{PLANTED['Postgres']}@x/y",
        }.items():
            assert home.kshift("sql", "SELECT 1", **{name: value}) == 2
        yield home


def told(text: bytes) -> set[str]:
    """The names of the secrets that stand in a text, as they are or as they travel."""
    forms = {
        name: {secret, quote(secret, safe=""), b64encode(secret.encode()).decode()} for name, secret in PLANTED.items()
    }
    return {name for name, each in forms.items() if any(form.encode() in text for form in each)}


def readings(file: Path) -> Iterator[bytes]:
    """A file's bytes, and what they say to who can unpack them."""
    yield file.read_bytes()
    if file.suffix == ".parquet":
        yield pl.read_parquet(file, hive_partitioning=False).write_ndjson().encode()
    elif file.read_bytes()[:15] == b"SQLite format 3":
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                yield repr(database.execute(f'SELECT * FROM "{table}"').fetchall()).encode()
    elif file.suffix == ".duckdb":
        with duckdb.connect(str(file), read_only=True) as database:
            yield repr(database.execute("SELECT sql, comment FROM duckdb_views()").fetchall()).encode()
            yield repr(database.execute("SELECT comment FROM duckdb_columns()").fetchall()).encode()


def test_the_search_finds_what_is_packed(tmp_path: Path) -> None:
    secret = PLANTED["Token"]
    pl.DataFrame({"a": [f"x{secret}"] * 3}).write_parquet(tmp_path / "a.parquet", compression="zstd")
    with sqlite3.connect(tmp_path / "b.db") as database:
        database.execute("CREATE TABLE t AS SELECT ? AS said", [f"x{secret}"])
    with duckdb.connect(str(tmp_path / "c.duckdb")) as database:
        database.execute(f"CREATE VIEW v AS SELECT '{secret}' AS said")
    (tmp_path / "d.txt").write_text(quote(MAIL_PASSWORD, safe=""))

    found = {file.name: set().union(*map(told, readings(file))) for file in tmp_path.iterdir()}
    assert found == {"a.parquet": {"Token"}, "b.db": {"Token"}, "c.duckdb": {"Token"}, "d.txt": {"Mail"}}


def test_the_token_was_sent_and_said_back(home: Home) -> None:
    sent = {asked.fault for asked in home.server.ledger.asked if asked.fault}
    assert sent == {"500", "401", "200"}
    assert list(home.folder.glob("state/quarantine/*.txt")), "nothing that was said back was kept"
    assert (home.folder / "alerts.jsonl").stat().st_size > 0


def test_no_command_prints_a_secret(home: Home) -> None:
    assert [(command, told(text.encode()), text) for command, _, text in home.printed if told(text.encode())] == []


def test_no_command_fails_in_a_traceback(home: Home) -> None:
    assert [command for command, _, text in home.printed if "Traceback" in text] == []


def test_no_file_holds_a_secret(home: Home) -> None:
    files = [file for file in home.folder.rglob("*") if file.is_file()]
    kinds = {file.suffix for file in files}
    assert kinds >= {".parquet", ".db", ".duckdb", ".json", ".jsonl", ".txt"}
    leaks = {
        str(file.relative_to(home.folder)): names
        for file in files
        if (names := set().union(*map(told, readings(file))))
    }
    assert leaks == {}
