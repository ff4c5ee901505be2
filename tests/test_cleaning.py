"""Source rows become rows of chess.games: what the API and dumps write oddly, and what is rejected and why."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import polars as pl
import pytest
from game_rows import CREATED_MS, INGESTED, document, dump_row, dump_rows, player_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from kshift_assets.chess.cleaning import from_documents, from_dump
from kshift_assets.chess.evaluation import site_glyphs
from kshift_assets.chess.schemas import Games, RejectedGames
from kshift_assets.tables import polars_schema

PLAYERS = document()["players"]


def _game(one: dict[str, Any]) -> dict[str, Any]:
    games, rejected = from_documents(player_rows([one]))
    assert rejected.get_column("val_reasons").to_list() == []
    return games.row(0, named=True)


def _dump_game(**changes: object) -> dict[str, Any]:
    games, rejected = from_dump(dump_rows(dump_row(**changes)))
    assert rejected.get_column("val_reasons").to_list() == []
    return games.row(0, named=True)


def _reasons(one: dict[str, Any] | str) -> str:
    games, rejected = from_documents(player_rows([one]))
    assert (games.height, rejected.height) == (0, 1)
    return rejected.get_column("val_reasons").item()


def _dump_reasons(**changes: object) -> str:
    games, rejected = from_dump(dump_rows(dump_row(**changes)))
    assert (games.height, rejected.height) == (0, 1)
    return rejected.get_column("val_reasons").item()


def test_a_document_becomes_a_row_with_the_columns_of_the_table() -> None:
    games, rejected = from_documents(player_rows([document()]))

    assert games.schema == polars_schema(Games)
    assert rejected.schema == polars_schema(RejectedGames)
    game = games.row(0, named=True)
    assert game["id_user_white"] == "alfa_one"
    assert game["val_name_white"] == "Alfa_One"
    assert game["val_title_black"] == "BOT"
    assert (game["n_rating_white"], game["n_rating_diff_black"]) == (1600, -6)
    assert (game["val_result"], game["val_termination"]) == ("1-0", "Normal")
    assert game["tm_created"] == datetime(2015, 1, 1, 12, 0, 0, 123_000, UTC)
    assert game["tm_last_move"] - game["tm_created"] == timedelta(minutes=1)
    assert (game["dt_game"], game["dt_month"]) == (date(2015, 1, 1), "2015-01")
    assert (game["n_clock_initial_s"], game["n_clock_increment_s"]) == (180, 2)
    assert (game["n_plies"], game["val_moves"]) == (3, "e4 e5 Nf3")
    assert (game["arr_clock_cs"], game["arr_eval_cp"], game["arr_glyph"]) == (None, None, None)
    assert (game["val_source"], game["tm_ingested"]) == ("player", INGESTED)


def test_no_rows_give_no_rows() -> None:
    for games, rejected in (from_documents(player_rows([])), from_dump(dump_rows())):
        assert (games.schema, games.height) == (polars_schema(Games), 0)
        assert (rejected.schema, rejected.height) == (polars_schema(RejectedGames), 0)


def test_an_empty_player_is_anonymous_and_a_level_is_the_computer() -> None:
    game = _game(document(rated=False, players={"white": {}, "black": {"aiLevel": 3}}))

    assert [game[f"{name}_white"] for name in ("id_user", "val_name", "n_rating", "n_ai_level")] == [None] * 4
    assert [game[f"{name}_black"] for name in ("id_user", "val_name", "n_rating", "n_ai_level")] == [None] * 3 + [3]


def test_a_rating_difference_may_be_missing_and_may_be_zero() -> None:
    white = {key: value for key, value in PLAYERS["white"].items() if key != "ratingDiff"}
    game = _game(document(players={"white": white, "black": PLAYERS["black"] | {"ratingDiff": 0}}))

    assert (game["n_rating_diff_white"], game["n_rating_diff_black"]) == (None, 0)


@pytest.mark.parametrize("status", ["outoftime", "timeout", "draw", "stalemate"])
def test_a_finished_game_without_a_winner_is_a_draw(status: str) -> None:
    assert _game(document(status=status, winner=None))["val_result"] == "1/2-1/2"


@pytest.mark.parametrize("status", ["created", "started", "aborted"])
def test_a_game_that_was_never_finished_has_no_result(status: str) -> None:
    assert _game(document(status=status, winner=None))["val_result"] == "*"


@pytest.mark.parametrize(
    ("status", "winner", "termination"),
    [
        ("started", None, "Unterminated"),
        ("aborted", None, "Abandoned"),
        ("noStart", "black", "Abandoned"),
        ("outoftime", "black", "Time forfeit"),
        ("timeout", None, "Time forfeit"),
        ("variantEnd", "white", "Normal"),
        ("insufficientMaterialClaim", None, "Insufficient material"),
        ("cheat", "white", "Rules infraction"),
        ("unknownFinish", None, "Unknown"),
    ],
)
def test_a_status_gives_the_termination_of_pgn(status: str, winner: str | None, termination: str) -> None:
    assert _game(document(status=status, winner=winner))["val_termination"] == termination


def test_a_game_that_never_started_ends_when_it_was_created() -> None:
    game = _game(document(status="noStart", winner="black", moves="", lastMoveAt=CREATED_MS, clocks=[]))

    assert game["tm_last_move"] == game["tm_created"]
    assert (game["n_plies"], game["val_moves"], game["arr_clock_cs"]) == (0, "", None)


def test_the_clock_at_the_end_is_cut_and_missing_clocks_are_null() -> None:
    assert _game(document(clocks=[18003, 18003, 17900, 17500]))["arr_clock_cs"] == [18003, 18003, 17900]
    assert _game(document(clocks=[18003, 18003]))["arr_clock_cs"] == [18003, 18003, None]


def test_a_game_without_a_clock_may_have_days_for_a_turn() -> None:
    game = _game(document(clock=None, speed="correspondence", perf="correspondence", daysPerTurn=3))

    assert (game["n_clock_initial_s"], game["n_clock_increment_s"], game["n_days_per_turn"]) == (None, None, 3)


def test_the_rating_category_of_a_variant_is_not_its_speed() -> None:
    game = _game(document(variant="atomic", perf="atomic"))

    assert (game["val_variant"], game["val_speed"], game["val_perf"]) == ("atomic", "blitz", "atomic")


def test_an_analysis_is_aligned_to_plies_and_a_mating_move_has_none() -> None:
    mate = document(
        status="mate",
        winner="black",
        moves="f3 e5 g4 Qh4#",
        analysis=[
            {"eval": -50, "best": "e2e4", "judgment": {"name": "Inaccuracy", "comment": "Inaccuracy. e4 was best."}},
            {"eval": -52},
            {"mate": -1, "best": "b1c3", "judgment": {"name": "Blunder", "comment": "Checkmate is now unavoidable."}},
        ],
    )
    game = _game(mate)

    assert game["arr_eval_cp"] == [-50, -52, None, None]
    assert game["arr_eval_mate"] == [None, None, -1, None]
    assert game["arr_glyph"] == ["?!", None, "??", None]
    assert game["arr_best"] == ["e2e4", None, "b1c3", None]


def test_a_game_in_which_no_better_move_is_named_has_no_list_of_them() -> None:
    assert _game(document(analysis=[{"eval": 20}, {"eval": 15}]))["arr_best"] is None


def test_a_mistake_has_one_question_mark() -> None:
    entry = {"eval": -150, "judgment": {"name": "Mistake"}}

    assert _game(document(analysis=[entry]))["arr_glyph"] == ["?", None, None]


@pytest.mark.parametrize("said", [{"tournament": "arena001"}, {"arenaTour": {"id": "arena001", "name": "Arena"}}])
def test_an_arena_is_named_by_its_id_or_described(said: dict[str, object]) -> None:
    assert _game(document(**said))["id_tournament"] == "arena001"


@pytest.mark.parametrize("said", [{"swiss": "swiss001"}, {"swissTour": {"id": "swiss001"}}])
def test_a_swiss_is_named_by_its_id_or_described(said: dict[str, object]) -> None:
    assert _game(document(**said))["id_swiss"] == "swiss001"


def test_old_captures_without_a_source_and_documents_with_unknown_fields_are_kept() -> None:
    assert _game(document(source=None, bookmarked=True, somethingNew={"a": [1]}))["id_game"] == "abcdEF12"


def test_a_user_is_known_by_the_lower_case_id() -> None:
    odd = {"white": {"user": {"name": "Alfa_One", "id": "Alfa_One"}}, "black": PLAYERS["black"]}

    assert _game(document(players=odd))["id_user_white"] == "alfa_one"


def test_a_document_stored_twice_is_one_game() -> None:
    rows = player_rows([document()])
    games, rejected = from_documents(pl.concat([rows, rows.with_columns(id_user=pl.lit("bravotwo"))]))

    assert (games.height, rejected.height) == (1, 0)


def test_the_newest_version_of_a_game_counts() -> None:
    older = player_rows([document()])
    newer = player_rows([document(analysis=[{"eval": 20}])], INGESTED + timedelta(days=1))

    games, _ = from_documents(pl.concat([newer, older]))

    assert games.get_column("arr_eval_cp").to_list() == [[20, None, None]]
    assert games.get_column("tm_ingested").to_list() == [INGESTED + timedelta(days=1)]


def test_of_two_versions_of_one_moment_always_the_same_counts() -> None:
    rows = player_rows([document(moves="e4 e5"), document(moves="d4 d5")])

    assert from_documents(rows)[0].equals(from_documents(rows.reverse())[0])


def test_a_broken_newer_version_is_rejected_and_the_older_one_stays() -> None:
    older = player_rows([document()])
    newer = player_rows([document(status="teleported")], INGESTED + timedelta(days=1))

    games, rejected = from_documents(pl.concat([older, newer]))

    assert games.get_column("val_status").to_list() == ["resign"]
    assert "teleported" in rejected.get_column("val_reasons").item()


def test_a_rejected_document_keeps_its_text_and_the_request_that_brought_it() -> None:
    games, rejected = from_documents(player_rows([document(status="teleported"), document(id="other123")]))

    assert games.get_column("id_game").to_list() == ["other123"]
    row = rejected.row(0, named=True)
    assert orjson.loads(row["val_text"]) == document(status="teleported")
    assert (row["id_game"], row["val_source"], row["val_origin"]) == ("abcdEF12", "player", "fetch-1")
    assert (row["dt_month"], row["tm_ingested"]) == ("2015-01", INGESTED)


@pytest.mark.parametrize("text", ["", "{", "null", "[1, 2]", '"abcdEF12"', "<html>", '{"id": "abcdEF12"'])
def test_what_is_no_json_object_is_rejected(text: str) -> None:
    assert _reasons(text).startswith("document: not ")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rated": "yes"}, "rated: neither true nor false (got yes)"),
        ({"createdAt": None}, "tm_created: not_nullable"),
        ({"players": None}, "players.white: missing; players.black: missing"),
        ({"players": ["a", "b"]}, "players: not an object"),
        ({"players": PLAYERS | {"white": {"user": {"id": 5}}}}, "players.white.user.id: not a text (got 5)"),
        ({"players": PLAYERS | {"white": {"rating": "1600"}}}, "players.white.rating: not a whole number"),
        ({"players": PLAYERS | {"white": {"rating": 99999}}}, "players.white.rating: not a whole number"),
        ({"players": PLAYERS | {"white": {"rating": 17}}}, "n_rating_white: in_range"),
        ({"players": PLAYERS | {"white": {"aiLevel": 9}}}, "n_ai_level_white: in_range"),
        ({"winner": "nobody"}, "winner: neither white nor black (got nobody)"),
        ({"status": "teleported"}, "val_status: isin"),
        ({"variant": "fog"}, "val_variant: isin"),
        ({"speed": "warp"}, "val_speed: isin"),
        ({"moves": None}, "moves: missing"),
        ({"moves": 5}, "moves: not a text (got 5)"),
        ({"moves": "a " * 40_000}, "moves: more than 10000 plies (got 40000)"),
        ({"clock": {"initial": 1.5, "increment": 0}}, "clock.initial: not a whole number"),
        ({"clocks": [1, "2"]}, "clocks: not a list of int"),
        ({"clocks": [1, 2, 3, 4, 5]}, "clocks: more than 4 entries (got 5)"),
        ({"clocks": [1, 2**40]}, "clocks: not within"),
        ({"analysis": {"eval": 1}}, "analysis: not a list of dict"),
        ({"analysis": [{"eval": 1}] * 4}, "analysis: more than 3 entries (got 4)"),
        ({"analysis": [{"eval": "1"}]}, "analysis.eval: not a whole number"),
        ({"analysis": [{"eval": 1, "judgment": {"name": "Brilliancy"}}]}, "none of Inaccuracy, Mistake, Blunder"),
        ({"opening": {"eco": "Z99"}}, "val_eco: str_matches"),
    ],
)
def test_an_odd_field_rejects_its_own_document_only_and_is_named(change: dict[str, Any], reason: str) -> None:
    games, rejected = from_documents(
        player_rows([document(id="before00"), document(**change), document(id="after000")])
    )

    assert games.get_column("id_game").sort().to_list() == ["after000", "before00"]
    assert reason in rejected.get_column("val_reasons").item()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"players": PLAYERS | {"white": {"user": {"name": "Alfa", "id": "beta"}}}}, "the id of a user is the name"),
        ({"players": {"white": {"aiLevel": 1, "rating": 800}, "black": {}}}, "a computer has neither account"),
        ({"players": {"white": {"aiLevel": 1}, "black": {"aiLevel": 2}}}, "not both sides are computers"),
        ({"status": "draw"}, "val_result fits val_status"),
        ({"status": "resign", "winner": None}, "val_result fits val_status"),
        ({"status": "started"}, "val_result fits val_status"),
        ({"status": "mate", "winner": "black"}, "who mates wins"),
        ({"lastMoveAt": CREATED_MS - 1}, "tm_last_move is not before tm_created"),
        ({"speed": "rapid", "perf": "rapid"}, "val_speed is that of the clock"),
        ({"variant": "fromPosition"}, "a game from a position says from which"),
    ],
)
def test_a_game_that_contradicts_itself_is_rejected_with_the_rule(change: dict[str, Any], rule: str) -> None:
    assert rule in _reasons(document(**change))


def test_every_reason_is_told() -> None:
    reasons = _reasons(document(status="teleported", rated="yes", opening={"eco": "Z99"})).split("; ")

    assert {reason.split(":")[0] for reason in reasons} >= {"rated", "ind_rated", "val_status", "val_eco"}


def test_black_mates_in_a_game_that_black_began() -> None:
    from_here = {"variant": "fromPosition", "initialFen": "7k/8/8/8/8/5q2/8/6BK b - - 0 1"}

    assert _game(document(**from_here, moves="Qh5#", status="mate", winner="black"))["val_result"] == "0-1"


def test_a_document_of_another_game_or_month_than_stored_is_rejected() -> None:
    elsewhere = player_rows([document()]).with_columns(id_game=pl.lit("other123"), dt_month=pl.lit("2015-02"))

    games, rejected = from_documents(elsewhere)

    assert games.height == 0
    assert rejected.get_column("val_reasons").to_list() == [
        "id: not the game that was stored (got abcdEF12); dt_month: not the month of its source, 2015-02 (got 2015-01)"
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*document(), "clocks", "analysis", "opening", "daysPerTurn", "initialFen", "tournament"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(FIELDS, JSON, min_size=1, max_size=3))
def test_whatever_a_field_holds_nothing_is_raised_and_no_other_document_suffers(change: dict[str, Any]) -> None:
    odd = orjson.dumps(document() | change).decode()

    games, rejected = from_documents(player_rows([odd, document(id="other123")]))

    assert "other123" in games.get_column("id_game")
    assert games.height + rejected.height == 2


def test_a_dump_game_becomes_the_same_row_as_its_document() -> None:
    api = _game(document(opening={"eco": "C40", "name": "King's Knight Opening", "ply": 3}))
    dump = _dump_game()

    unknown = {"tm_last_move": None, "n_opening_ply": None, "val_source": "dump"}
    assert dump == api | unknown | {"tm_created": datetime(2015, 1, 1, 12, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("event", "tournament", "swiss"),
    [
        ("Rated Blitz game", None, None),
        ("Rated blitz game", None, None),
        ("rated blitz game", None, None),
        ("Rated Blitz tournament https://lichess.org/tournament/Aa1bB2cC", "Aa1bB2cC", None),
        ("rated blitz tournament https://lichess.org/tournament/Aa1bB2cC", "Aa1bB2cC", None),
        ("Blitz swiss https://lichess.org/swiss/Dd3eE4fF", None, "Dd3eE4fF"),
    ],
)
def test_events_of_all_times_are_read(event: str, tournament: str | None, swiss: str | None) -> None:
    game = _dump_game(val_event=event)

    assert (game["ind_rated"], game["id_tournament"], game["id_swiss"]) == (True, tournament, swiss)


def test_a_file_of_rated_games_says_so_where_an_event_and_the_ratings_do_not() -> None:
    swiss = {"val_event": "Blitz swiss https://lichess.org/swiss/Dd3eE4fF"}

    assert _dump_game(**swiss, val_white_rating_diff=None, val_black_rating_diff=None)["ind_rated"] is True


def test_a_casual_game_is_not_rated_and_of_a_named_event_a_rating_difference_tells() -> None:
    named = {"val_event": "Rated Friends Cup", "val_file": "export.pgn"}

    assert _dump_game(val_event="Casual King of the Hill game")["ind_rated"] is False
    assert _dump_game(**named)["ind_rated"] is True
    unsaid = _dump_reasons(**named, val_white_rating_diff=None, val_black_rating_diff=None)
    assert unsaid.startswith("val_event: says neither rated nor casual (got Rated Friends Cup)")


@pytest.mark.parametrize("nobody", ["?", "Anonymous"])
def test_a_nameless_player_and_the_computer_have_no_account(nobody: str) -> None:
    game = _dump_game(val_white=nobody, val_white_elo="?", val_black="lichess AI level 3", val_black_elo="?")

    assert (game["id_user_white"], game["val_name_white"], game["n_rating_white"]) == (None, None, None)
    assert (game["val_name_black"], game["n_rating_black"], game["n_ai_level_black"]) == (None, None, 3)


@pytest.mark.parametrize(
    ("control", "speed"),
    [
        ("15+0", "ultraBullet"),
        ("30+0", "bullet"),
        ("120+1", "bullet"),
        ("180+0", "blitz"),
        ("300+3", "blitz"),
        ("300+5", "rapid"),
        ("1500+0", "classical"),
        ("21600+0", "correspondence"),
        ("-", "correspondence"),
    ],
)
def test_a_speed_is_that_of_the_time_control_whatever_the_event_says(control: str, speed: str) -> None:
    game = _dump_game(val_time_control=control, val_event="Rated Classical game")

    assert (game["val_speed"], game["val_perf"]) == (speed, speed)


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        (None, "standard"),
        ("Standard", "standard"),
        ("Chess960", "chess960"),
        ("Crazyhouse", "crazyhouse"),
        ("Antichess", "antichess"),
        ("Atomic", "atomic"),
        ("Horde", "horde"),
        ("King of the Hill", "kingOfTheHill"),
        ("Racing Kings", "racingKings"),
        ("Three-check", "threeCheck"),
    ],
)
def test_a_variant_is_known_by_its_key(tag: str | None, key: str) -> None:
    game = _dump_game(val_variant=tag)

    assert (game["val_variant"], game["val_perf"]) == (key, "blitz" if key == "standard" else key)


def test_a_game_from_a_position_counts_for_its_speed() -> None:
    game = _dump_game(val_variant="From Position", val_fen="7k/8/8/8/8/5q2/8/6BK w - - 0 1")

    assert (game["val_variant"], game["val_perf"]) == ("fromPosition", "blitz")
    assert game["val_initial_fen"] == "7k/8/8/8/8/5q2/8/6BK w - - 0 1"


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({}, "resign"),
        ({"val_moves": "e4 e5 Qh5#"}, "mate"),
        ({"val_result": "1/2-1/2"}, None),
        ({"val_termination": "Time forfeit"}, None),
        ({"val_termination": "Abandoned"}, "noStart"),
        ({"val_termination": "Abandoned", "val_result": "*"}, None),
        ({"val_termination": "Rules infraction"}, "cheat"),
        ({"val_termination": "Insufficient material", "val_result": "1/2-1/2"}, "insufficientMaterialClaim"),
        ({"val_termination": "Unterminated", "val_result": "*"}, None),
        ({"val_variant": "Atomic"}, None),
        ({"val_variant": "Atomic", "val_moves": "e4 e5 Qh5#"}, None),
        ({"val_variant": "Crazyhouse"}, "resign"),
    ],
)
def test_a_status_is_told_only_where_the_file_leaves_one_possibility(tags: dict[str, Any], status: str | None) -> None:
    assert _dump_game(**tags)["val_status"] == status


def test_a_mate_that_the_file_scores_for_the_other_side_is_rejected() -> None:
    assert _dump_reasons(val_moves="e4 e5 Qh5#", val_result="0-1") == "who mates wins"


def test_the_day_comes_from_utc_date_or_else_from_date_and_must_come_from_one() -> None:
    assert _dump_game(val_utc_date=None, val_date="2015.01.01")["dt_game"] == date(2015, 1, 1)
    assert _dump_game(val_utc_date="????.??.??", val_date="2015.01.01")["dt_game"] == date(2015, 1, 1)
    nothing = _dump_reasons(val_utc_date=None, val_utc_time=None)
    assert nothing.startswith("val_utc_date: no readable day and time (got nothing nothing)")


def test_unknown_openings_and_ratings_are_null() -> None:
    game = _dump_game(val_eco="?", val_opening="?", val_white_elo="?", val_black_elo="")

    assert [game[name] for name in ("val_eco", "val_opening", "n_rating_white", "n_rating_black")] == [None] * 4


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"val_white_elo": "strong"}, "val_white_elo: not a number (got strong)"),
        ({"val_black_rating_diff": "+x"}, "val_black_rating_diff: not a number (got +x)"),
        ({"val_time_control": "40/7200:900+30"}, "val_time_control: neither seconds+increment nor -"),
        ({"val_time_control": None}, "val_time_control: neither seconds+increment nor - (got nothing)"),
        ({"val_variant": "Fog of War"}, "val_variant: isin"),
        ({"val_termination": None}, "val_termination: not_nullable"),
        ({"val_result": "2-0"}, "val_result: isin"),
        ({"val_white": "Name, First"}, "id_user_white: str_matches"),
        ({"id_game": "toolong123"}, "id_game: str_matches"),
        ({"n_plies": 2}, "n_plies counts val_moves"),
        ({"arr_clock_cs": [1, 2]}, "lists have one element a ply"),
        ({"arr_eval_cp": [1, 2, 3], "arr_eval_mate": [None]}, "lists have one element a ply"),
        ({"dt_month": "2015-02"}, "dt_month: not the month of its source, 2015-02 (got 2015-01)"),
    ],
)
def test_a_dump_game_that_breaks_a_rule_is_rejected_alone_and_whole(tags: dict[str, Any], reason: str) -> None:
    sound = dump_row(id_game="other123", n_game=7)

    games, rejected = from_dump(dump_rows(dump_row(**tags), sound))

    assert games.get_column("id_game").to_list() == ["other123"]
    row = rejected.row(0, named=True)
    assert reason in row["val_reasons"]
    assert row["val_origin"] == "lichess_db_standard_rated_2015-01.pgn.zst#1"
    assert orjson.loads(row["val_text"])["val_opening"] == "King's Knight Opening"


def test_a_damaged_game_is_rejected_with_its_text() -> None:
    damaged = dump_row(val_error="the movetext ends without a result", val_text="[Event ...", id_game=None, n_game=2)

    games, rejected = from_dump(dump_rows(dump_row(), damaged))

    assert games.height == 1
    row = rejected.row(0, named=True)
    assert (row["id_game"], row["val_text"]) == (None, "[Event ...")
    assert row["val_reasons"] == "val_error: the movetext ends without a result"


def test_a_game_that_comes_twice_in_a_dump_is_one_game_its_longest() -> None:
    longer = dump_row(val_moves="e4 e5 Nf3 Nc6", n_plies=4, n_game=9)

    games, rejected = from_dump(dump_rows(dump_row(), longer, dump_row(n_game=3)))

    assert rejected.height == 0
    assert games.get_column("n_plies").to_list() == [4]


def test_an_analysed_game_has_all_three_lists_and_another_none() -> None:
    nothing = [None, None, None]
    analysed = _dump_game(arr_eval_cp=[30, None, 20], arr_eval_mate=None, arr_glyph=None)
    plain = _dump_game(arr_eval_cp=nothing, arr_eval_mate=nothing, arr_glyph=nothing, arr_clock_cs=nothing)
    lists = ("arr_eval_cp", "arr_eval_mate", "arr_glyph")

    assert [analysed[name] for name in lists] == [[30, None, 20], nothing, nothing]
    assert [plain[name] for name in (*lists, "arr_clock_cs")] == [None] * 4


# Winning chances, worked out apart: 0 → 0, -120 → -0.2174, -250 → -0.4303, 450 → 0.6796, 600 → 0.8022, 700 → 0.8586.
@pytest.mark.parametrize(
    ("before", "after", "glyph"),
    [
        ((0, None), (-120, None), "?"),
        ((0, None), (-250, None), "??"),
        ((700, None), (450, None), "?!"),
        ((700, None), (600, None), None),
        ((-120, None), (0, None), None),
        ((0, None), (None, -3), "??"),
        ((-701, None), (None, -3), "?"),
        ((-1000, None), (None, -3), "?!"),
        ((None, 4), (700, None), "??"),
        ((None, 4), (701, None), "?"),
        ((None, 4), (1000, None), "?!"),
        ((None, 4), (None, -2), "??"),
        ((None, 4), (None, 9), None),
        ((None, -4), (None, -1), None),
        ((None, None), (-400, None), "?!"),
        ((0, None), (None, None), "?!"),
    ],
)
def test_a_judgment_is_worked_out_anew_by_the_rule_of_the_site(
    before: tuple[int | None, int | None], after: tuple[int | None, int | None], glyph: str | None
) -> None:
    evaluations = {"arr_eval_cp": [0, before[0], after[0]], "arr_eval_mate": [None, before[1], after[1]]}
    mirrored = {
        name: [None if one is None else -one for one in (0, *values)]
        for name, values in {
            "arr_eval_cp": (0, before[0], after[0]),
            "arr_eval_mate": (None, before[1], after[1]),
        }.items()
    }
    if before == (None, None):
        mirrored["arr_eval_mate"] = [None] * 4
    games = pl.DataFrame(
        [
            {**evaluations, "arr_glyph": [None, None, "?!"], "val_initial_fen": None},
            {**mirrored, "arr_glyph": [None, None, None, "?!"], "val_initial_fen": None},
        ],
        schema={
            "arr_eval_cp": pl.List(pl.Int32),
            "arr_eval_mate": pl.List(pl.Int16),
            "arr_glyph": pl.List(pl.String),
            "val_initial_fen": pl.String,
        },
    )

    assert site_glyphs(games).to_list() == [[None, None, glyph], [None, None, None, glyph]]


def test_white_s_first_move_is_judged_from_a_small_advantage() -> None:
    # From +15 (0.0276) to -40 (-0.0735) is a fall of 0.1011, from 0 it would be 0.0735.
    lists = {"arr_eval_cp": [-40, None, None], "arr_eval_mate": [None] * 3, "arr_glyph": ["??", None, None]}

    assert _dump_game(**lists)["arr_glyph"] == ["?!", None, None]


def test_a_move_of_black_who_began_is_judged_as_black_s() -> None:
    fen = "7k/8/8/8/8/5q2/8/6BK b - - 0 1"
    lists = {"arr_eval_cp": [400, None, None], "arr_eval_mate": [None] * 3, "arr_glyph": ["?", None, None]}

    assert _dump_game(**lists, val_variant="From Position", val_fen=fen)["arr_glyph"] == ["??", None, None]


def test_praise_is_no_judgment() -> None:
    lists = {"arr_eval_cp": [20, 20, -400], "arr_eval_mate": [None] * 3, "arr_glyph": ["!", None, "??"]}

    assert _dump_game(**lists)["arr_glyph"] == [None, None, "??"]
    assert _dump_game(arr_glyph=["!", None, None])["arr_glyph"] is None
