"""The positions from which games start, as the replay reads them. FENs are read by python-chess, each once."""

from typing import NamedTuple

import chess
import numpy as np
import numpy.typing as npt
import polars as pl

from plugins.chess_rules.replay_board import BLACK, SQUARES, WHITE
from plugins.chess_rules.zobrist import key_of


class Starts(NamedTuple):
    """Positions, one a row, and the row of each game."""

    row: npt.NDArray[np.int32]
    """By game; -1 where its FEN cannot be read."""
    boards: npt.NDArray[np.int8]
    turns: npt.NDArray[np.int8]
    rights: npt.NDArray[np.int8]
    en_passant: npt.NDArray[np.int8]
    keys: npt.NDArray[np.int64]
    """As python-chess reckons them."""


def starts(fens: pl.Series) -> Starts:
    """The starting positions of games by their FENs, null for the usual one.

    None for a FEN that python-chess does not read, and for positions that standard chess does not know: without one
    king a side, with pawns on a first or last rank, or with a king who could be captured. Castling rights may be
    written as KQkq or by files (X-FEN); those that no king on e1 or e8 and rook in a corner stand for are dropped, and
    so is an en passant square behind which no pawn stands.
    """
    named = fens.drop_nulls().unique(maintain_order=True).to_list()
    positions, rows = [chess.Board()], {}
    for fen in named:
        board = _read(fen)
        rows[fen] = -1 if board is None else len(positions)
        if board is not None:
            positions.append(board)
    row = np.zeros(len(fens), dtype=np.int32)
    if rows:
        known = fens.replace_strict(list(rows), list(rows.values()), default=0, return_dtype=pl.Int32)
        row[:] = known.to_numpy()
    return Starts(
        row,
        np.array([_codes(board) for board in positions], dtype=np.int8),
        np.array([WHITE if board.turn else BLACK for board in positions], dtype=np.int8),
        np.array([_rights(board) for board in positions], dtype=np.int8),
        np.array([_en_passant(board) for board in positions], dtype=np.int8),
        np.array([key_of(board) for board in positions], dtype=np.int64),
    )


def _read(fen: str) -> chess.Board | None:
    try:
        board = chess.Board(fen)
    except ValueError:
        return None
    kings = [len(board.pieces(chess.KING, colour)) for colour in chess.COLORS]
    return None if kings != [1, 1] or board.pawns & chess.BB_BACKRANKS or board.was_into_check() else board


def _codes(board: chess.Board) -> npt.NDArray[np.int8]:
    codes = np.zeros(SQUARES, dtype=np.int8)
    for square, piece in board.piece_map().items():
        codes[square] = (WHITE if piece.color else BLACK) | piece.piece_type
    return codes


def _rights(board: chess.Board) -> int:
    """The rights as bits, in Polyglot's order."""
    return sum(
        has(colour) << bit + (0 if colour else 2)
        for colour in chess.COLORS
        for bit, has in enumerate((board.has_kingside_castling_rights, board.has_queenside_castling_rights))
    )


def _en_passant(board: chess.Board) -> int:
    square = board.ep_square
    if square is None or chess.square_rank(square) != (5 if board.turn else 2) or board.piece_type_at(square):
        return -1
    pawn = board.piece_at(square - 8 if board.turn else square + 8)
    return square if pawn == chess.Piece(chess.PAWN, not board.turn) else -1
