"""Alerts reach people: once an incident and once when it is over, in order, also those from while nobody listened."""

import json
import multiprocessing
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alert_receivers import Hook, Post, free_port
from resources.alert_channels import Command, Letter, LogFile, Mail, NotDelivered, Webhook
from resources.alert_settings import alerts_of
from resources.alerts import REMEDIES, Alert, Alerts, Delivery
from resources.settings import load_settings

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
TROUBLE = Alert("chess/games 2024-01", "trouble", "the disk is full", "run", path="/runs/abc")
WELL = Alert("chess/games 2024-01", "recovered", "it succeeded", "run", path="/runs/def")


def to(hook: Hook, folder: Path, per_hour: int = 30) -> Alerts:
    return Alerts(folder=str(folder), delivery=Delivery([Webhook(hook.url)], per_hour, "https://ui.example"))


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[], list[dict[str, str]]]:
    """The alerts in the file."""
    return lambda: [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]


def test_an_incident_is_told_once_and_its_end_once(tmp_path: Path) -> None:
    with Hook().up() as hook:
        alerts = to(hook, tmp_path)
        assert [alerts.send(TROUBLE, NOW) for _ in range(3)] == [True, False, False]
        assert [one["subject"] for one in alerts.incidents()] == [TROUBLE.subject]
        assert [alerts.send(WELL, NOW + timedelta(hours=1)) for _ in range(3)] == [True, False, False]
        assert alerts.incidents() == []
        assert alerts.send(TROUBLE, NOW + timedelta(hours=2)), "the same thing breaks anew"
    assert hook.titles == [f"{one}: chess/games 2024-01" for one in ("trouble", "recovered", "trouble")]


def test_a_message_says_what_where_since_when_what_to_do_and_links_to_the_ui(tmp_path: Path) -> None:
    with Hook().up() as hook:
        alerts = to(hook, tmp_path)
        alerts.send(TROUBLE, NOW)
        alerts.send(WELL, NOW + timedelta(hours=1))
    trouble, well = hook.messages
    assert trouble["text"] == "[KnightShift] trouble: chess/games 2024-01\nthe disk is full"
    [attachment] = trouble["attachments"]
    assert {one["title"]: one["value"] for one in attachment["fields"]} == {
        "kind": "run",
        "since": "2026-05-01T12:00:00+00:00",
        "remedy": REMEDIES["run"],
        "link": "https://ui.example/runs/abc",
    }
    assert well["knightshift"]["since"] == "2026-05-01T12:00:00+00:00", "when it began"
    assert well["knightshift"]["time"] == "2026-05-01T13:00:00+00:00"


def test_what_happened_while_the_receiver_was_down_comes_later_in_order_and_once(tmp_path: Path) -> None:
    hook = Hook(port=free_port())
    alerts = to(hook, tmp_path)
    for number in range(3):
        alerts.send(Alert(f"asset {number}", "trouble", "it failed"), NOW)
    alerts.send(Alert("asset 1", "recovered", "it succeeded"), NOW)
    number, reason = alerts.waiting()["webhook"]
    assert number == 4
    assert "could not be reached" in reason
    with hook.up():
        to(hook, tmp_path).flush(NOW + timedelta(seconds=29))
        assert hook.titles == [], "it is left alone for a while"
        hook.status = 503
        to(hook, tmp_path).flush(NOW + timedelta(seconds=31))
        assert "answered 503" in alerts.waiting()["webhook"][1]
        hook.status = 200
        to(hook, tmp_path).flush(NOW + timedelta(minutes=5))
        to(hook, tmp_path).flush(NOW + timedelta(minutes=6))
    assert hook.titles == ["trouble: asset 0", "trouble: asset 1", "trouble: asset 2", "recovered: asset 1"]
    assert alerts.waiting() == {}


def test_one_receiver_that_is_down_keeps_nothing_from_the_others(tmp_path: Path, lines) -> None:
    dead = Webhook(f"http://127.0.0.1:{free_port()}/x")
    delivery = Delivery([dead, LogFile(tmp_path / "alerts.jsonl")])
    Alerts(folder=str(tmp_path / "state"), delivery=delivery).send(TROUBLE)
    assert [line["subject"] for line in lines()] == [TROUBLE.subject]


def test_a_flood_ends_in_one_message_that_tells_of_all_that_wait(tmp_path: Path) -> None:
    with Hook().up() as hook:
        alerts = to(hook, tmp_path, per_hour=3)
        for number in range(2):
            alerts.send(Alert(f"asset {number}", "trouble", "it failed"), NOW)
        hook.status = 500
        for number in range(2, 50):
            alerts.send(Alert(f"asset {number}", "trouble", "it failed"), NOW)
        hook.status = 200
        alerts.flush(NOW + timedelta(minutes=30))
        alerts.send(Alert("asset 99", "trouble", "it failed"), NOW + timedelta(minutes=31))
        assert hook.titles == ["trouble: asset 0", "trouble: asset 1", "trouble: 48 alerts at once"]
        assert "trouble: asset 2: it failed" in hook.messages[2]["text"]
        assert "and 28 more" in hook.messages[2]["text"]
        alerts.flush(NOW + timedelta(minutes=61))
    assert hook.titles[3:] == ["trouble: asset 99"]


def test_what_is_observed_as_a_whole_ends_by_not_being_among_it(tmp_path: Path) -> None:
    with Hook().up() as hook:
        alerts = to(hook, tmp_path)
        alerts.send(Alert("the daemon", "trouble", "silent", "daemon"))
        both = [Alert("a", "trouble", "full", "disk"), Alert("b", "trouble", "full", "disk")]
        assert len(alerts.observe("disk", both, "room again")) == 2
        assert alerts.observe("disk", both, "room again") == []
        assert [one.subject for one in alerts.observe("disk", both[1:], "room again")] == ["a"]
    assert hook.titles[1:] == ["trouble: a", "trouble: b", "recovered: a"]
    assert alerts.troubled("daemon") == ["the daemon"], "other kinds are left alone"


def send_many(port: int, folder: Path, barrier) -> None:
    barrier.wait()
    alerts = to(Hook(port=port), folder, per_hour=1_000)
    for number in range(5):
        alerts.send(Alert(f"asset {number}", "trouble", "it failed"))


def test_four_processes_tell_each_incident_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with Hook().up() as hook:
        barrier = context.Barrier(4)
        senders = [context.Process(target=send_many, args=(hook.port, tmp_path, barrier)) for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
            assert sender.exitcode == 0
        to(hook, tmp_path).flush()
    assert sorted(hook.titles) == [f"trouble: asset {number}" for number in range(5)]


def test_a_kill_between_storing_and_delivering_loses_nothing(tmp_path: Path) -> None:
    """What a killed process leaves: an incident and its letter, in one transaction."""
    hook = Hook(port=free_port())
    to(hook, tmp_path).send(TROUBLE, NOW)
    with sqlite3.connect(tmp_path / "alerts.sqlite") as database:
        assert database.execute("SELECT count(*) FROM incidents, outbox").fetchone() == (1,)
        database.execute("DELETE FROM pauses")
    database.close()
    with hook.up():
        to(hook, tmp_path).flush(NOW)
    assert hook.titles == ["trouble: chess/games 2024-01"]


def test_mail_arrives_with_all_of_it(tmp_path: Path) -> None:
    with Post().up() as post:
        mail = Mail(f"smtp://127.0.0.1:{post.port}", "k@example.org", ("a@example.org", "b@example.org"))
        alerts = Alerts(folder=str(tmp_path), delivery=Delivery([mail], ui_url="https://ui.example"))
        alerts.send(Alert("chess/games: schema", "trouble", "rules broken\r\nBcc: x@evil.example", path="/runs/1"), NOW)
        alerts.send(Alert("chess/games: schema", "recovered", "fine"), NOW)
    trouble, well = post.mails
    assert trouble["Subject"] == "[KnightShift] trouble: chess/games: schema"
    assert (trouble["To"], trouble["From"], trouble["Bcc"]) == ("a@example.org, b@example.org", "k@example.org", None)
    body = trouble.get_payload(decode=True).decode()
    for part in ("rules broken", "since 2026-05-01T12:00:00+00:00", REMEDIES["run"], "https://ui.example/runs/1"):
        assert part in " ".join(body.split())
    assert well["Subject"].startswith("[KnightShift] recovered")
    assert trouble["Message-ID"] != well["Message-ID"]


def test_mail_from_while_the_server_was_down_comes_later(tmp_path: Path) -> None:
    post = Post(port=free_port())
    mail = Mail(f"smtp://127.0.0.1:{post.port}", "k@example.org", ("a@example.org",))
    alerts = Alerts(folder=str(tmp_path), delivery=Delivery([mail]))
    alerts.send(TROUBLE, NOW)
    alerts.send(WELL, NOW)
    assert alerts.waiting()["mail"][0] == 2
    with post.up():
        alerts.flush(NOW + timedelta(minutes=11))
        alerts.flush(NOW + timedelta(minutes=12))
    assert [mail["Subject"].split()[1] for mail in post.mails] == ["trouble:", "recovered:"]


def test_a_password_is_not_sent_to_a_server_that_does_not_encrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    with Post().up() as post:
        mail = Mail(f"smtp://me:sesame@mail.example:{post.port}", "k@example.org", ("a@example.org",))
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", post.port))])
        with pytest.raises(NotDelivered, match="never sent in the clear") as caught:
            mail.deliver(Letter("trouble", "run", "a", "b", "now", "then", "do", "https://ui.example", "1"))
    assert post.mails == []
    assert "sesame" not in str(caught.value)


def test_a_command_gets_json_on_its_standard_input(tmp_path: Path) -> None:
    script = tmp_path / "take.py"
    script.write_text("import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())")
    target = tmp_path / "it's here.json"
    command = Command(f'{sys.executable} {script} "{target}"')
    Alerts(folder=str(tmp_path / "state"), delivery=Delivery([command])).send(TROUBLE)
    assert json.loads(target.read_text())["text"] == "the disk is full"


def test_a_command_that_fails_is_tried_again(tmp_path: Path) -> None:
    alerts = Alerts(folder=str(tmp_path), delivery=Delivery([Command("false")]))
    alerts.send(TROUBLE)
    assert alerts.waiting()["command"] == (1, "the command false exited with 1")
    alerts = Alerts(folder=str(tmp_path), delivery=Delivery([Command("true")]))
    alerts.flush(datetime.now(UTC) + timedelta(minutes=11))
    assert alerts.waiting() == {}


def test_secrets_are_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token, home = "lip_" + "secret" * 4, tmp_path / "home"
    hook = Hook(port=free_port())
    settings = load_settings(
        home=home,
        lichess_token=token,
        alert_webhook=hook.url,
        alert_smtp=f"smtp://me:s%40same@127.0.0.1:{free_port()}",  # pragma: allowlist secret
        alert_mail_to="me@example.org",
    )
    alerts = alerts_of(settings)
    alerts.send(Alert(f"by {token}", "trouble", f"{token}, {hook.url}, s@same, Bearer abcdef, apikey=xyz", "run"))
    told = (home / "alerts.jsonl").read_text() + caplog.text + str(alerts.waiting()) + repr(alerts)
    told += (settings.state / "alerts" / "alerts.sqlite").read_bytes().decode("latin-1")
    assert json.loads((home / "alerts.jsonl").read_text())["subject"] == "by ***"
    for secret in (token, "hooksecret", "s@same", "s%40same", "abcdef", "xyz"):
        assert secret not in told


def test_without_a_folder_alerts_only_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Alerts().send(TROUBLE)
    assert caplog.messages == ["trouble: chess/games 2024-01: the disk is full"]
