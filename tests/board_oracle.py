"""What python-chess says of a game, in the words of the replay: the oracle of the replay's tests."""

from dataclasses import dataclass, field

import chess
import chess.polyglot
import numpy as np
import polars as pl

from plugins.chess_rules.replay import CASTLED_KING_SIDE, CASTLED_QUEEN_SIDE, CHECK, EN_PASSANT_CAPTURE, Replay

COLUMNS = {"val_moves": pl.String, "val_initial_fen": pl.String}


def games_of(*games: str | tuple[str | None, str | None] | None) -> pl.DataFrame:
    """Games by their moves, or by their moves and FEN."""
    rows = [game if isinstance(game, tuple) else (game, None) for game in games]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def signed(key: int) -> int:
    return key - (1 << 64) if key >> 63 else key


@dataclass
class Told:
    """A game as python-chess tells it; the fields bear the replay's names."""

    start_key: int
    black_starts: bool
    status: int = 0
    plies: list[tuple[int, ...]] = field(default_factory=list)
    castling_ply: list[int] = field(default_factory=lambda: [0, 0])
    queenless_ply: int = -1
    middlegame: int | None = None
    endgame: int | None = None
    pieces: dict[str, list[list[int]]] = field(default_factory=dict)


def told(moves: str | None, fen: str | None) -> Told:
    board = chess.Board(fen or chess.STARTING_FEN)
    game = Told(signed(chess.polyglot.zobrist_hash(board)), not board.turn)
    game.pieces["start"] = pieces(board)
    look(board, game, 0)
    for ply, san in enumerate((moves or "").split(), start=1):
        try:
            move = board.parse_san(san.rstrip("+#!?"))
        except ValueError:
            move = chess.Move.null()
        if not move:  # python-chess reads null moves as well
            game.status = ply
            break
        game.plies.append(made(board, move))
        if board.piece_type_at(move.to_square) == chess.KING and game.plies[-1][5] & ~CHECK:
            game.castling_ply[board.turn] = ply  # the other side is to move now
        look(board, game, ply)
    if game.middlegame == game.endgame:
        game.middlegame = None
    game.pieces["end"] = pieces(board)
    return game


def made(board: chess.Board, move: chess.Move) -> tuple[int, ...]:
    piece = board.piece_type_at(move.from_square)
    captured = board.piece_type_at(move.to_square) or 0
    flags = 0
    if piece == chess.KING:
        flags += CASTLED_KING_SIDE * board.is_kingside_castling(move)
        flags += CASTLED_QUEEN_SIDE * board.is_queenside_castling(move)
    elif board.is_en_passant(move):
        captured, flags = chess.PAWN, EN_PASSANT_CAPTURE
    board.push(move)
    flags += CHECK * board.is_check()
    key = signed(chess.polyglot.zobrist_hash(board))
    return move.from_square, move.to_square, piece or 0, captured, move.promotion or 0, flags, key


def look(board: chess.Board, game: Told, ply: int) -> None:
    """Phases, as the definition says it, and the queens."""
    if game.queenless_ply < 0 and not board.queens:
        game.queenless_ply = ply
    bodies = chess.popcount(board.occupied & ~board.kings & ~board.pawns)
    if game.middlegame is None and (bodies <= 10 or sparse(board) or mixedness(board) > 150):
        game.middlegame = ply
        game.pieces["middlegame"] = pieces(board)
    if game.middlegame is not None and game.endgame is None and bodies <= 6:
        game.endgame = ply
        game.pieces["endgame"] = pieces(board)


def sparse(board: chess.Board) -> bool:
    return any(
        chess.popcount(board.occupied_co[colour] & rank) < 4
        for colour, rank in ((chess.WHITE, chess.BB_RANK_1), (chess.BLACK, chess.BB_RANK_8))
    )


def mixedness(board: chess.Board) -> int:
    """The sum over the 49 squares of 2 × 2."""
    white, black = board.occupied_co[chess.WHITE], board.occupied_co[chess.BLACK]
    return sum(
        SCORES[y][(white >> 8 * (y - 1) + x & 0x303).bit_count()][(black >> 8 * (y - 1) + x & 0x303).bit_count()]
        for y in range(1, 8)
        for x in range(7)
    )


def scores(y: int) -> list[list[int]]:
    """By white and black men, in the order in which scalachess writes the table; None for more than four."""
    return [
        [0, 1 + y, 2 + (6 - y) if y < 6 else 0, 3 + (7 - y) if y < 7 else 0, 3 + (7 - y) if y < 7 else 0],
        [1 + (8 - y), 5 + abs(4 - y), 4 + (7 - y), 5 + (7 - y)],
        [2 + (y - 2) if y > 2 else 0, 4 + (y - 1), 7],
        [3 + (y - 1) if y > 1 else 0, 5 + (y - 1)],
        [3 + (y - 1) if y > 1 else 0],
    ]


SCORES = {y: scores(y) for y in range(1, 8)}


def pieces(board: chess.Board) -> list[list[int]]:
    """How many of each kind but kings, White's and Black's."""
    return [[len(board.pieces(kind, colour)) for kind in range(1, 6)] for colour in (chess.WHITE, chess.BLACK)]


def found(replayed: Replay, game: int) -> list[tuple[int, ...]]:
    """The plies of a game as the replay found them."""
    rows = slice(replayed.borders[game], replayed.borders[game + 1])
    columns = (
        replayed.from_square,
        replayed.to_square,
        replayed.piece,
        replayed.captured,
        replayed.promotion,
        replayed.flags,
        replayed.key,
    )
    return list(zip(*(column[rows].tolist() for column in columns), strict=True))


def assert_as_told(games: pl.DataFrame, replayed: Replay) -> int:
    """Every game and every ply is as python-chess tells it; how many plies that were."""
    assert replayed.n_games == games.height
    division = replayed.division()
    for number, (moves, fen) in enumerate(games.select("val_moves", "val_initial_fen").iter_rows()):
        game = told(moves, fen)
        assert replayed.status[number] == game.status, (moves, fen)
        assert found(replayed, number) == game.plies, (moves, fen)
        assert division.row(number) == (game.middlegame, game.endgame), (moves, fen)
        for name in ("start_key", "black_starts", "queenless_ply"):
            assert getattr(replayed, name)[number] == getattr(game, name), (name, moves, fen)
        assert replayed.castling_ply[number].tolist() == game.castling_ply
        for moment, name in enumerate(("start", "middlegame", "endgame", "end")):
            if name in game.pieces:
                assert replayed.counts[number, moment].tolist() == game.pieces[name]
            else:
                assert (replayed.counts[number, moment] == -1).all()
    return int(np.diff(replayed.borders).sum())
