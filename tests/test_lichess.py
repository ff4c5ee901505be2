"""The Lichess client: what it asks, which answers it believes, and what it sets aside."""

import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import orjson
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from resources.contracts import ContractBroken, SourceComplains
from resources.errors import UserError
from resources.exchange import Fetch
from resources.lichess import Lichess, Page
from resources.source_errors import NotThere, SourceError
from serving.replay import ReplayServer
from serving.replay_api import Answer
from serving.replay_stage import Manners
from serving.replay_wire import Ending, Fault, lines
from worlds import DAY, MARCH, MINUTE, game, game_id, hasty, lichess, world

TOKEN = "lip_NotARealTokenOnlyATest"  # noqa: S105  # as it says  # pragma: allowlist secret


def page(tmp_path: Path, *faults: Fault, limit: int = 300, n_games: int = 5, **limits: int) -> Page:
    """The first page of a player of `n_games` games, when the answers have these faults."""
    with ReplayServer(world(n_games), lambda number, _: faults[number] if number < len(faults) else None) as server:
        return lichess(server.url, tmp_path, limits=hasty(**limits)).games_of("alice_a", limit=limit)


def change(edit: Callable[[list[bytes]], list[bytes]]) -> Fault:
    return Fault(change=lines(edit))


def quarantined(tmp_path: Path) -> list[tuple[str, bytes]]:
    """Reason and text of all that was set aside."""
    found = []
    for file in sorted((tmp_path / "quarantine").glob("*")):
        head, _, body = file.read_bytes().partition(b"\n")
        found.append((orjson.loads(head)["reason"], body))
    return found


# What is asked


def test_games_are_asked_for_oldest_first_with_everything_that_belongs_to_them(tmp_path: Path) -> None:
    with ReplayServer(world(5)) as server:
        lichess(server.url, tmp_path).games_of("Alice_A", since_ms=MARCH + MINUTE, until_ms=MARCH + DAY, limit=3)
        (asked,) = server.ledger.asked
    assert asked.question.path == "/api/games/user/alice_a"
    assert asked.question.headers["accept"] == "application/x-ndjson"
    assert asked.question.params == {
        "since": str(MARCH + MINUTE),
        "until": str(MARCH + DAY),
        "max": "3",
        "sort": "dateAsc",
        "finished": "true",
        "ongoing": "false",
        "moves": "true",
        "clocks": "true",
        "evals": "true",
        "accuracy": "true",
        "opening": "true",
        "division": "true",
        "tags": "false",
        "pgnInJson": "false",
    }


@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.games_of("../../etc/passwd"),
        lambda api: api.games_of("a"),
        lambda api: api.games_of("alice_a", since_ms=MARCH // 1000),
        lambda api: api.games_of("alice_a", until_ms=-1),
        lambda api: api.games_of("alice_a", since_ms=2**63),
        lambda api: api.games_of("alice_a", since_ms=MARCH, until_ms=MARCH),
        lambda api: api.games_of("alice_a", limit=0),
        lambda api: api.game("../admin"),
        lambda api: api.games_by_ids([]),
        lambda api: api.games_by_ids([game_id(number) for number in range(301)]),
        lambda api: api.games_by_ids(["Zz00,000"]),
        lambda api: api.users([f"user{number}" for number in range(301)]),
        lambda api: api.users(["alice,bob"]),
        lambda api: api.users([]),
        lambda api: api.rating_history("a/b"),
        lambda api: api.tv_games("best/feed"),
        lambda api: api.tv_games("best", nb=31),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_asked(
    tmp_path: Path, ask: Callable[[Lichess], object]
) -> None:
    with ReplayServer(world(5)) as server:
        with pytest.raises(UserError):
            ask(lichess(server.url, tmp_path))
        assert server.ledger.asked == []


def test_the_same_game_comes_out_of_every_export_the_same(tmp_path: Path) -> None:
    with ReplayServer(world(5)) as server:
        api = lichess(server.url, tmp_path)
        exported = api.games_of("alice_a").games
        assert api.games_by_ids([one.id_game for one in exported]).games == exported[::-1]
        assert api.game(exported[2].id_game).games == (exported[2],)
        assert [orjson.loads(one.document) for one in exported] == list(server.world.games.values())


def test_users_come_back_open_closed_or_not_at_all(tmp_path: Path) -> None:
    made = world(1)
    made.users["bob-b"] |= {"disabled": True}
    with ReplayServer(made) as server:
        found = lichess(server.url, tmp_path).users(["alice_a", "nobody", "bob-b", "Alice_a"])
    assert [(user.id_user, user.is_closed) for user in found] == [("alice_a", False), ("bob-b", True)]


def test_rating_histories_come_with_real_dates(tmp_path: Path) -> None:
    made = world(1)
    made.rating_histories["alice_a"] = [{"name": "Blitz", "points": [[2024, 0, 31, 1500], [2024, 11, 1, 1612]]}]
    with ReplayServer(made) as server:
        found = lichess(server.url, tmp_path).rating_history("alice_a")
    assert found.points == (("Blitz", date(2024, 1, 31), 1500), ("Blitz", date(2024, 12, 1), 1612))


def test_a_day_that_does_not_exist_breaks_the_contract(tmp_path: Path) -> None:
    made = world(1)
    made.rating_histories["alice_a"] = [{"name": "Blitz", "points": [[2023, 1, 29, 1500]]}]
    with ReplayServer(made) as server, pytest.raises(ContractBroken, match=r"Blitz.points: no such day"):
        lichess(server.url, tmp_path).rating_history("alice_a")


def test_tv_shows_running_games(tmp_path: Path) -> None:
    made = world(2)
    made.add(game(7, MARCH + DAY, status="started"))
    made.tv["blitz"] = [game_id(7)]
    with ReplayServer(made) as server:
        api = lichess(server.url, tmp_path)
        assert api.tv_channels() == {"blitz": game_id(7)}
        (running,) = api.tv_games("blitz").games
    assert not running.is_finished
    assert running.status == "started"


def test_running_games_are_not_among_a_players_games(tmp_path: Path) -> None:
    made = world(2)
    made.add(game(7, MARCH + DAY, status="started"))
    with ReplayServer(made) as server:
        found = lichess(server.url, tmp_path).games_of("alice_a").games
    assert [one.id_game for one in found] == [game_id(0), game_id(1)]


# Lines that are set aside, while the others go on


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"<oops\n".replace(b"<", b"\x00"), "not JSON"),
        (b'{"id":"Zz0000\n', "not JSON"),
        (b'{"id":"Zz000009","id":"Zz000008"}\n', "the key 'id' stands twice"),
        (b"[1, 2]\n", "not a JSON object"),
        (orjson.dumps(game(9, MARCH, white="carol_c")) + b"\n", "another user's game (Zz000009)"),
        (b"x" * 5000 + b"\n", "a line longer than 2,000 bytes"),
        (b"\xff\xfe{}\n", "not JSON"),
    ],
)
def test_a_bad_line_is_set_aside_and_told_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: bytes, reason: str
) -> None:
    found = page(tmp_path, change(lambda all_lines: [*all_lines[:2], bad, *all_lines[2:]]), line_bytes=2000)
    assert [one.id_game for one in found.games] == [game_id(number) for number in range(5)]
    ((told, place),) = [(line.reason, line.n_before) for line in found.broken]
    assert told.startswith(reason)
    assert place == 2
    ((kept_reason, body),) = quarantined(tmp_path)
    assert kept_reason == told
    assert body == bad.rstrip(b"\n")[:2000]
    assert "a line was set aside" in caplog.text


def test_a_game_that_was_not_asked_for_by_id_is_set_aside(tmp_path: Path) -> None:
    stray = orjson.dumps(game(9, MARCH)) + b"\n"
    with ReplayServer(world(3), lambda *_: change(lambda all_lines: [stray, *all_lines])) as server:
        found = lichess(server.url, tmp_path).games_by_ids([game_id(0), game_id(1)])
    assert {one.id_game for one in found.games} == {game_id(0), game_id(1)}
    assert [line.reason for line in found.broken] == ["a game that was not asked for (Zz000009)"]


def test_blank_lines_a_byte_order_mark_and_unicode_line_ends_do_no_harm(tmp_path: Path) -> None:
    named = game(9, MARCH, white="alice_a")
    named["players"]["black"]["user"]["name"] = "B\u2028\u0085b"
    text = orjson.dumps(named)
    edit = change(lambda all_lines: [b"\xef\xbb\xbf" + all_lines[0], b"\n\r\n", text + b"\r\n", b" \n", *all_lines[1:]])
    found = page(tmp_path, edit)
    assert found.broken == ()
    assert [one.id_game for one in found.games] == [game_id(number) for number in (0, 9, 1, 2, 3, 4)]
    assert found.games[1].document == text


def test_keep_alive_lines_are_no_games(tmp_path: Path) -> None:
    with ReplayServer(world(4), manners=Manners(has_blank_lines=True)) as server:
        found = lichess(server.url, tmp_path).games_of("alice_a")
    assert len(found.games) == 4
    assert found.broken == ()


# Pages that stop


def replaced(text: bytes, kind: str = "application/x-ndjson", status: int = 200) -> Fault:
    return Fault(change=lambda _: Answer(status, (("Content-Type", kind),), (text,), len(text)))


def test_a_missing_field_stops_the_player_and_is_named_and_kept(tmp_path: Path) -> None:
    broken = game(9, MARCH)
    del broken["createdAt"]
    text = orjson.dumps(broken)
    with pytest.raises(ContractBroken, match=r"GET /api/games/user/alice_a, game Zz000009: createdAt: field required"):
        page(tmp_path, change(lambda all_lines: [*all_lines, text + b"\n"]))
    ((reason, body),) = quarantined(tmp_path)
    assert "createdAt" in reason
    assert text in body


def test_a_web_page_with_status_200_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="a web page instead of data: <!DOCTYPE html>"):
        page(tmp_path, replaced(b"\n<!DOCTYPE html>\n<html><body>Be right back</body></html>", "text/html"))
    assert len(quarantined(tmp_path)) == 1


@pytest.mark.parametrize("ask", [lambda api: api.users(["alice_a"]), lambda api: api.tv_channels()])
@pytest.mark.parametrize("text", [b"<html>", b"", b"{", b'"text"', b'[{"id":5}]', b'{"a":1,"a":2}'])
def test_an_answer_that_is_not_the_json_we_know_is_refused_and_kept(
    tmp_path: Path, ask: Callable[[Lichess], object], text: bytes
) -> None:
    with ReplayServer(world(1), lambda *_: replaced(text)) as server, pytest.raises(ContractBroken):
        ask(lichess(server.url, tmp_path))
    assert len(quarantined(tmp_path)) == 1


def test_an_error_object_with_status_200_is_said_again(tmp_path: Path) -> None:
    with pytest.raises(SourceComplains, match="Missing authorization header"):
        page(tmp_path, replaced(b'{"error":"Missing authorization header"}'))


def test_an_error_after_some_games_ends_the_page_there(tmp_path: Path) -> None:
    found = page(tmp_path, change(lambda all_lines: [*all_lines[:3], b'{"error":"Internal error"}\n']))
    assert len(found.games) == 3
    assert "Internal error" in str(found.cut)


def test_a_page_without_a_single_game_among_its_lines_is_refused(tmp_path: Path) -> None:
    pgn = b'[Event "rated blitz game"]\n[Site "https://lichess.org/Zz000001"]\n\n1. e4 e5 1-0\n'
    with pytest.raises(ContractBroken, match="none of 3 lines is a game"):
        page(tmp_path, replaced(pgn, "application/x-chess-pgn"))


def test_a_page_of_another_user_is_refused(tmp_path: Path) -> None:
    stray = b"".join(orjson.dumps(game(number, MARCH, white="carol_c")) + b"\n" for number in range(3))
    with pytest.raises(ContractBroken, match="another user's game"):
        page(tmp_path, replaced(stray))


def test_a_player_who_is_not_there_is_told_apart(tmp_path: Path) -> None:
    made = world(3)
    made.closed.add("alice_a")
    with ReplayServer(made) as server:
        for name in ("alice_a", "nobody"):
            with pytest.raises(NotThere, match=r"answered 404 .*Not found"):
                lichess(server.url, tmp_path).games_of(name)


# Pages that break off


@pytest.mark.parametrize("ending", [Ending.RESET, Ending.CLOSED, Ending.IN_CHUNK, Ending.IN_CHUNK_HEAD, Ending.STALLED])
def test_what_came_whole_before_a_cut_is_kept(tmp_path: Path, ending: Ending) -> None:
    size = len(orjson.dumps(game(0, MARCH))) + 1
    found = page(tmp_path, Fault(ending, cut_at=3 * size + 40), read_seconds=0.3)
    assert [one.id_game for one in found.games] == [game_id(0), game_id(1), game_id(2)]
    assert found.cut
    assert found.broken == ()


def test_a_clean_end_in_the_middle_of_a_line_is_noticed(tmp_path: Path) -> None:
    size = len(orjson.dumps(game(0, MARCH))) + 1
    found = page(tmp_path, Fault(Ending.CLEAN, cut_at=3 * size + 40))
    assert len(found.games) == 3
    assert "ended in the middle of a line" in str(found.cut)


def test_a_last_line_that_only_lacks_its_newline_is_a_game(tmp_path: Path) -> None:
    size = len(orjson.dumps(game(0, MARCH))) + 1
    found = page(tmp_path, Fault(Ending.CLEAN, cut_at=3 * size - 1))
    assert len(found.games) == 3
    assert found.cut is None


def test_an_answer_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    assert len(page(tmp_path, Fault(is_unframed=True)).games) == 5


def test_a_cut_before_the_first_game_is_asked_for_again(tmp_path: Path) -> None:
    assert len(page(tmp_path, Fault(Ending.RESET, cut_at=100)).games) == 5


def test_the_order_of_a_page_is_told(tmp_path: Path) -> None:
    assert page(tmp_path).is_ascending
    assert not page(tmp_path, change(lambda all_lines: all_lines[::-1])).is_ascending


# The quarantine and the resource


def test_the_same_bad_line_is_kept_once(tmp_path: Path) -> None:
    for _ in range(3):
        page(tmp_path, change(lambda all_lines: [b"bad\n", *all_lines]))
    assert len(quarantined(tmp_path)) == 1


def test_requests_are_told_to_a_listener(tmp_path: Path) -> None:
    fetches: list[Fetch] = []
    with ReplayServer(world(3), lambda number, _: Fault(Ending.REFUSED) if number == 0 else None) as server:
        api = lichess(server.url, tmp_path)
        with api.telling(fetches.append):
            api.games_of("alice_a")
        api.games_of("alice_a")
    assert [fetch.n_rows for fetch in fetches] == [0, 3]


def test_dagster_neither_stores_nor_shows_the_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found = []

    @dg.asset
    def games(api: Lichess) -> dg.MaterializeResult[None]:
        found.append(len(api.games_of("alice_a").games))
        with pytest.raises(SourceError):
            api.games_of("nobody")
        return dg.MaterializeResult(metadata={"api": repr(api)})

    with ReplayServer(world(3)) as server, dg.DagsterInstance.ephemeral() as instance:
        api = lichess(server.url, tmp_path, token=TOKEN)
        definitions = dg.Definitions(assets=[games], resources={"api": api})
        result = dg.materialize([games], resources={"api": api}, instance=instance)
        snapshot = serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))
        events = "".join(str(entry) for entry in instance.all_logs(result.run_id))
        assert {one.question.headers["authorization"] for one in server.ledger.asked} == {f"Bearer {TOKEN}"}
    assert found == [3]
    assert "alice_a" not in snapshot
    assert server.url in snapshot
    for text in (snapshot, events, str(result.dagster_run), repr(api), str(api), caplog.text):
        assert TOKEN not in text
