"""How much the two sides are mixed up on the board: the scores that are summed. Source: scalachess Divider.scala."""

import numpy as np
import numpy.typing as npt


def _score(row: int, white: int, black: int) -> int:
    """Score of a square of 2 × 2 on rows `row` and `row + 1`, from 1, with so many men of each colour."""
    near, far = row - 1, 7 - row
    return {
        (1, 0): 1 + (8 - row),
        (2, 0): 2 + (row - 2) if row > 2 else 0,  # noqa: PLR2004
        (3, 0): 3 + near if row > 1 else 0,
        (4, 0): 3 + near if row > 1 else 0,
        (0, 1): 1 + row,
        (1, 1): 5 + abs(4 - row),
        (2, 1): 4 + near,
        (3, 1): 5 + near,
        (0, 2): 2 + (6 - row) if row < 6 else 0,  # noqa: PLR2004
        (1, 2): 4 + far,
        (2, 2): 7,
        (0, 3): 3 + far if row < 7 else 0,  # noqa: PLR2004
        (1, 3): 5 + far,
        (0, 4): 3 + far if row < 7 else 0,  # noqa: PLR2004
    }.get((white, black), 0)


def _scores() -> npt.NDArray[np.int64]:
    return np.array(
        [_score(row, white, black) for row in range(1, 8) for black in range(5) for white in range(5)], dtype=np.int64
    )


SCORES = _scores()
"""By row from 0, number of Black's men, number of White's: 7 × 5 × 5 in one line."""
