"""Polyglot's Zobrist keys: a position as 64 bits. The random numbers themselves are python-chess's."""

import chess.polyglot
import numpy as np
import numpy.typing as npt

from plugins.chess_rules.replay_board import BLACK, SQUARES, WHITE

CASTLING = 1024
"""Where the keys of the 16 sets of castling rights begin; before them 64 for each of the codes of a piece."""
EN_PASSANT = CASTLING + 16
"""Where the keys of the eight files begin."""
WHITE_TO_MOVE = EN_PASSANT + 8


def _tables() -> npt.NDArray[np.int64]:
    random = np.array(chess.polyglot.POLYGLOT_RANDOM_ARRAY, dtype=np.uint64).view(np.int64)
    keys = np.zeros(WHITE_TO_MOVE + 1, dtype=np.int64)
    for kind in range(1, 7):
        for colour, place in ((BLACK, 0), (WHITE, 1)):
            code, index = colour | kind, 2 * (kind - 1) + place
            keys[SQUARES * code : SQUARES * (code + 1)] = random[SQUARES * index : SQUARES * (index + 1)]
    for rights in range(16):
        for bit in range(4):
            if rights >> bit & 1:
                keys[CASTLING + rights] ^= random[768 + bit]
    keys[EN_PASSANT:WHITE_TO_MOVE] = random[772:780]
    keys[WHITE_TO_MOVE] = random[780]
    return keys


KEYS = _tables()
"""Keys by piece and square, by castling rights, by file of an en passant capture, and of White's turn."""


def key_of(board: chess.Board) -> int:
    """The position's key as a signed number, as tables store it."""
    key = chess.polyglot.zobrist_hash(board)
    return key - (1 << 64) if key >> 63 else key
