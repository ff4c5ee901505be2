"""One row a game: what a document and a dump know of it comes together, once, whatever the order and the batches."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from game_rows import CREATED_MS, INGESTED, document, dump_row, dump_rows, player_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from kshift_assets.chess.cleaning import Tally, clean_month, from_documents, from_dump
from kshift_assets.chess.merging import SeenIds, merge
from kshift_assets.chess.schemas import Games
from kshift_assets.tables import polars_schema, split

GAMES = polars_schema(Games)


def _api(**changes: object) -> pl.DataFrame:
    games, rejected = from_documents(player_rows([document(**changes)]))
    assert rejected.height == 0
    return games


def _dump(**changes: object) -> pl.DataFrame:
    games, rejected = from_dump(dump_rows(dump_row(**changes)))
    assert rejected.height == 0
    return games


def _merged(api: pl.DataFrame, dump: pl.DataFrame) -> dict[str, Any]:
    merged = merge(api, dump)
    assert merged.schema == GAMES
    assert merged.height == 1
    return merged.row(0, named=True)


def test_the_document_gives_the_row_and_the_dump_what_it_lacks() -> None:
    clocks = {"arr_clock_cs": [18000, 18000, 17900]}
    game = _merged(_api(), _dump(**clocks))

    assert game == _api().row(0, named=True) | clocks | {"val_eco": "C40", "val_opening": "King's Knight Opening"}


def test_clocks_in_centiseconds_win_over_whole_seconds() -> None:
    game = _merged(_api(clocks=[18003, 18003, 17912]), _dump(arr_clock_cs=[18000, 18000, 17900]))

    assert game["arr_clock_cs"] == [18003, 18003, 17912]


def test_a_dump_alone_keeps_its_source_and_a_lazy_frame_will_do() -> None:
    merged = merge(_api().clear().lazy(), _dump().lazy())

    assert merged.equals(_dump())


def test_an_analysis_comes_whole_from_one_source() -> None:
    analysed = {"arr_eval_cp": [10, None, 30], "arr_eval_mate": [None, 3, None], "arr_glyph": [None, "?!", None]}
    game = _merged(_api(analysis=[{"eval": 15}]), _dump(**analysed))

    assert game["arr_eval_cp"] == [15, None, None]
    assert game["arr_eval_mate"] == [None, None, None]
    assert game["arr_glyph"] == [None, None, None]
    filled = _merged(_api(), _dump(**analysed))
    assert (filled["arr_eval_cp"], filled["arr_eval_mate"]) == ([10, None, 30], [None, 3, None])
    best = [{"eval": 15}, {"eval": 9, "best": "e7e6"}]
    assert _merged(_api(analysis=best), _dump(**analysed))["arr_best"] == [None, "e7e6", None]


def test_a_finished_dump_game_beats_a_document_fetched_while_it_went_on() -> None:
    ongoing = _api(
        status="started", winner=None, moves="e4 e5", clocks=[18003, 18003], opening={"eco": "C20", "ply": 2}
    )
    game = _merged(ongoing, _dump())

    assert (game["val_status"], game["val_result"], game["val_moves"]) == ("resign", "1-0", "e4 e5 Nf3")
    assert (game["val_eco"], game["n_opening_ply"], game["arr_clock_cs"]) == ("C40", None, None)
    assert (game["tm_last_move"], game["val_source"]) == (None, "player")
    assert game["tm_created"].microsecond == 123_000


def test_a_game_that_a_dump_holds_unfinished_is_finished_by_its_document() -> None:
    unfinished = _dump(val_result="*", val_termination="Unterminated", val_moves="e4 e5", n_plies=2)
    game = _merged(_api(), unfinished)

    assert (game["val_result"], game["val_termination"], game["n_plies"]) == ("1-0", "Normal", 3)
    assert game["val_eco"] is None


def test_lists_of_other_moves_never_come_together() -> None:
    other = _dump(val_moves="d4 d5 c4 e6", n_plies=4, arr_clock_cs=[1, 2, 3, 4])

    assert _merged(_api(), other)["arr_clock_cs"] is None


def test_a_status_never_comes_from_a_row_with_another_result() -> None:
    flagged = _dump(val_termination="Time forfeit")
    unknown = _merged(flagged, _dump(val_result="0-1", tm_ingested=INGESTED - timedelta(days=1)))

    assert (unknown["val_status"], unknown["val_termination"]) == (None, "Time forfeit")


def test_an_anonymous_side_is_named_by_the_dump_and_a_known_one_is_never_mixed() -> None:
    players = document()["players"]
    anonymous = _api(players=players | {"white": {}})
    renamed = _api(players=players | {"white": {"user": {"name": "Other", "id": "other"}}})

    named = _merged(anonymous, _dump())
    assert (named["id_user_white"], named["val_name_white"], named["n_rating_white"]) == ("alfa_one", "Alfa_One", 1600)
    kept = _merged(renamed, _dump())
    assert (kept["id_user_white"], kept["val_name_white"], kept["n_rating_white"]) == ("other", "Other", None)


def test_the_newest_fetch_dates_the_row() -> None:
    later = INGESTED + timedelta(days=3)

    assert _merged(_api(), _dump(tm_ingested=later))["tm_ingested"] == later


BASE = pl.concat([_api(), _dump()]).row(0, named=True)
OUTCOMES = [
    {"val_moves": "e4 e5 Nf3", "n_plies": 3, "val_result": "1-0", "val_termination": "Normal", "val_status": "resign"},
    {"val_moves": "e4 e5 Nf3", "n_plies": 3, "val_result": "1-0", "val_termination": "Time forfeit"},
    {"val_moves": "e4 e5", "n_plies": 2, "val_result": "*", "val_termination": "Unterminated", "val_status": "started"},
    {"val_moves": "", "n_plies": 0, "val_result": "*", "val_termination": "Abandoned", "val_status": "aborted"},
]
FORGETTABLE = ("n_rating_white", "n_rating_diff_black", "val_title_black", "n_days_per_turn", "id_tournament")
SIDES = [
    {"id_user_white": "alfa_one", "val_name_white": "Alfa_One", "n_rating_white": 1600},
    {"id_user_white": None, "val_name_white": None, "n_rating_white": None},
    {"id_user_white": None, "val_name_white": None, "n_rating_white": None, "n_ai_level_white": 3},
]


@st.composite
def _rows(draw: st.DrawFn) -> dict[str, Any]:
    """A sound row of one of a few games, in one of the states in which a source may have seen it."""
    row = BASE | {"val_status": None, "val_title_black": None, "tm_last_move": None}
    row |= draw(st.sampled_from(OUTCOMES)) | draw(st.sampled_from(SIDES))
    row |= {"id_game": draw(st.sampled_from(["aaaaaaaa", "aaaaaaaA", "bbbbbbbb"]))}
    row |= {"val_source": draw(st.sampled_from(["player", "tv", "dump"]))}
    row |= {"tm_ingested": INGESTED + timedelta(days=draw(st.integers(0, 2)))}
    if row["val_source"] == "dump":
        row["tm_created"] = row["tm_created"].replace(microsecond=0)
    elif draw(st.booleans()):
        row["tm_last_move"] = row["tm_created"] + timedelta(minutes=draw(st.integers(0, 2)))
    row |= dict.fromkeys(draw(st.sets(st.sampled_from(FORGETTABLE))))
    n_plies = row["n_plies"]
    if n_plies and draw(st.booleans()):
        row["arr_clock_cs"] = [draw(st.integers(0, 3))] * n_plies
    if n_plies and draw(st.booleans()):
        row |= {"arr_eval_cp": [draw(st.integers(-3, 3))] * n_plies, "arr_eval_mate": [None] * n_plies}
        row |= {"arr_glyph": [None] * n_plies}
    return row


SETS = st.lists(_rows(), max_size=8)


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=GAMES, orient="row")


@settings(max_examples=60, deadline=None)
@given(SETS, SETS, st.randoms())
def test_merging_loses_no_game_doubles_none_and_does_not_care_for_the_order(
    some: list[dict[str, Any]], others: list[dict[str, Any]], chance: Any
) -> None:
    merged = merge(_frame(some), _frame(others))

    shuffled = some + others
    chance.shuffle(shuffled)
    cut = chance.randint(0, len(shuffled))
    assert merge(_frame(shuffled[:cut]), _frame(shuffled[cut:])).equals(merged)
    assert sorted(merged.get_column("id_game")) == sorted({row["id_game"] for row in some + others})


@settings(max_examples=60, deadline=None)
@given(SETS, SETS)
def test_merging_again_changes_nothing(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    merged = merge(_frame(some), _frame(others))

    assert merge(merged, _frame([])).equals(merged)
    assert merge(merged, merged).equals(merged)


@settings(max_examples=60, deadline=None)
@given(SETS, SETS)
def test_what_is_merged_keeps_every_rule_and_invents_no_value(
    some: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    merged = merge(_frame(some), _frame(others))

    _, broken = split(Games, merged)
    assert broken.get_column("val_reasons").to_list() == []
    for row in merged.iter_rows(named=True):
        sources = [one for one in some + others if one["id_game"] == row["id_game"]]
        for name, value in row.items():
            assert value in [one.get(name) for one in sources], name


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.integers(0, 40), max_size=12), max_size=12))
def test_an_id_is_new_once(batches: list[set[int]]) -> None:
    seen, known = SeenIds(), set()

    for batch in batches:
        ids = pl.Series([f"game{number:04}" for number in batch], dtype=pl.String)
        assert seen.new(ids).to_list() == [one not in known for one in ids]
        known |= set(ids)


def _month(players: pl.DataFrame, batches: list[pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame, Tally]:
    tally = Tally()
    games, rejected = zip(*clean_month(players, iter(batches), tally), strict=True)
    return pl.concat(games), pl.concat(rejected), tally


def test_a_month_gives_every_game_once_and_counts_every_row() -> None:
    older = player_rows([document(id="gameAAAA", moves="e4")], INGESTED - timedelta(days=1))
    players = pl.concat([older, player_rows([document(id=f"game{letter * 4}") for letter in "ABC"])])
    players = pl.concat([players, player_rows([document(id="gameXXXX", status="teleported")])])
    batches = [
        dump_rows(dump_row(id_game="gameAAAA"), dump_row(id_game="gameDDDD"), dump_row(id_game="gameDDDD")),
        dump_rows(dump_row(id_game="gameEEEE"), dump_row(id_game="gameFFFF", val_eco="Z99")),
        dump_rows(dump_row(id_game="gameCCCC"), dump_row(id_game="gameAAAA"), dump_row(id_game="gameDDDD")),
        dump_rows(),
    ]

    games, rejected, tally = _month(players, batches)

    assert sorted(games.get_column("id_game")) == [f"game{letter * 4}" for letter in "ABCDE"]
    sources = dict(games.select("id_game", "val_source").iter_rows())
    assert [sources[f"game{letter * 4}"] for letter in "ABCDE"] == ["player"] * 3 + ["dump"] * 2
    assert dict(games.select("id_game", "val_eco").iter_rows())["gameCCCC"] == "C40"
    assert sorted(rejected.get_column("id_game")) == ["gameFFFF", "gameXXXX"]
    assert tally == Tally(n_player_rows=5, n_dump_rows=8, n_games=5, n_rejected=2, n_duplicates=4, n_merged=2)
    assert tally.n_lost == 0


def test_a_row_that_goes_missing_shows_in_the_tally() -> None:
    _, _, tally = _month(player_rows([document()]), [dump_rows(dump_row(id_game="other123"))])

    tally.n_games -= 1

    assert tally.n_lost == 1


@pytest.mark.parametrize("rows_a_batch", [1, 2, 3, 100])
def test_the_games_of_a_month_do_not_depend_on_the_batches(rows_a_batch: int) -> None:
    players = player_rows([document(id=f"game000{number}") for number in range(0, 8, 2)])
    dump = dump_rows(*(dump_row(id_game=f"game000{number % 5}", n_game=number + 1) for number in range(10)))

    games, _, tally = _month(players, [*dump.iter_slices(rows_a_batch)])

    api, alone = from_documents(players)[0], from_dump(dump)[0]
    assert games.sort("id_game").equals(merge(api, alone).sort("id_game"))
    assert tally.n_lost == 0


def test_an_empty_month_has_no_games() -> None:
    games, rejected, tally = _month(player_rows([]), [])

    assert (games.schema, games.height, rejected.height) == (GAMES, 0, 0)
    assert tally == Tally()


def test_days_and_times_are_those_of_the_api() -> None:
    game = _merged(_api(), _dump())

    assert game["tm_created"] == datetime.fromtimestamp(CREATED_MS / 1000, UTC)
    assert game["dt_game"] == date(2015, 1, 1)
