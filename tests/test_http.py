"""The polite HTTP client: refusals, failures, cuts, limits and secrets, against a server that misbehaves on purpose."""

import gzip
import logging
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from asking import EXPORT
from clocks import HandClock
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from resources.breaker import Patience
from resources.errors import UserError
from resources.exchange import Fetch, Limits, Request, Response, new_id
from resources.http import Access, PoliteClient, user_agent
from resources.lines import Line, Truncated, gunzip, split
from resources.source_errors import (
    BadRequest,
    NoConnection,
    NotThere,
    RedirectRefused,
    Refused,
    ServerFailed,
    SourceError,
    SourceOpen,
    StreamBroken,
)
from serving.replay import ReplayServer
from serving.replay_api import Answer, Question, error
from serving.replay_stage import Manners
from serving.replay_wire import Ending, Fault, lines
from worlds import hasty, world

TOKEN = "lip_NotARealTokenOnlyATest"  # noqa: S105  # as it says  # pragma: allowlist secret


class Guest:
    """A client of a server, with what both wrote down."""

    def __init__(self, server: ReplayServer, client: PoliteClient, clock: HandClock, fetches: list[Fetch]) -> None:
        self.server, self.client, self.clock, self.fetches = server, client, clock, fetches

    def ask(self, request: Request = EXPORT) -> list[bytes]:
        return self.client.ask(request, lambda response: [line.data for line in response.lines()])

    @property
    def n_asked(self) -> int:
        return len(self.server.ledger.asked)


@contextmanager
def guest(
    folder: Path,
    faults: list[Fault | None] | None = None,
    limits: Limits | None = None,
    token: str = "",
    **patience: Any,
) -> Iterator[Guest]:
    """A guest of a server whose n-th answer has the n-th fault; the last one goes on for ever if it is given twice."""
    clock, fetches, plan = HandClock(), [], list(faults or [])

    def planned(number: int, _: Question) -> Fault | None:
        return plan[number] if number < len(plan) else None

    with ReplayServer(world(20), planned, Manners(), clock=clock.steady) as server:
        access = Access(SecretStr(token), Patience(**patience), limits or hasty(), clock)
        client = PoliteClient(
            server.url, source="lichess", state=folder, access=access, on_fetch=fetches.append, contact="me@example.org"
        )
        with client:
            yield Guest(server, client, clock, fetches)


def status(number: int, **headers: str) -> Fault:
    listed = tuple((name.replace("_", "-"), value) for name, value in headers.items())

    def change(_: Answer) -> Answer:
        answer = error(number, "on purpose")
        return replace(answer, headers=(*answer.headers, *listed))

    return Fault(change=change, name=str(number))


# Silence after a 429


def test_after_a_429_nothing_is_asked_for_a_minute(tmp_path: Path) -> None:
    with guest(tmp_path, [status(429)]) as it:
        assert len(it.ask()) == 5
        assert it.clock.slept == [60]
        assert [one.status for one in it.server.ledger.asked] == [429, 200]
        assert it.server.ledger.early == []


def test_a_silence_that_another_client_was_asked_for_is_kept(tmp_path: Path) -> None:
    with guest(tmp_path) as it:
        other = PoliteClient(it.server.url, source="lichess", state=tmp_path, access=Access(clock=it.clock))
        with other.gate.turn() as turn:
            turn.save(turn.state.after_refusal(other.patience, it.clock, None))
        it.clock.pass_time(10)
        assert len(it.ask()) == 5
        assert it.clock.slept == [50]


def test_a_silence_doubles_when_the_429_is_repeated(tmp_path: Path) -> None:
    with guest(tmp_path, [status(429)] * 4) as it:
        assert len(it.ask()) == 5
        assert it.clock.slept == [60, 120, 240, 480]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("3", 60),
        ("0", 60),
        ("-5", 60),
        ("soon", 60),
        ("1e9", 60),
        ("\u0661\u0662\u0660".encode().decode("latin-1"), 60),
        ("Wed, 21 Oct", 60),
        ("Wed, 99 Foo 9999 99:99:99 GMT", 60),
    ],
)
def test_retry_after_counts_where_it_is_longer_and_makes_sense(tmp_path: Path, value: str, seconds: float) -> None:
    with guest(tmp_path, [status(429, Retry_After=value)]) as it:
        it.ask()
        assert it.clock.slept == [seconds]


@pytest.mark.parametrize("our_clock_is_off_by", [0.0, 3600.0, -3600.0])
def test_a_date_in_retry_after_is_measured_on_the_servers_clock(tmp_path: Path, our_clock_is_off_by: float) -> None:
    there = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
    then = there.replace(minute=5)
    fault = status(429, Retry_After=format_datetime(then, usegmt=True), Date=format_datetime(there, usegmt=True))
    with guest(tmp_path, [fault]) as it:
        it.clock.set_wall(our_clock_is_off_by)
        it.ask()
        assert it.clock.slept == [300]


def test_a_silence_of_half_a_day_is_not_sat_out_but_said(tmp_path: Path) -> None:
    with guest(tmp_path, [status(429, Retry_After="43200")]) as it:
        with pytest.raises(SourceOpen, match="it asked for a long silence") as caught:
            it.ask()
        assert it.clock.slept == []
        assert caught.value.until.timestamp() == it.clock.wall() + 43_200
        it.clock.pass_time(43_200)
        assert len(it.ask()) == 5
        assert it.n_asked == 2


@pytest.mark.parametrize("hour", [-3600.0, 3600.0])
def test_a_clock_that_is_set_while_silent_changes_nothing(tmp_path: Path, hour: float) -> None:
    with guest(tmp_path, [status(429)]) as it:
        sleep = it.clock.sleep

        def interrupted(seconds: float) -> None:
            it.clock.set_wall(hour)
            sleep(seconds / 2)  # and it wakes too early, as a real sleep may

        it.clock.sleep = interrupted  # type: ignore[method-assign]  # the test's own clock
        before = it.clock.steady()
        it.ask()
        assert it.server.ledger.early == []
        assert 60 <= it.clock.steady() - before < 61


# Failures and the breaker


@pytest.mark.parametrize("number", [408, 425, 500, 502, 503, 504, 520])
def test_a_failing_server_is_asked_again(tmp_path: Path, number: int) -> None:
    with guest(tmp_path, [status(number), status(number)]) as it:
        assert len(it.ask()) == 5
        assert [fetch.n_status for fetch in it.fetches] == [number, number, 200]


def test_a_server_that_goes_on_failing_is_given_up_for_this_request(tmp_path: Path) -> None:
    with guest(tmp_path, [status(503)] * 3) as it:
        with pytest.raises(ServerFailed, match=r"lichess, GET /api/games/user/alice_a: answered 503 .*on purpose"):
            it.ask()
        assert it.n_asked == 3


def test_the_breaker_opens_at_the_limit_and_lets_one_probe_through_after_its_pause(tmp_path: Path) -> None:
    with guest(tmp_path, [status(500)] * 6) as it:
        with pytest.raises(ServerFailed):
            it.ask()
        with pytest.raises(SourceOpen, match="5 requests in a row failed") as caught:
            it.ask()
        assert it.n_asked == 5
        assert caught.value.until.timestamp() == it.clock.wall() + 300
        for _ in range(3):
            with pytest.raises(SourceOpen):
                it.ask()
        assert it.n_asked == 5
        it.clock.pass_time(300)
        with pytest.raises(SourceOpen):
            it.ask()  # the probe failed
        assert it.n_asked == 6
        it.clock.pass_time(599)
        with pytest.raises(SourceOpen):
            it.ask()
        it.clock.pass_time(1)
        assert len(it.ask()) == 5
        assert it.n_asked == 7
        assert it.client.gate.state().failures == 0


def test_an_open_breaker_outlives_its_process(tmp_path: Path) -> None:
    with guest(tmp_path, [status(500)] * 9, failures_to_open=3) as it:
        with pytest.raises(ServerFailed):
            it.ask()
        again = PoliteClient(it.server.url, source="lichess", state=tmp_path, access=Access(clock=it.clock))
        with again, pytest.raises(SourceOpen):
            again.ask(EXPORT, Response.body)
        assert it.n_asked == 3


def test_a_refused_connection_and_a_name_that_does_not_exist_are_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid"):
        fetches: list[Fetch] = []
        access = Access(limits=hasty(), clock=HandClock())
        with PoliteClient(url, source="lichess", state=tmp_path, access=access, on_fetch=fetches.append) as client:
            with pytest.raises(NoConnection, match="the host could not be reached"):
                client.ask(EXPORT, Response.body)
            assert client.gate.state().failures == 3
        assert [fetch.n_status for fetch in fetches] == [None] * 3
        assert all(fetch.val_error for fetch in fetches)


def test_a_connection_that_is_closed_without_an_answer_is_tried_again(tmp_path: Path) -> None:
    with guest(tmp_path, [Fault(Ending.REFUSED), Fault(Ending.REFUSED)]) as it:
        assert len(it.ask()) == 5
        assert it.n_asked == 3


def test_a_server_that_is_too_slow_to_answer_is_given_up(tmp_path: Path) -> None:
    with (
        guest(tmp_path, [Fault(seconds=30)], limits=hasty(read_seconds=0.2, attempts=1)) as it,
        pytest.raises(NoConnection, match="took too long"),
    ):
        it.ask()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (400, BadRequest),
        (401, Refused),
        (403, Refused),
        (404, NotThere),
        (410, NotThere),
        (418, BadRequest),
        (204, BadRequest),
    ],
)
def test_what_will_not_pass_is_not_asked_again(tmp_path: Path, number: int, kind: type[SourceError]) -> None:
    with guest(tmp_path, [status(number)]) as it:
        with pytest.raises(kind):
            it.ask()
        assert it.n_asked == 1
        assert it.client.gate.state().failures == 0


# Answers that break off


@pytest.mark.parametrize("ending", [Ending.CLOSED, Ending.RESET, Ending.IN_CHUNK, Ending.IN_CHUNK_HEAD, Ending.STALLED])
@pytest.mark.parametrize("cut_at", [0, 700])
def test_an_answer_that_breaks_off_is_an_error_and_is_asked_for_again(
    tmp_path: Path, ending: Ending, cut_at: int
) -> None:
    with guest(tmp_path, [Fault(ending, cut_at)], limits=hasty(read_seconds=0.3)) as it:
        assert len(it.ask()) == 5
        assert it.n_asked == 2
        assert it.fetches[0].val_error
        assert it.fetches[1].val_error is None


def test_a_truncated_gzip_is_an_error_although_it_ends_cleanly(tmp_path: Path) -> None:
    with guest(tmp_path, [Fault(Ending.CLEAN, 300, is_packed=True), Fault(is_packed=True)]) as it:
        assert len(it.ask()) == 5
        assert "gzip stream ends before its end mark" in str(it.fetches[0].val_error)
        assert it.fetches[1].n_bytes > 2000


def test_a_packing_that_was_not_asked_for_is_an_error(tmp_path: Path) -> None:
    def packed(answer: Answer) -> Answer:
        return replace(answer, headers=(*answer.headers, ("Content-Encoding", "br")))

    with (
        guest(tmp_path, [Fault(change=packed)], limits=hasty(attempts=1)) as it,
        pytest.raises(StreamBroken, match="'br'"),
    ):
        it.ask()


def test_an_answer_larger_than_allowed_is_given_up(tmp_path: Path) -> None:
    with guest(tmp_path, limits=hasty(body_bytes=1000, attempts=1)) as it, pytest.raises(StreamBroken, match="1,000"):
        it.ask()


def test_an_answer_that_drips_for_ever_is_given_up(tmp_path: Path) -> None:
    with guest(tmp_path, limits=hasty(whole_seconds=10, attempts=1)) as it:

        def slowly(response: Response) -> int:
            for _ in response.chunks():
                it.clock.pass_time(4)
            return response.n_bytes

        with pytest.raises(StreamBroken, match="took longer than 10 s"):
            it.client.ask(EXPORT, slowly)


def test_after_an_answer_that_was_not_read_to_its_end_the_host_gets_a_moment(tmp_path: Path) -> None:
    with guest(tmp_path, limits=hasty(settle_seconds=1.5)) as it:
        first = it.client.ask(EXPORT, lambda response: next(response.lines()).data)
        assert it.clock.slept == []
        assert it.ask()[0] == first
        assert it.clock.slept == [1.5]
        it.ask()
        assert it.clock.slept == [1.5]


def test_a_line_of_fifty_megabytes_is_skipped_without_holding_it(tmp_path: Path) -> None:
    def grown(found: list[bytes]) -> list[bytes]:
        return [found[0], *[b"x" * (1 << 20)] * 50, b"\n", *found[1:]]

    with guest(tmp_path, [Fault(change=lines(grown))], limits=hasty(line_bytes=1 << 20)) as it:
        tracemalloc.start()
        found = it.client.ask(EXPORT, lambda response: list(response.lines()))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [line.is_too_long for line in found] == [False, True, False, False, False, False]
    assert len(found[1].data) == 1 << 20
    assert peak < 16 << 20  # the server's 50 pieces are one object


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=40))
def test_lines_are_the_same_however_the_bytes_arrive(text: bytes, sizes: list[int]) -> None:
    chunks, rest = [], text
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    found = list(split([*chunks, rest], 1000))
    expected = text.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert [line.data for line in found] == expected
    assert [line.is_ended for line in found] == [True] * text.count(b"\n") + [False] * (
        len(expected) - text.count(b"\n")
    )


@given(st.lists(st.binary(max_size=60), max_size=8), st.integers(1, 30))
def test_a_line_past_the_limit_is_marked_and_no_other(parts: list[bytes], longest: int) -> None:
    texts = [part.replace(b"\n", b"") for part in parts]
    found = list(split([text + b"\n" for text in texts], longest))
    assert found == [Line(text[:longest], is_too_long=len(text) > longest) for text in texts]


@given(st.binary(max_size=2000), st.integers(1, 50), st.sampled_from([b"", b"more"]))
def test_gzip_is_unpacked_however_it_arrives_and_never_short(text: bytes, step: int, more: bytes) -> None:
    packed = gzip.compress(text) + (gzip.compress(more) if more else b"")
    chunks = [packed[at : at + step] for at in range(0, len(packed), step)]
    assert b"".join(gunzip(chunks)) == text + more
    with pytest.raises(Truncated):
        list(gunzip([packed[: len(packed) - 1]]))


def test_a_gzip_bomb_comes_in_small_steps() -> None:
    packed = gzip.compress(bytes(50 << 20))
    assert max(len(piece) for piece in gunzip([packed])) <= 1 << 18


# Who asks, and for whom


def test_every_request_says_who_asks_and_whom_to_write_to(tmp_path: Path) -> None:
    with guest(tmp_path) as it:
        it.ask()
        (asked,) = it.server.ledger.asked
    assert asked.question.headers["user-agent"] == "KnightShift/0.1.0 (+me@example.org)"
    assert "authorization" not in asked.question.headers


@pytest.mark.parametrize("contact", ["a\r\nX-Evil: 1", "a\x00b", "\u00fcmlaut"])
def test_a_contact_that_would_change_the_request_is_refused(contact: str) -> None:
    with pytest.raises(UserError, match="cannot be sent"):
        user_agent(contact)


def test_the_token_is_in_the_header_and_nowhere_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def echo(_: Answer) -> Answer:
        return error(401, f"No such token: {TOKEN}, Bearer {TOKEN}")

    with guest(tmp_path, [Fault(change=echo), status(429), status(500)], token=TOKEN) as it:
        with pytest.raises(Refused) as caught:
            it.ask()
        it.ask()
        assert {one.question.headers["authorization"] for one in it.server.ledger.asked} == {f"Bearer {TOKEN}"}
        assert all(TOKEN not in f"{one.question.path}{one.question.params}" for one in it.server.ledger.asked)
        seen = [
            repr(it.client),
            repr(vars(it.client)),
            repr(it.fetches),
            str(caught.value),
            repr(caught.value),
            caplog.text,
        ]
    assert "No such token" in str(caught.value)
    assert not [text for text in seen if TOKEN in text or "NotARealToken" in text]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_token_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a token is only sent over https"):
        PoliteClient("http://lichess.example", source="lichess", state=tmp_path, access=Access(SecretStr(TOKEN)))
    PoliteClient("https://lichess.example", source="lichess", state=tmp_path, access=Access(SecretStr(TOKEN)))


# Redirects


def moved(number: int, target: Callable[[], str]) -> Fault:
    return Fault(change=lambda _: replace(error(number, "moved"), headers=(("Location", target()),)))


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_refused_and_that_host_hears_nothing(tmp_path: Path, number: int) -> None:
    with ReplayServer(world()) as other, guest(tmp_path, [moved(number, lambda: f"{other.url}/x")], token=TOKEN) as it:
        with pytest.raises(RedirectRefused, match="redirected to another host"):
            it.ask()
        assert other.ledger.asked == []
        assert it.n_asked == 1


@pytest.mark.parametrize(
    "target", ["//127.0.0.2/x", "https://127.0.0.1/x", "ftp://127.0.0.1/x", "http://[", "http://user@evil.example/"]
)
def test_tricky_redirects_are_refused(tmp_path: Path, target: str) -> None:
    with guest(tmp_path, [moved(302, lambda: target)]) as it, pytest.raises(RedirectRefused):
        it.ask()


def test_a_redirect_on_the_same_host_is_followed_within_the_same_turn(tmp_path: Path) -> None:
    with guest(tmp_path, [moved(302, lambda: "/api/games/user/bob-b?max=3")]) as it:
        assert len(it.ask()) == 3
        assert [one.question.path for one in it.server.ledger.asked] == [
            "/api/games/user/alice_a",
            "/api/games/user/bob-b",
        ]


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    with guest(tmp_path, [moved(302, lambda: "/api/games/user/alice_a")] * 50) as it:
        with pytest.raises(RedirectRefused, match="again and again"):
            it.ask()
        assert it.n_asked == 4


# The fetch log


def test_every_request_leaves_a_row_in_the_fetch_log(tmp_path: Path) -> None:
    with guest(tmp_path, [status(503)]) as it:
        it.ask()
        sizes = sum(len(line) + 1 for line in it.ask())
        first, second, third = it.fetches
    assert (first.n_status, second.n_status, third.n_status) == (503, 200, 200)
    assert second.val_request == "GET /api/games/user/alice_a?max=5"
    assert (third.n_rows, third.n_bytes, third.val_source) == (5, sizes, "lichess")
    assert first.id_fetch < second.id_fetch < third.id_fetch or first.tm_started == third.tm_started


def test_ids_of_fetches_sort_by_time() -> None:
    moments = [datetime.fromtimestamp(1_700_000_000 + number, UTC) for number in range(50)]
    ids = [new_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert len(set(ids)) == 50
