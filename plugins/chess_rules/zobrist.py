"""Polyglot's Zobrist keys: a position as 64 bits. The random numbers themselves are python-chess's."""

import chess.polyglot
import numpy as np
import numpy.typing as npt

from plugins.chess_rules.replay_board import BLACK, SQUARES, WHITE

_CASTLING = 16 * SQUARES
_EN_PASSANT = _CASTLING + 16
_WHITE_TO_MOVE = _EN_PASSANT + 8


def _tables() -> npt.NDArray[np.int64]:
    random = np.array(chess.polyglot.POLYGLOT_RANDOM_ARRAY, dtype=np.uint64).view(np.int64)
    keys = np.zeros(_WHITE_TO_MOVE + 1, dtype=np.int64)
    for kind in range(1, 7):
        for colour, place in ((BLACK, 0), (WHITE, 1)):
            code, index = colour | kind, 2 * (kind - 1) + place
            keys[SQUARES * code : SQUARES * (code + 1)] = random[SQUARES * index : SQUARES * (index + 1)]
    for rights in range(16):
        for bit in range(4):
            if rights >> bit & 1:
                keys[_CASTLING + rights] ^= random[768 + bit]
    keys[_EN_PASSANT:_WHITE_TO_MOVE] = random[772:780]
    keys[_WHITE_TO_MOVE] = random[780]
    return keys


KEYS = _tables()
"""64 keys for each of the 16 codes of a piece, 16 for the sets of castling rights, eight for the files of an en passant
capture, one for White's turn."""


def key_of(board: chess.Board) -> int:
    """The position's key as a signed number, as tables store it."""
    key = chess.polyglot.zobrist_hash(board)
    return key - (1 << 64) if key >> 63 else key
