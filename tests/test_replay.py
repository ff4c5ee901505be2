"""The replay server: it answers as Lichess does, one fact of its API at a time."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import zstandard

from serving.replay import ReplayServer
from serving.replay_stage import Manners
from serving.replay_world import World
from worlds import MARCH, MINUTE, analysed, game, game_id, world

NDJSON = {"Accept": "application/x-ndjson"}


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    made = world(6)
    made.add(game(10, MARCH + 10 * MINUTE, status="started"))
    made.add(analysed(game(11, MARCH + 11 * MINUTE, white="bob-b", black="alice_a")))
    made.add(game(12, MARCH + 12 * MINUTE, white="alice_a", black="carol", rated=False, perf="chess960"))
    with ReplayServer(made) as running:
        yield running


def export(server: ReplayServer, user: str = "alice_a", **params: Any) -> list[str]:
    answer = httpx.get(f"{server.url}/api/games/user/{user}", params=params, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(line)["id"] for line in answer.content.split(b"\n") if line]


def ids(*numbers: int) -> list[str]:
    return [game_id(number) for number in numbers]


def test_a_users_games_come_newest_first_unless_asked_otherwise(server: ReplayServer) -> None:
    assert export(server) == ids(12, 11, 5, 4, 3, 2, 1, 0)
    assert export(server, "Alice_A", sort="dateAsc") == ids(0, 1, 2, 3, 4, 5, 11, 12)


def test_since_is_inclusive_and_until_exclusive(server: ReplayServer) -> None:
    assert export(server, since=MARCH + 2 * MINUTE, until=MARCH + 4 * MINUTE) == ids(3, 2)


def test_a_time_in_seconds_is_taken_in_silence_and_gives_the_whole_history(server: ReplayServer) -> None:
    assert len(export(server, since=MARCH // 1000)) == 8


def test_max_cuts_after_sorting(server: ReplayServer) -> None:
    assert export(server, max=2) == ids(12, 11)
    assert export(server, max=2, sort="dateAsc") == ids(0, 1)


def test_running_games_come_only_when_asked_for(server: ReplayServer) -> None:
    assert game_id(10) in export(server, ongoing="true")
    assert export(server, ongoing="true", finished="false") == ids(10)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"rated": "false"}, (12,)),
        ({"vs": "carol"}, (12,)),
        ({"color": "black"}, (11,)),
        ({"analysed": "true"}, (11,)),
        ({"perfType": "chess960,atomic"}, (12,)),
        ({"perfType": "atomic"}, ()),
    ],
)
def test_filters_filter(server: ReplayServer, params: dict[str, str], found: tuple[int, ...]) -> None:
    assert export(server, **params) == ids(*found)


def test_parts_of_a_game_come_when_asked_for(server: ReplayServer) -> None:
    url = f"{server.url}/api/games/user/bob-b?max=1&since={MARCH + 11 * MINUTE}"
    plain = httpx.get(url, headers=NDJSON).json()
    full = httpx.get(f"{url}&clocks=true&evals=1&opening=true&division=true&moves=false", headers=NDJSON).json()
    assert {"clocks", "analysis", "opening", "division"}.isdisjoint(plain)
    assert {"clocks", "analysis", "opening", "division"} <= set(full)
    assert "moves" in plain
    assert "moves" not in full


def test_one_game_by_its_id_has_clocks_and_evaluations_without_asking(server: ReplayServer) -> None:
    found = httpx.get(f"{server.url}/game/export/{game_id(11)}", headers={"Accept": "application/json"}).json()
    assert found == server.world.games[game_id(11)]


def test_games_by_ids_come_newest_first_and_unknown_ones_are_missing(server: ReplayServer) -> None:
    body = ",".join([game_id(2), "unknown0", game_id(12), game_id(10)])
    answer = httpx.post(f"{server.url}/api/games/export/_ids", content=body, headers=NDJSON)
    assert [orjson.loads(line)["id"] for line in answer.content.split(b"\n") if line] == ids(12, 10, 2)
    too_many = ",".join(game_id(number) for number in range(301))
    assert httpx.post(f"{server.url}/api/games/export/_ids", content=too_many, headers=NDJSON).status_code == 400


def test_users_come_in_the_order_asked_for(server: ReplayServer) -> None:
    answer = httpx.post(f"{server.url}/api/users", content="carol,nobody,alice_a")
    assert [user["id"] for user in answer.json()] == ["carol", "alice_a"]
    assert httpx.get(f"{server.url}/api/user/Carol").json()["username"] == "Carol"
    assert httpx.get(f"{server.url}/api/user/carol/rating-history").json() == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/games/user/nobody",
        "/game/export/unknown0",
        "/api/user/nobody",
        "/api/tv/nowhere",
        "/",
        "/standard/x.pgn.zst",
    ],
)
def test_what_is_not_there_is_answered_as_lichess_does(server: ReplayServer, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}", headers=NDJSON)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found."})


def test_exports_are_sent_in_chunks_and_connections_are_kept(server: ReplayServer) -> None:
    with httpx.Client(headers=NDJSON) as client:
        first = client.get(f"{server.url}/api/games/user/alice_a")
        second = client.get(f"{server.url}/api/tv/channels")
    assert first.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in first.headers
    assert second.headers["content-length"] == "2"


def test_a_second_request_in_flight_gets_a_429_when_the_server_is_strict() -> None:
    manners = Manners(is_one_at_a_time=True, games_per_second=10)
    with ReplayServer(world(10), manners=manners) as server, httpx.Client(headers=NDJSON) as other:
        url = f"{server.url}/api/games/user/alice_a"
        with httpx.stream("GET", url, headers=NDJSON) as first:
            chunks = first.iter_raw()  # held: a dropped iterator closes its connection
            next(chunks)
            refused = other.get(url)
        again = other.get(f"{url}?max=1")
        assert refused.status_code == 429
        assert "retry-after" not in refused.headers
        assert again.status_code == 200
        assert [one.n_together for one in server.ledger.asked] == [0, 1, 0]
        assert [one.is_early for one in server.ledger.asked] == [False, False, True]


def test_a_throttled_export_takes_its_time() -> None:
    with ReplayServer(world(10), manners=Manners(games_per_second=60)) as server:
        export(server)
        (asked,) = server.ledger.asked
    assert asked.ended is not None
    assert asked.ended - asked.started > 9 / 60


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    text = b"".join(orjson.dumps(game(number, MARCH + number)) + b"\n" for number in range(3))
    (folder / "games.ndjson.zst").write_bytes(zstandard.compress(text))
    users = [
        {"id": "alice_a", "username": "Alice_A", "perfs": {}},
        {"id": "gone", "username": "Gone", "disabled": True},
    ]
    (folder / "users.json").write_text(json.dumps(users))
    (folder / "rating_history.json").write_text(json.dumps({"alice_a": [{"name": "Blitz", "points": []}]}))
    (folder / "tv.json").write_text(json.dumps({"best": {"gameId": game_id(1)}, "blitz": [game_id(1), game_id(2)]}))
    (folder / "lichess_db_standard_rated_2024-01.pgn.zst").write_bytes(os.urandom(200_000))
    return folder


def test_a_sample_folder_is_served(sample: Path) -> None:
    with ReplayServer(World.load(sample)) as server:
        assert export(server) == ids(2, 1, 0)
        assert httpx.get(f"{server.url}/api/games/user/gone", headers=NDJSON).status_code == 404
        assert httpx.post(f"{server.url}/api/users", content="gone").json()[0]["disabled"]
        assert httpx.get(f"{server.url}/api/user/alice_a/rating-history").json()[0]["name"] == "Blitz"
        shown = httpx.get(f"{server.url}/api/tv/channels").json()
        assert {channel: one["gameId"] for channel, one in shown.items()} == {"best": game_id(1), "blitz": game_id(1)}
        games = httpx.get(f"{server.url}/api/tv/blitz?nb=2", headers=NDJSON).content.split(b"\n")
        assert [orjson.loads(line)["id"] for line in games if line] == ids(1, 2)


def test_dumps_are_served_whole_and_in_ranges(sample: Path) -> None:
    name = "lichess_db_standard_rated_2024-01.pgn.zst"
    text = (sample / name).read_bytes()
    with ReplayServer(World.load(sample)) as server, httpx.Client() as client:
        url = f"{server.url}/standard/{name}"
        whole = client.get(url)
        assert hashlib.sha256(whole.content).digest() == hashlib.sha256(text).digest()
        tag = whole.headers["etag"]
        for asked, first, last in (
            ("bytes=150000-", 150_000, 199_999),
            ("bytes=5-9", 5, 9),
            ("bytes=-10", 199_990, 199_999),
        ):
            part = client.get(url, headers={"Range": asked, "If-Range": tag})
            assert part.status_code == 206
            assert part.headers["content-range"] == f"bytes {first}-{last}/200000"
            assert part.content == text[first : last + 1]
        assert client.get(url, headers={"Range": "bytes=5-9", "If-Range": '"older"'}).content == text
        assert client.get(url, headers={"Range": "bytes=200000-"}).status_code == 416
        assert client.head(url).headers["content-length"] == "200000"


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "games.ndjson.zst", "*.zst", "users.json"])
def test_only_dumps_are_served_as_files(sample: Path, name: str) -> None:
    with ReplayServer(World.load(sample)) as server:
        assert httpx.get(f"{server.url}/standard/{name}").status_code == 404


def test_the_server_runs_as_a_process_of_its_own(sample: Path) -> None:
    command = [sys.executable, "-m", "serving.replay", "--sample", str(sample)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        try:
            assert httpx.get(f"{url}/api/user/alice_a").json()["username"] == "Alice_A"
        finally:
            process.terminate()


def test_a_client_that_went_away_is_no_longer_in_flight() -> None:
    with ReplayServer(world(200), manners=Manners(games_per_second=100)) as server:
        with httpx.stream("GET", f"{server.url}/api/games/user/alice_a", headers=NDJSON) as first:
            chunks = first.iter_raw()
            next(chunks)
            assert server.ledger.asked[0].ended is None
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and server.ledger.asked[0].ended is None:
            export(server, max=1)
        assert [one.n_together for one in server.ledger.asked[1:]] == [0] * (len(server.ledger.asked) - 1)
        assert server.ledger.asked[0].ended is not None
