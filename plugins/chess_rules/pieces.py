"""What stands on a board: pieces counted by side, their points, and how the two sides' pieces differ."""

import chess

POINTS = (9, 5, 3, 3, 1)
"""Of queen, rook, bishop, knight and pawn, as players count."""
LETTERS = "QRBNP"

Counts = tuple[int, int, int, int, int]
"""Queens, rooks, bishops, knights and pawns of one side."""


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
    """Their worth in pawns."""
    queens, rooks, bishops, knights, pawns = pieces
    return 9 * queens + 5 * rooks + 3 * (bishops + knights) + pawns


def letters(pieces: Counts) -> str:
    """As text, e.g. `RBNPPP`; empty for a bare king."""
    return "".join(letter * number for letter, number in zip(LETTERS, pieces, strict=True))


def imbalance(white: Counts, black: Counts) -> str | None:
    """What White has more, vs what Black has more, e.g. `R vs BN`, `PP vs -`; None if nothing."""
    differences = [own - other for own, other in zip(white, black, strict=True)]
    if not any(differences):
        return None
    more = (
        "".join(letter * max(0, side * n) for letter, n in zip(LETTERS, differences, strict=True)) for side in (1, -1)
    )
    return " vs ".join(text or "-" for text in more)


def is_exchange_up(own: Counts, other: Counts) -> bool:
    """Whether a side has a rook where the other has a bishop or a knight, whatever the pawns."""
    queens, rooks, bishops, knights, _ = (mine - theirs for mine, theirs in zip(own, other, strict=True))
    return (queens, rooks, bishops + knights) == (0, 1, -1)


def has_bishop_pair(board: chess.Board, color: chess.Color) -> bool:
    """Whether a side has bishops on both colours of squares."""
    own = board.bishops & board.occupied_co[color]
    return bool(own & chess.BB_LIGHT_SQUARES and own & chess.BB_DARK_SQUARES)
