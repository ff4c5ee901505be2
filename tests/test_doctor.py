"""`kshift doctor`: what is wrong is found, each with a remedy, and what is well is not called wrong."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from alert_receivers import free_port
from resources.settings import Settings, load_settings
from serving.doctor import Finding, examine
from serving.replay import ReplayServer
from worlds import world

TOKEN = "lip_" + "secret" * 4


def findings(settings: Settings, *, offline: bool = True) -> dict[str, Finding]:
    return {one.what: one for one in examine(settings, offline=offline)}


@contextmanager
def lichess(scopes: str | None) -> Iterator[str]:
    """A server that knows the token with these scopes, or not at all."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.reply({sent: None if scopes is None else {"scopes": scopes, "userId": "amber"}})

        def reply(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_where_all_is_well_nothing_is_found(tmp_path: Path) -> None:
    with ReplayServer(world(1)) as server:
        found = findings(load_settings(home=tmp_path, lichess_url=server.url), offline=False)
    assert [one for one in found.values() if one.state == "finding"] == []
    assert found["Lichess"].text == f"{server.url} answers"
    assert found["catalogue"].text == "nothing is published yet"


def test_offline_asks_nobody(tmp_path: Path) -> None:
    found = findings(load_settings(home=tmp_path, lichess_url=f"http://127.0.0.1:{free_port()}"))
    assert found["Lichess"].state == "skipped"


def test_every_finding_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "latest.json").write_text("{")
    settings = load_settings(home=tmp_path, engine="no-such-engine", daemon_silent_minutes=5)
    monkeypatch.setattr("serving.doctor.shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    monkeypatch.setattr("serving.doctor.time.time", lambda: 0.0)
    monkeypatch.setattr("serving.doctor.version", lambda _: "0.0.1")
    monkeypatch.setattr("serving.doctor.sys.version_info", (3, 10, 1))
    may = os.access
    monkeypatch.setattr("serving.doctor.os.access", lambda place, mode: place != tmp_path and may(place, mode))
    found = findings(settings)
    wrong = {what for what, one in found.items() if one.state == "finding"}
    assert wrong == {"python", "packages", "folders", "disk", "clock", "catalogue", "daemon", "engine"}
    assert all(found[what].remedy for what in wrong)


@pytest.mark.parametrize(
    ("scopes", "state", "words"),
    [("", "ok", "without a scope"), ("board:play", "finding", "board:play"), (None, "finding", "does not know")],
)
def test_a_token_is_looked_at_and_never_shown(tmp_path: Path, scopes: str | None, state: str, words: str) -> None:
    with lichess(scopes) as url:
        found = findings(load_settings(home=tmp_path, lichess_url=url, lichess_token=TOKEN), offline=False)
    assert (found["token"].state, words in found["token"].text) == (state, True)
    assert TOKEN not in str(found)
