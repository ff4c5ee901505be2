"""Material at the four moments of a game."""

import pytest
from board_oracle import games_of

from plugins.chess_rules.material import material
from plugins.chess_rules.phases import division
from plugins.chess_rules.replay import UnplayableGame

ENDING = "4k3/pppp4/8/8/8/8/4PPPP/3QK2R w K - 0 1"


def test_pieces_are_counted_where_the_game_stands() -> None:
    games = games_of("e4 d5 exd5 Qxd5 Nc3 Qxd2+ Bxd2", ("Qxd7+ Kf8", ENDING))
    (whole, ending) = material(games).rows(named=True)
    assert (whole["n_pawns_white"], whole["n_pawns_black"], whole["n_queens_black"]) == (6, 7, 0)
    assert (whole["n_material_white"], whole["n_material_black"]) == (37, 29)
    assert (ending["n_queens_white"], ending["n_rooks_white"], ending["n_pawns_black"]) == (1, 1, 3)


def test_before_a_phase_there_is_nothing_to_count() -> None:
    games = games_of("e4 e5", ("Qxd7+ Kf8", ENDING))
    assert division(games).rows() == [(None, None), (None, 0)]
    assert set(material(games, "middlegame").row(0)) == set(material(games, "middlegame").row(1)) == {None}
    assert set(material(games, "endgame").row(0)) == {None}
    assert material(games, "endgame").row(1, named=True)["n_material_white"] == 18
    assert material(games, "start").row(0, named=True)["n_material_white"] == 39


@pytest.mark.parametrize(
    ("game", "trouble"),
    [
        (("e4 Ke7", None), "ply 2, 'Ke7', is not one legal move"),
        (("e4", "8/8/8/8/8/8/8/8 w - - 0 1"), "is none of standard chess"),
    ],
)
def test_what_cannot_be_played_is_said_with_its_place(game: tuple[str, str | None], trouble: str) -> None:
    with pytest.raises(UnplayableGame, match=trouble):
        division(games_of("e4 e5", game))
