"""Material: final pieces, leads, imbalances and sacrifices, on games whose material is plain to see."""

import chess
import chess.pgn
import polars as pl
import pytest

from kshift_assets.chess.seen_games import COLUMNS
from plugins import discover
from plugins.chess.material import plugin
from plugins.chess_rules.main_line import MainLine
from tests.board_oracle import told
from tests.chess_games import frame, from_documents, recorded_documents
from tests.recordings import needs_recordings
from tests.sample_files import BOARDS, GAMES

LEGAL = "e4 e5 Nf3 d6 Bc4 Bg4 Nc3 g6 Nxe5 Bxd1 Bxf7+ Ke7 Nd5#"
OPERA = (
    "e4 e5 Nf3 d6 d4 Bg4 dxe5 Bxf3 Qxf3 dxe5 Bc4 Nf6 Qb3 Qe7 Nc3 c6 Bg5 b5 Nxb5 cxb5 Bxb5+ Nbd7 O-O-O Rd8 Rxd7 Rxd7 "
    "Rd1 Qe6 Bxd7+ Nxd7 Qb8+ Nxb8 Rd8#"
)
IMMORTAL = (
    "e4 e5 f4 exf4 Bc4 Qh4+ Kf1 b5 Bxb5 Nf6 Nf3 Qh6 d3 Nh5 Nh4 Qg5 Nf5 c6 g4 Nf6 Rg1 cxb5 h4 Qg6 h5 Qg5 Qf3 Ng8 Bxf4 "
    "Qf6 Nc3 Bc5 Nd5 Qxb2 Bd6 Bxg1 e5 Qxa1+ Ke2 Na6 Nxg7+ Kd8 Qf6+ Nxf6 Be7#"
)
GREEK_GIFT = "e4 e6 d4 d5 Nc3 Nf6 e5 Nfd7 Nf3 Be7 Bd3 O-O Bxh7+ Kxh7 Ng5+ Kg8 Qh5 Bxg5 Bxg5 Qe8 h4 f6"
EXCHANGE = "e4 e5 Nf3 Nc6 Bb5 a6 Bxc6 dxc6 Nxe5 Qd4 Nf3 Qxe4+ Qe2 Qxe2+ Kxe2"


def row_of(moves: str, **columns: object) -> dict[str, object]:
    (row,) = plugin.run(frame({"val_moves": moves, "val_variant": "standard", **columns})).to_dicts()
    assert row["val_error"] is None
    return row


def evaluations(moves: str, *cp: int) -> dict[str, object]:
    """The same evaluation all along, but for the last ones."""
    number = len(moves.split())
    return {"arr_eval_cp": [15] * (number - len(cp)) + list(cp), "arr_eval_mate": [None] * number}


@pytest.mark.parametrize(
    ("moves", "offered", "left"),
    [
        (LEGAL, [9], []),  # 5. Nxe5 opens the way to the queen
        (OPERA, [31], []),  # 16. Qb8+; 10. Nxb5 got two pawns, 13. Rxd7 got the rook back
        (IMMORTAL, [43], [21, 35, 37]),  # 22. Qf6+; 11. Rg1, 18. Bd6 and 19. e5 left bishop and rooks to their fate
        (GREEK_GIFT, [13], []),  # 7. Bxh7+
        (EXCHANGE, [], []),
        ("e4 e5 Nf3 Nc6 Bb5 a6 d3 axb5 O-O d6 h3 h6 a3", [], [7]),  # 4. d3 left the bishop
        ("e4 e5 Nf3 Nc6 Bc4 a6 Ng5 Qxg5 d3 d6 O-O Nf6 h3", [7], []),  # 4. Ng5 put the knight there
    ],
    ids=["legal", "opera", "immortal", "greek gift", "exchange", "left", "put"],
)
def test_sacrifices_of_known_games(moves: str, offered: list[int], left: list[int]) -> None:
    row = row_of(moves)
    assert (row["arr_ply_sacrifice_white"], row["arr_ply_left_white"]) == (offered, left)
    assert (row["n_sacrifices_white"], row["n_pieces_left_white"]) == (len(offered), len(left))
    assert (row["arr_ply_sacrifice_black"], row["arr_ply_left_black"]) == ([], [])


def test_a_piece_that_comes_back_within_four_plies_was_no_sacrifice() -> None:
    fork = "e4 Nf6 Nc3 Nc6 d4 Nxe4 Nxe4 d5 Ng3"  # Black has a knight for a pawn less after 4... Nxe4, and forks
    assert row_of(fork)["arr_ply_sacrifice_black"] == [6]
    won_back = "e4 Nf6 Nc3 Nc6 Bc4 Nxe4 Nxe4 d5 Bd3 dxe4 Bxe4"
    assert row_of(won_back)["arr_ply_sacrifice_black"] == []


def test_who_is_in_check_gives_nothing_of_free_will() -> None:
    moves = "e4 f5 exf5 g6 Qh5 Nf6 Qh4 Ng4 Qxg4 gxf5 Qh5#"
    assert row_of(moves)["arr_ply_sacrifice_black"] == [8]
    interposed = "e4 e5 Qh5 g6 Qxe5+ Be7 Qxh8 Kf8 Qxg8+ Kxg8"
    assert row_of(interposed)["arr_ply_left_black"] == []


def test_sound_sacrifices_are_told_by_evaluations() -> None:
    sound = evaluations(GREEK_GIFT)
    assert row_of(GREEK_GIFT, **sound)["n_sacrifices_sound_white"] == 1
    unsound = evaluations(GREEK_GIFT, *[-300] * (22 - 12))  # from 7. Bxh7+ on
    assert row_of(GREEK_GIFT, **unsound)["n_sacrifices_sound_white"] == 0
    assert row_of(GREEK_GIFT)["n_sacrifices_sound_white"] is None
    lost_anyway = {"arr_eval_cp": [-900] * 22, "arr_eval_mate": [None] * 22}
    assert row_of(GREEK_GIFT, **lost_anyway)["n_sacrifices_sound_white"] == 0


def test_colours_are_treated_alike() -> None:
    """The same moves, mirrored, by Black from a position in which Black begins."""
    board = chess.Board()
    mirrored = chess.Board().mirror()
    fen, sans = mirrored.fen(), []
    for san in LEGAL.split():
        move = board.push_san(san)
        other = chess.Move(chess.square_mirror(move.from_square), chess.square_mirror(move.to_square), move.promotion)
        sans.append(mirrored.san(other))
        mirrored.push(other)
    white = row_of(LEGAL)
    black = row_of(" ".join(sans), val_variant="fromPosition", val_initial_fen=fen)
    for name, value in white.items():
        if name.endswith("_white"):
            assert black[name.removesuffix("white") + "black"] == value, name


def test_final_material_and_what_stood_against_what() -> None:
    row = row_of(EXCHANGE)
    assert (row["val_pieces_white"], row["n_points_white"]) == ("RRBNNPPPPPPP", 26)
    assert (row["val_pieces_black"], row["n_points_black"]) == ("RRBBNPPPPPPP", 26)
    assert row["val_imbalance"] == "N vs B"


def test_half_an_exchange_is_no_lead() -> None:
    row = row_of("e4 d5 exd5 Qxd5 Nc3 Qa5 d4 Nf6")
    assert (row["n_lead_max_white"], row["n_lead_max_black"]) == (0, 0)
    assert (row["n_lead_max_ply_white"], row["n_lead_max_ply_black"]) == (None, None)


def test_a_lead_counts_from_the_ply_after_which_it_stood() -> None:
    row = row_of("e4 e5 Nf3 f6 Nxe5 Qe7 Nf3 Qxe4+ Be2 d5 O-O Bd6 Nc3 Qf5 Nxd5")
    assert (row["n_lead_max_white"], row["n_lead_max_ply_white"]) == (1, 5)
    assert row_of(LEGAL)["n_lead_max_black"] == 7, "a queen for two pawns"


@pytest.mark.parametrize(
    ("fen", "imbalance", "up"),
    [
        ("4k3/8/8/8/8/8/8/R3K3 w - - 0 1", "R vs -", (0, 0)),
        ("2b1k3/8/8/8/8/8/8/R3K3 w - - 0 1", "R vs B", (3, 0)),
        ("r3k3/8/8/8/8/8/P7/1N2K3 w - - 0 1", "NP vs R", (0, 3)),
        ("2bnk3/8/8/8/8/8/8/R3K3 w - - 0 1", "R vs BN", (0, 0)),
        ("q3k3/8/8/8/8/8/8/R3K2R w - - 0 1", "RR vs Q", (0, 0)),
        ("4k3/8/8/8/8/8/8/4K3 w - - 0 1", None, (0, 0)),
    ],
)
def test_imbalances_and_the_exchange(fen: str, imbalance: str | None, up: tuple[int, int]) -> None:
    row = row_of("Kd2 Kd7", val_variant="fromPosition", val_initial_fen=fen)
    assert row["val_imbalance"] == row["val_imbalance_endgame"] == imbalance
    assert (row["n_plies_exchange_up_white"], row["n_plies_exchange_up_black"]) == up, "positions, the first one too"


def test_the_imbalance_that_stood_longest_is_of_pieces() -> None:
    row = row_of(GREEK_GIFT)
    assert (row["val_imbalance_longest"], row["n_plies_imbalance_longest"]) == ("- vs B", 4)
    assert row_of("e4 d5 exd5 c6 d4")["val_imbalance_longest"] is None


def test_the_bishop_pair_is_on_both_colours_and_one_side_s_alone() -> None:
    both = "2b1kb2/8/8/8/8/8/8/2B1KB2 w - - 0 1"
    assert row_of("Kd2", val_variant="fromPosition", val_initial_fen=both)["n_plies_bishop_pair_white"] == 0
    alone = "2b1k3/8/8/8/8/8/8/2B1KB2 w - - 0 1"
    row = row_of("Kd2", val_variant="fromPosition", val_initial_fen=alone)
    assert (row["n_plies_bishop_pair_white"], row["n_plies_bishop_pair_black"]) == (2, 0)
    same_colour = "4k3/8/8/8/8/8/8/2B1K1B1 w - - 0 1"
    moves = {"val_variant": "fromPosition", "val_initial_fen": same_colour}
    assert chess.Board(same_colour).bishops & chess.BB_LIGHT_SQUARES == 0, "both on dark squares"
    assert row_of("Kd2", **moves)["n_plies_bishop_pair_white"] == 0


def test_a_promotion_changes_the_material() -> None:
    row = row_of("a8=Q+ Kd7", val_variant="fromPosition", val_initial_fen="4k3/P7/8/8/8/8/8/4K3 w - - 0 1")
    assert (row["val_pieces_white"], row["n_lead_max_white"], row["n_lead_max_ply_white"]) == ("Q", 9, 1)


def test_capturing_en_passant_takes_a_pawn() -> None:
    row = row_of("e4 a6 e5 d5 exd6 Nf6")
    assert (row["n_points_white"], row["n_points_black"]) == (39, 38)


def test_variants_with_other_pieces_are_left_out() -> None:
    games = frame({"val_moves": "e4", "val_variant": "antichess"}, {"val_moves": "", "val_variant": "chess960"})
    rows = plugin.run(games)
    assert rows["val_not_applicable"].to_list() == ["not played with the usual pieces", None]
    assert rows["n_points_white"].to_list() == [None, 39]


def test_it_is_found() -> None:
    assert "material" in {found.name for found in discover(COLUMNS)}


def _check_final_boards(documents: list[dict[str, object]]) -> int:
    """Points and pieces of the final position, counted from python-chess's board as text."""
    games = from_documents(documents)
    rows = plugin.run(games).filter(pl.col("val_not_applicable").is_null() & pl.col("val_error").is_null())
    by_id = {document["id"]: document for document in documents}
    for row in rows.iter_rows(named=True):
        document = by_id[row["id_game"]]
        board = chess.Board(document.get("initialFen", chess.STARTING_FEN), chess960=document["variant"] == "chess960")
        for san in document["moves"].split():
            board.push_san(san)
        placement = board.board_fen()
        for side, letters in (("white", "QRBNP"), ("black", "qrbnp")):
            text = "".join(letter.upper() * placement.count(letter) for letter in letters)
            assert row[f"val_pieces_{side}"] == text
            assert row[f"n_points_{side}"] == sum(
                placement.count(letter) * worth for letter, worth in zip(letters, (9, 5, 3, 3, 1), strict=True)
            )
    return rows.height


def test_final_material_of_the_sample_is_that_of_the_final_board() -> None:
    documents = GAMES[::10]
    assert _check_final_boards(documents) == sum(document["variant"] not in BOARDS for document in documents) > 100


@needs_recordings
def test_final_material_of_real_games_is_that_of_the_final_board() -> None:
    documents = recorded_documents()[::20]
    assert _check_final_boards(documents) > 100


@pytest.mark.parametrize(
    ("moves", "imbalance", "lead"),
    [
        ("e4 d5 exd5 Nf6", None, None),  # no middlegame
        (EXCHANGE, "N vs B", 0),  # 8. Kxe2 leaves three men on the back rank, as 10. O-O-O does
        ("Nc3 d5 Nxd5 Qxd5 Nf3 a6 b3 h6 Bb2 a5 e3 h5 Be2 g6 d3 b6 Qd2 Bg7 O-O-O f6", "P vs N", -2),
    ],
)
def test_who_is_up_what_when_the_opening_ends(moves: str, imbalance: str | None, lead: int | None) -> None:
    row = row_of(moves)
    assert (row["val_imbalance_middlegame"], row["n_lead_middlegame"]) == (imbalance, lead)


def test_the_middlegame_begins_where_phases_says_so() -> None:
    for game in GAMES:
        if game["variant"] == "standard":
            board = chess.Board(game.get("initialFen") or chess.STARTING_FEN)
            node = chess.pgn.Game()
            node.setup(board)
            line = MainLine(_with_moves(node, game["moves"]))
            assert line.middlegame() == told(game["moves"], game.get("initialFen")).middlegame


def _with_moves(game: chess.pgn.Game, moves: str) -> chess.pgn.Game:
    board, node = game.board(), game
    for san in moves.split():
        node = node.add_variation(board.push_san(san))
    return game
