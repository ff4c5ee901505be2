"""opening, against names taken apart by hand and the names of real games."""

import pytest

from plugins.chess.opening import plugin
from tests.chess_games import answers, frame, from_documents, recorded_documents
from tests.recordings import needs_recordings


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
    game = {"val_eco": "B90", "val_opening": name, "n_opening_ply": 10}
    assert answers(plugin, frame(game)).row(0)[1:] == ("B90", "B", name, family, variation, 10)


def test_what_is_unknown_stays_unknown() -> None:
    results = answers(plugin, frame({"val_eco": "A00"}, {"val_opening": "Ruy Lopez"}, {"n_opening_ply": 0}))
    assert [row[1:] for row in results.rows()] == [
        ("A00", "A", None, None, None, None),
        (None, None, "Ruy Lopez", "Ruy Lopez", None, None),
        (None, None, None, None, None, 0),
    ]


@needs_recordings
def test_the_parts_of_real_names_make_up_the_names_again() -> None:
    documents = recorded_documents("opening")
    assert len(documents) > 200
    for document, row in zip(documents, answers(plugin, from_documents(documents)).iter_rows(named=True), strict=True):
        family, colon, variation = document["opening"]["name"].partition(": ")
        assert (row["val_opening_family"], row["val_opening_variation"]) == (family, variation if colon else None)
        assert row["val_eco_volume"] + row["val_eco"][1:] == document["opening"]["eco"]
