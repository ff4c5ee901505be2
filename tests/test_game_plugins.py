"""Analytics of single games: what python-chess's game carries, and that one failing game harms no other."""

import chess
import chess.pgn
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins import GamePlugin, PluginError
from plugins.games import pgn_game
from resources.workers import Workers
from tests.chess_games import frame


class LastSquare(pa.DataFrameModel):
    """Where the last move went."""

    id_game: str = pa.Field(description="Game id")
    val_square: str = pa.Field(nullable=True, description="Square of the last move")
    n_half_moves: pl.Int16 = pa.Field(nullable=True, description="Plies")


def last_square(game: chess.pgn.Game) -> dict[str, object]:
    node = game.end()
    if node.move is None:
        raise LookupError("no move")
    return {"val_square": chess.square_name(node.move.to_square), "n_half_moves": node.ply()}


def of_another_type(_: chess.pgn.Game) -> dict[str, object]:
    return {"val_square": "a1", "n_half_moves": "two"}


def with_another_column(_: chess.pgn.Game) -> dict[str, object]:
    return {"val_square": "a1"}


def plugin(compute: object = last_square) -> GamePlugin:
    return GamePlugin(
        name="last_square",
        version="1",
        description="Where the last move went.",
        schema=LastSquare,
        reads=("id_game", "val_moves", "val_initial_fen", "val_variant"),
        compute=compute,  # type: ignore[arg-type]  # broken ones too
    )


GAMES = frame(
    {"val_moves": "e4 e5 Nf3"},
    {"val_moves": ""},
    {"val_moves": "e4 e4"},
    {"val_moves": "b4 d5", "val_variant": "atomic"},
)
AFTER_E4 = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1"
EXPECTED = [
    ("game0000", "f3", 3, None, None),
    ("game0001", None, None, None, "LookupError: no move"),
    (
        "game0002",
        None,
        None,
        None,
        f"IllegalMoveError: illegal san: 'e4' in {AFTER_E4}",
    ),
    ("game0003", "d5", 2, None, None),
]


def test_one_failing_game_does_not_stop_the_others() -> None:
    assert plugin().run(GAMES).rows() == EXPECTED


def test_worker_processes_give_the_same_in_the_same_order() -> None:
    many = pl.concat([GAMES] * 150)
    workers = Workers(processes=2)
    assert plugin().run(many, workers.map).rows() == EXPECTED * 150


def test_values_that_do_not_fit_the_schema_are_refused() -> None:
    with pytest.raises(PluginError, match="'last_square': compute gave values that do not fit id_game String"):
        plugin(of_another_type).run(GAMES)


def test_a_column_that_is_missing_is_the_error_of_each_game() -> None:
    errors = plugin(with_another_column).run(GAMES).get_column("val_error").to_list()
    assert errors[1] == "ValueError: compute gave val_square instead of n_half_moves, val_square"


def test_the_game_carries_headers_clocks_and_evaluations() -> None:
    game = pgn_game(
        {
            "id_game": "abcd1234",
            "val_moves": "f3 e5 g4 Qh4#",
            "val_initial_fen": None,
            "val_variant": "standard",
            "val_name_white": "Amber",
            "val_result": "0-1",
            "val_status": "mate",
            "n_rating_white": 1500,
            "n_clock_initial_s": 180,
            "n_clock_increment_s": 2,
            "arr_clock_cs": [18000, 17950, 17801, None],
            "arr_eval_cp": [-70, -65, None, None],
            "arr_eval_mate": [None, None, -1, 0],
        }
    )
    headers = {"Site": "https://lichess.org/abcd1234", "White": "Amber", "Result": "0-1", "WhiteElo": "1500"}
    assert headers.items() <= dict(game.headers).items()
    assert (game.headers["TimeControl"], game.headers["Status"]) == ("180+2", "mate")
    nodes = list(game.mainline())
    assert [node.clock() for node in nodes] == [180, 179.5, 178.01, None]
    assert [str(node.eval().white()) for node in nodes if node.eval()] == ["-70", "-65", "#-1", "#-0"]
    assert game.end().board().is_checkmate()


@pytest.mark.parametrize(
    "variant",
    ["chess960", "crazyhouse", "antichess", "atomic", "horde", "kingOfTheHill", "racingKings", "threeCheck"],
)
def test_every_variant_of_lichess_has_its_board(variant: str) -> None:
    row = {"id_game": "abcd1234", "val_moves": "", "val_initial_fen": None, "val_variant": variant}
    board = pgn_game(row).board()
    assert board.chess960 if variant == "chess960" else type(board) is not chess.Board


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_any_legal_game_is_the_same_in_python_chess(choices: list[int]) -> None:
    board = chess.Board()
    sans = []
    for choice in choices:
        moves = list(board.legal_moves)
        if not moves:
            break
        move = moves[choice % len(moves)]
        sans.append(board.san(move))
        board.push(move)
    row = {"id_game": "abcd1234", "val_moves": " ".join(sans), "val_initial_fen": None, "val_variant": "standard"}
    assert pgn_game(row).end().board().fen() == board.fen()
