"""Pieces counted by side: their points, their letters, and how the two sides' pieces differ."""

import chess

Counts = tuple[int, int, int, int, int]
"""Queens, rooks, bishops, knights and pawns of one side, or how many more White has of each."""
LETTERS = "QRBNP"


def counts(board: chess.Board, color: chess.Color) -> Counts:
    """The pieces of one side."""
    own = board.occupied_co[color]
    return (
        (board.queens & own).bit_count(),
        (board.rooks & own).bit_count(),
        (board.bishops & own).bit_count(),
        (board.knights & own).bit_count(),
        (board.pawns & own).bit_count(),
    )


def points(pieces: Counts) -> int:
    """Their worth in pawns, as players count: 9, 5, 3, 3, 1."""
    queens, rooks, bishops, knights, pawns = pieces
    return 9 * queens + 5 * rooks + 3 * (bishops + knights) + pawns


def letters(pieces: Counts) -> str:
    """As text, e.g. `RBNPPP`; empty for a bare king, and for less than nothing."""
    return "".join(letter * number for letter, number in zip(LETTERS, pieces, strict=True))


def imbalance(difference: Counts) -> str | None:
    """What White has more, vs what Black has more, e.g. `R vs BN`, `PP vs -`; None if nothing."""
    if not any(difference):
        return None
    queens, rooks, bishops, knights, pawns = difference
    return f"{letters(difference) or '-'} vs {letters((-queens, -rooks, -bishops, -knights, -pawns)) or '-'}"
