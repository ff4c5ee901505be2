"""The main line of a game in one walk over one board: the material after every ply, and what was taken where."""

from collections.abc import Iterator
from dataclasses import dataclass

import chess
import chess.pgn

from plugins.chess_rules.pieces import Counts, counts, has_bishop_pair, points


@dataclass(frozen=True, slots=True)
class Stage:
    """Material as it stood from after one ply until the next capture or promotion."""

    ply: int
    n_plies: int
    """Positions of the game that had it; a half-finished exchange has one."""
    white: Counts
    black: Counts
    has_pair_white: bool
    has_pair_black: bool

    @property
    def lead(self) -> int:
        """White's points minus Black's."""
        return points(self.white) - points(self.black)


class MainLine:
    """What a walk along the moves saw; lists have one element a position, the one before the first move included."""

    def __init__(self, game: chess.pgn.Game) -> None:
        self.board = game.board()
        """At the end of the walk, the final position."""
        self.first_mover = self.board.turn
        self.nodes: list[chess.pgn.GameNode] = [game]
        self.leads = [0]
        """White's points minus Black's."""
        self.targets: list[int | None] = [None]
        """The square on which a capture took place."""
        self._changes: list[tuple[int, Counts, Counts, bool, bool]] = []
        self._note_change()
        for node in game.mainline():
            self._walk(node)

    @property
    def n_plies(self) -> int:
        """Moves of both sides."""
        return len(self.nodes) - 1

    def move(self, ply: int) -> chess.Move:
        """What was played at that ply, from 1."""
        return self.nodes[ply].move  # type: ignore[return-value]  # only the root has none

    def stages(self) -> Iterator[Stage]:
        """The material from change to change, without those that stood for one position only, unless it was the last.

        So an exchange is one change, not two.
        """
        ends = [ply for ply, *_ in self._changes[1:]] + [self.n_plies + 1]
        for (ply, white, black, *pairs), end in zip(self._changes, ends, strict=True):
            if end - ply > 1 or end > self.n_plies:
                yield Stage(ply, end - ply, white, black, *pairs)

    def _walk(self, node: chess.pgn.ChildNode) -> None:
        board, move = self.board, node.move
        takes = board.is_capture(move)
        board.push(move)
        self.nodes.append(node)
        self.targets.append(move.to_square if takes else None)
        if takes or move.promotion:
            self._note_change()
        else:
            self.leads.append(self.leads[-1])

    def _note_change(self) -> None:
        board = self.board
        white, black = counts(board, chess.WHITE), counts(board, chess.BLACK)
        pairs = has_bishop_pair(board, chess.WHITE), has_bishop_pair(board, chess.BLACK)
        self._changes.append((len(self.nodes) - 1, white, black, *pairs))
        lead = points(white) - points(black)
        if len(self.nodes) > 1:
            self.leads.append(lead)
        else:
            self.leads[0] = lead
