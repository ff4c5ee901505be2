"""opening, against names taken apart by hand, lines that every book has, and the openings that real games carry."""

from typing import Any

import chess
import polars as pl
import pytest
from board_oracle import signed
from chess.polyglot import zobrist_hash
from sample_files import GAMES

from plugins.chess.opening import from_moves, plugin
from plugins.chess_rules import opening_reach
from plugins.chess_rules.openings import MAX_PLIES, known_positions, openings
from tests.chess_games import answers, frame, from_documents, recorded_documents
from tests.recordings import needs_recordings

BERLIN = "e4 e5 Nf3 Nc6 Bb5 Nf6"
NOTHING = {"val_variant": "standard", "val_moves": "Zz9", "n_plies": 1}


def game(**facts: Any) -> dict[str, Any]:
    """A standard game; without moves that mean anything unless told."""
    return NOTHING | facts | ({"n_plies": len(facts["val_moves"].split())} if "val_moves" in facts else {})


@pytest.mark.parametrize(
    ("name", "family", "variation"),
    [
        ("Ruy Lopez", "Ruy Lopez", None),
        ("Sicilian Defense: Najdorf Variation", "Sicilian Defense", "Najdorf Variation"),
        (
            "Ruy Lopez: Berlin Defense, l'Hermet Variation, Berlin Wall Defense",
            "Ruy Lopez",
            "Berlin Defense, l'Hermet Variation, Berlin Wall Defense",
        ),
        ("Queen's Gambit Declined: Semi-Tarrasch: Pillsbury", "Queen's Gambit Declined", "Semi-Tarrasch: Pillsbury"),
        ("Grünfeld Defense: Exchange Variation", "Grünfeld Defense", "Exchange Variation"),
    ],
)
def test_a_name_is_a_family_and_what_follows_the_colon(name: str, family: str, variation: str | None) -> None:
    named = game(val_eco="B90", val_opening=name, n_opening_ply=10)
    assert answers(plugin, frame(named)).row(0)[1:] == ("B90", "B", name, family, variation, 10, "game")


def test_what_is_unknown_stays_unknown() -> None:
    games = frame(game(val_eco="A00"), game(val_opening="Ruy Lopez"), game(n_opening_ply=0), game())
    assert [row[1:] for row in answers(plugin, games).rows()] == [
        ("A00", "A", None, None, None, None, "game"),
        (None, None, "Ruy Lopez", "Ruy Lopez", None, None, "game"),
        (None, None, None, None, None, 0, None),
        (None, None, None, None, None, None, None),
    ]


def test_moves_tell_the_opening_that_the_source_does_not_name() -> None:
    games = frame(game(val_moves=f"{BERLIN} a3 a6 h3 h6"), game(val_moves="c4 e6 d4 d5"))
    assert [row[1:] for row in answers(plugin, games).rows()] == [
        ("C65", "C", "Ruy Lopez: Berlin Defense", "Ruy Lopez", "Berlin Defense", 6, "moves"),
        # The English move order, but the position is that of 1. d4 d5 2. c4 e6.
        ("D30", "D", "Queen's Gambit Declined", "Queen's Gambit Declined", None, 4, "moves"),
    ]


def test_the_plies_are_worked_out_up_to_the_name_that_the_source_gives() -> None:
    moves = {"val_moves": f"{BERLIN} a3 a6"}
    games = frame(
        game(**moves, val_eco="C65", val_opening="Ruy Lopez: Berlin Defense"),
        game(**moves, val_eco="C60", val_opening="Ruy Lopez"),
        game(**moves, val_eco="C60", val_opening="Spanish Torture"),
        game(**moves, val_eco="C60"),
        game(**moves, val_opening="Ruy Lopez"),
    )
    assert answers(plugin, games).select("val_eco", "val_opening_name", "n_opening_ply").rows() == [
        ("C65", "Ruy Lopez: Berlin Defense", 6),
        ("C60", "Ruy Lopez", 5),
        ("C60", "Spanish Torture", 5),
        ("C60", "Ruy Lopez", 5),
        ("C60", "Ruy Lopez", 5),
    ]


def test_the_opening_is_the_last_known_position_even_when_the_game_left_the_known_ones_for_a_while() -> None:
    roundabout = "e4 e5 Nf3 Nc6 Ng1 Nb8 Nf3 Nc6 Bb5"
    assert from_moves(frame(game(val_moves=roundabout))).row(0)[1:] == ("C60", "Ruy Lopez", 9)


def test_lichess_looks_no_further_than_forty_plies() -> None:
    shuffle = "Nf3 Nf6 Ng1 Ng8 " * (MAX_PLIES // 4)
    found = from_moves(frame(game(val_moves=f"{shuffle}e4"), game(val_moves=f"e4 e5 {shuffle}")))
    assert found.get_column("n_opening_ply").to_list() == [38, 40]


def test_a_game_that_breaks_the_rules_has_the_opening_that_it_had_before() -> None:
    games = frame(game(val_moves=f"{BERLIN} Kd8 a6"), game(val_variant="crazyhouse", val_moves="e4 d5 exd5 Qxd5 P@e4"))
    assert from_moves(games).get_column("val_eco").to_list() == ["C65", "B01"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"val_variant": "atomic"}, "a variant in which Lichess names no openings"),
        ({"val_variant": "chess960"}, "a variant in which Lichess names no openings"),
        ({"val_initial_fen": "8/8/8/8/8/8/8/Kk6 w - - 0 1"}, "starts from a position of its own"),
        ({"n_plies": 0, "val_moves": ""}, "no moves"),
    ],
)
def test_where_lichess_names_no_opening_it_says_why(facts: dict[str, Any], reason: str) -> None:
    row = plugin.run(frame(NOTHING | facts)).row(0, named=True)
    assert row.pop("val_not_applicable") == reason
    assert [value for column, value in row.items() if column != "id_game"] == [None] * 8


def test_every_line_of_the_package_is_found_again_in_its_own_game() -> None:
    """A game that ends with a known position has its opening."""
    lines = openings()
    found = from_moves(frame(*(game(val_moves=moves) for moves in lines.get_column("val_moves"))))
    assert found.get_column("val_eco").equals(lines.get_column("val_eco"))
    assert found.get_column("val_opening_name").equals(lines.get_column("val_name").alias("val_opening_name"))
    assert found.get_column("n_opening_ply").equals(lines.get_column("n_plies").alias("n_opening_ply"))


def test_a_game_is_looked_at_as_far_as_it_can_still_reach_a_position_of_its_name() -> None:
    """Every sample game under every name that it went through: no shortcut may miss the last position of the name."""
    moves = [one["moves"] for one in GAMES if one["variant"] == "standard" and one["moves"]]
    games = frame(*({"id_game": f"{number:08}", "val_moves": text} for number, text in enumerate(moves)))
    passed = known_positions(games).group_by("n_row", "val_name").agg(pl.col("n_ply").max(), pl.col("val_eco").last())
    assert passed.height > 3 * games.height
    named = frame(
        *(
            game(val_moves=moves[row], val_opening=name, id_game=f"{number:08}")
            for number, (row, name) in enumerate(passed.select("n_row", "val_name").iter_rows())
        )
    )
    found = answers(plugin, named)
    assert found.get_column("n_opening_ply").to_list() == passed.get_column("n_ply").to_list()
    cut_short = opening_reach.cut(named).get_column("val_moves").str.len_bytes().sum()
    assert cut_short < named.get_column("val_moves").str.len_bytes().sum() / 4


@needs_recordings
def test_the_parts_of_real_names_make_up_the_names_again() -> None:
    documents = recorded_documents("opening")
    assert len(documents) > 200
    for document, row in zip(documents, answers(plugin, from_documents(documents)).iter_rows(named=True), strict=True):
        family, colon, variation = document["opening"]["name"].partition(": ")
        assert (row["val_opening_family"], row["val_opening_variation"]) == (family, variation if colon else None)
        assert row["val_eco_volume"] + row["val_eco"][1:] == document["opening"]["eco"]


@needs_recordings
def test_moves_give_the_openings_that_real_games_carry() -> None:
    """Of an export of the years that the package is from; what older exports say is in docs/conformance.md."""
    games = from_documents(recorded_documents("opening", "user_megaloblasto.ndjson"))
    found = from_moves(games)
    assert games.height == 235
    agree = {
        "val_eco": found["val_eco"] == games["val_eco"],
        "val_opening": found["val_opening_name"] == games["val_opening"],
        "n_opening_ply": found["n_opening_ply"] == games["n_opening_ply"],
    }
    assert {name: int(column.sum()) for name, column in agree.items()} == {
        "val_eco": 235,
        "val_opening": 235,
        "n_opening_ply": 235,
    }


@needs_recordings
def test_moves_give_what_python_chess_finds_in_the_same_table() -> None:
    known = {row[0]: row[1:] for row in openings().select("id_position", "val_eco", "val_name").iter_rows()}
    games = from_documents(recorded_documents(files="user_[ai]*.ndjson")).filter(pl.col("val_variant") == "standard")
    games = games.filter(pl.col("n_plies") > 0).head(400)
    for (moves,), row in zip(games.select("val_moves").iter_rows(), from_moves(games).iter_rows(), strict=True):
        board, last = chess.Board(), (None, None, None)
        for ply, san in enumerate(moves.split()[:MAX_PLIES], 1):
            board.push_san(san)
            if (opening := known.get(signed(zobrist_hash(board)))) is not None:
                last = (*opening, ply)
        assert row[1:] == last, moves
