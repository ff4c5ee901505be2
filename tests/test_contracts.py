"""The contracts: recorded answers keep them, and what breaks them is named."""

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from recordings import RECORDINGS, needs_recordings
from resources.contracts import (
    ContractBroken,
    LineBroken,
    RatingHistory,
    SourceComplains,
    TvChannels,
    User,
    Users,
    keep,
    read_game,
    read_json,
)
from worlds import MARCH, game

LICHESS = RECORDINGS / "lichess"


def line(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document)


def without(document: dict[str, Any], path: str) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner = changed
    for part in parents:
        inner = inner[part]
    del inner[last]
    return changed


def with_value(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner = changed
    for part in parents:
        inner = inner[part]
    inner[last] = value
    return changed


def test_a_sound_game_is_kept_byte_by_byte() -> None:
    text = json.dumps(game(1, MARCH), indent=None).encode()
    read = read_game(text + b"\r", "test")
    assert read.document == text
    assert read.val_hash == hashlib.sha256(text).hexdigest()
    assert (read.id_game, read.created_ms, read.users) == (game(1, MARCH)["id"], MARCH, ("alice_a", "bob-b"))
    assert read.is_finished


def test_the_secret_full_id_is_dropped() -> None:
    read = read_game(line(game(1, MARCH) | {"fullId": "Zz000001SECR"}), "test")
    assert b"SECR" not in read.document
    assert orjson.loads(read.document) == game(1, MARCH)


def test_a_byte_order_mark_is_no_part_of_a_game() -> None:
    assert read_game(b"\xef\xbb\xbf" + line(game(1, MARCH)), "test").document == line(game(1, MARCH))


def test_line_separators_of_unicode_may_stand_in_a_name() -> None:
    named = with_value(game(1, MARCH), "players.white.user.name", "A\u2028\u0085B")
    assert read_game(line(named), "test").document == line(named)


def test_a_new_field_breaks_nothing() -> None:
    assert read_game(line(game(1, MARCH) | {"mood": {"deep": [1]}}), "test").id_game


@pytest.mark.parametrize(
    "path",
    [
        "id",
        "rated",
        "variant",
        "speed",
        "perf",
        "createdAt",
        "lastMoveAt",
        "status",
        "players",
        "players.black",
        "moves",
        "players.white.user.id",
        "clock.initial",
        "opening.eco",
    ],
)
def test_a_missing_field_is_named_by_its_path(path: str) -> None:
    with pytest.raises(ContractBroken, match=rf"{path}: field required"):
        read_game(line(without(game(1, MARCH), path)), "test")


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("id", "short", "'short'"),
        ("id", "abcd/../", "'abcd/../'"),
        ("createdAt", MARCH // 1000, "1709251200"),
        ("createdAt", float(MARCH), "1709251200000.0"),
        ("createdAt", str(MARCH), "'1709251200000'"),
        ("createdAt", True, "True"),
        ("createdAt", MARCH * 1000, "1709251200000000"),
        ("createdAt", -1, "-1"),
        ("rated", "true", "'true'"),
        ("moves", ["e4", "e5"], "['e4', 'e5']"),
        ("winner", "green", "'green'"),
        ("players", [], "[]"),
        ("players.white.rating", "1500", "'1500'"),
        ("players.white.user", "alice_a", "'alice_a'"),
        ("players.white.user.id", "", "''"),
        ("clocks", [18003, "x"], "'x'"),
        ("status", 30, "30"),
    ],
)
def test_a_changed_type_is_named_with_path_and_example(path: str, value: object, shown: str) -> None:
    with pytest.raises(ContractBroken) as caught:
        read_game(line(with_value(game(1, MARCH), path, value)), "lichess, GET /x")
    assert str(caught.value).startswith("lichess, GET /x, game ")
    assert f": {path}" in str(caught.value)
    assert str(caught.value).endswith(f", got {shown}")


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b'{"id":"abc',
        b"null",
        b"[]",
        b"17",
        b"\xff\xfe{}",
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b"\x00" * 20,
        b"[" * 100_000,
        b"Too many requests",
        line({"id": "abcdefgh"}) + line({"id": "abcdefgi"}),
    ],
)
def test_a_line_that_is_no_document_is_set_aside(text: bytes) -> None:
    with pytest.raises(LineBroken):
        read_game(text, "test")


def test_an_error_in_the_place_of_a_game_is_said_again() -> None:
    with pytest.raises(SourceComplains, match="Missing authorization header"):
        read_game(b'{"error":"Missing authorization header"}', "test")


def test_a_months_count_from_zero_and_days_from_one() -> None:
    assert keep(RatingHistory, [{"name": "Blitz", "points": [[2024, 0, 31, 1500]]}], "test")
    wrong = (
        [2024, 12, 1, 1500],
        [2024, 0, 0, 1500],
        [2024, 0, 1],
        [24, 0, 1, 1500],
        [2024, 0, 1, 1.5],
        [2024, 0, "1", 1],
    )
    for point in wrong:
        with pytest.raises(ContractBroken, match=r"0\.points\.0"):
            keep(RatingHistory, [{"name": "Blitz", "points": [point]}], "test")


def recorded_games() -> Iterator[tuple[str, bytes]]:
    for file in sorted((LICHESS / "api_games").iterdir()):
        if file.suffix == ".json":
            for document in orjson.loads(file.read_bytes()):
                yield file.name, line(document)
        else:
            yield from ((file.name, text) for text in file.read_bytes().split(b"\n") if text.strip())
    recorded = LICHESS / "api_recorded"
    for file in [*recorded.rglob("Games/game_*.json"), *recorded.rglob("mobile/game_*.json")]:
        yield file.name, file.read_bytes()
    for text in (recorded / "lichesssharp/Games/user_games.ndjson").read_bytes().split(b"\n"):
        if text.strip():
            yield "user_games.ndjson", text


@needs_recordings
def test_every_recorded_game_keeps_the_contract() -> None:
    read = [read_game(text, name) for name, text in recorded_games()]
    assert len(read) == 3316  # counted with `wc -l` and `jq length`
    assert all(game.is_finished for game in read)
    assert not any(b"fullId" in game.document for game in read)


@needs_recordings
def test_recorded_users_ratings_and_channels_keep_the_contract() -> None:
    recorded = LICHESS / "api_recorded"
    users = recorded / "lichesssharp/Users"
    (known,) = users.glob("user_extended_*.json")
    user = keep(User, read_json(known.read_bytes()), "user")
    assert user.id == user.username
    (ratings,) = users.glob("rating_history_*.json")
    history = read_json(ratings.read_bytes())
    assert len(keep(RatingHistory, history, "history").root) == len(history)
    for name in ("lichesssharp/Games/tv_channels_live.json", "mobile/tv_channels.json"):
        assert len(keep(TvChannels, read_json((recorded / name).read_bytes()), name).root) >= 15


@needs_recordings
def test_an_error_recorded_on_an_ndjson_endpoint_is_no_game() -> None:
    with pytest.raises(SourceComplains, match="Missing authorization header"):
        read_game((LICHESS / "api_recorded/lichesssharp/Puzzles/puzzle_activity.ndjson").read_bytes(), "puzzles")


def documented(name: str) -> Any:
    """An example of the API's description: JSON after the key `value:`, with trailing commas."""
    text = (LICHESS / "api_spec/examples" / name).read_text(encoding="utf-8").split("value:", 1)[1]
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", text))


@needs_recordings
@pytest.mark.parametrize(
    "name",
    [
        "games-apiGamesUserJson.json.yaml",
        "games-exportOneGame.json.yaml",
        "games-gamesExportIds.json.yaml",
        "tv-getBestOngoingGamesOfTvChannel.json.yaml",
    ],
)
def test_documented_games_keep_the_contract(name: str) -> None:
    found = documented(name)
    for document in found if isinstance(found, list) else [found]:
        assert read_game(line(document), name).id_game


@needs_recordings
def test_documented_users_ratings_and_channels_keep_the_contract() -> None:
    assert len(keep(Users, documented("users-getUsersById.json.yaml"), "users").root) >= 1
    assert keep(User, documented("users-getUserPublicData.json.yaml"), "user").count
    assert keep(RatingHistory, documented("users-getRatingHistoryOfAUser.json.yaml"), "history").root
    assert keep(TvChannels, documented("tv-getCurrentTvGames.json.yaml"), "channels").root
    examples = LICHESS / "doc_examples/ion232"
    assert keep(User, read_json((examples / "public_user_data.json").read_bytes()), "user").title == "BOT"
    assert keep(RatingHistory, read_json((examples / "rating-history.json").read_bytes()), "history").root
    assert keep(TvChannels, read_json((examples / "tv_channels.json").read_bytes()), "channels").root
    assert read_game((examples / "game_json.json").read_bytes(), "game").id_game
