"""The main line of a game in one walk: the material after every ply, and what was taken where.

Moves are legal by the time they come here, so a plain list of squares serves, a fifth of the work of a chess.Board.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import chess
import chess.pgn
import numpy as np

from plugins.chess_rules.pieces import Counts, points
from plugins.chess_rules.replay_board import BLACK
from plugins.chess_rules.replay_kernel import middlegame_of

_FILES, _CASTLES = 8, 2  # squares of a pawn's step, and of a king's when it castles


@dataclass(frozen=True, slots=True)
class Stage:
    """Material as it stood from after one ply until the next capture or promotion."""

    ply: int
    n_plies: int
    """Positions of the game that had it; a half-finished exchange has one."""
    white: Counts
    black: Counts
    difference: Counts
    lead: int
    """White's points minus Black's."""
    has_pair_white: bool
    """Whether White has bishops on both colours of squares."""
    has_pair_black: bool


class MainLine:
    """What a walk along the moves saw; lists have one element a position, the one before the first move included."""

    def __init__(self, game: chess.pgn.Game) -> None:
        board = game.board()
        self.first_mover = board.turn
        self.nodes: list[chess.pgn.GameNode] = [game]
        self.leads: list[int] = []
        """White's points minus Black's."""
        self.targets: list[int | None] = [None]
        """The square on which a piece was taken."""
        self._changes: list[tuple[int, Counts, Counts, bool, bool]] = []
        # White's pieces are positive, Black's negative.
        self._squares = [0] * 64
        # By side and type of piece; bishops on light squares are counted once more, in place of the kings.
        self._numbers = {1: [0] * 7, -1: [0] * 7}
        for square, piece in board.piece_map().items():
            self._put(square, piece.piece_type if piece.color else -piece.piece_type)
        self._placements = [self._squares.copy()]
        self._note_change()
        node: chess.pgn.GameNode = game
        while node.variations:
            node = node.variations[0]
            self.nodes.append(node)
            self._play(node.move)
            self._placements.append(self._squares.copy())

    @property
    def n_plies(self) -> int:
        """Moves of both sides."""
        return len(self.nodes) - 1

    def move(self, ply: int) -> chess.Move:
        """What was played at that ply, from 1."""
        return self.nodes[ply].move  # type: ignore[return-value]  # only the root has none

    def board(self, ply: int) -> chess.Board:
        """The position after that ply, 0 for the first one; without the rights to castle and to take en passant."""
        pieces = enumerate(self._placements[ply])
        board = chess.Board(None)
        board.set_piece_map({square: chess.Piece(abs(piece), piece > 0) for square, piece in pieces if piece})
        board.turn = self.first_mover if ply % 2 == 0 else not self.first_mover
        return board

    def middlegame(self) -> int | None:
        """The ply after which the middlegame begins, 0 for the first position; None without one. See phases.py."""
        placed = np.array(self._placements, dtype=np.int8)
        begin = middlegame_of(np.where(placed < 0, BLACK - placed, placed))
        return None if begin < 0 else begin

    def stages(self) -> Iterator[Stage]:
        """The material from change to change, without those that stood for one position only, unless it was the last.

        So an exchange is one change, not two.
        """
        ends = [change[0] for change in self._changes[1:]] + [self.n_plies + 1]
        for (ply, white, black, *pairs), end in zip(self._changes, ends, strict=True):
            if end - ply > 1 or end > self.n_plies:
                difference: Counts = tuple(own - other for own, other in zip(white, black, strict=True))  # type: ignore[assignment]  # five of them
                yield Stage(ply, end - ply, white, black, difference, self.leads[ply], *pairs)

    def _play(self, move: chess.Move) -> None:
        start, target, squares = move.from_square, move.to_square, self._squares
        piece, taken = squares[start], squares[target]
        kind, has_changed = abs(piece), False
        if kind == chess.KING and (taken * piece > 0 or (abs(target - start) == _CASTLES and taken == 0)):
            self._castle(start, target)
            taken = 0
        else:
            if kind == chess.PAWN and not taken and (target - start) % _FILES:
                beside = start & 56 | target & 7
                taken = self._take(beside)
                has_changed = True
            elif taken:
                self._take(target)
                has_changed = True
            if move.promotion:
                self._take(start)
                self._put(target, move.promotion if piece > 0 else -move.promotion)
                has_changed = True
            else:
                squares[start], squares[target] = 0, piece
        self.targets.append(target if taken else None)
        if has_changed:
            self._note_change()
        else:
            self.leads.append(self.leads[-1])

    def _castle(self, start: int, target: int) -> None:
        """To the usual squares; in Chess960 the king's target is its own rook's square."""
        squares, is_short = self._squares, target > start
        rook = target if squares[target] else target + 1 if is_short else target - 2
        king_piece, rook_piece = squares[start], squares[rook]
        squares[start] = squares[rook] = 0
        rank = start & 56
        squares[rank | (6 if is_short else 2)] = king_piece
        squares[rank | (5 if is_short else 3)] = rook_piece

    def _put(self, square: int, piece: int) -> None:
        self._squares[square] = piece
        self._count(square, piece, 1)

    def _take(self, square: int) -> int:
        piece = self._squares[square]
        self._squares[square] = 0
        self._count(square, piece, -1)
        return piece

    def _count(self, square: int, piece: int, number: int) -> None:
        side, kind = (1, piece) if piece > 0 else (-1, -piece)
        numbers = self._numbers[side]
        if kind != chess.KING:
            numbers[kind] += number
        if kind == chess.BISHOP and ((square >> 3) + square) & 1:
            numbers[chess.KING] += number

    def _note_change(self) -> None:
        sides = []
        for side in (1, -1):
            _, pawns, knights, bishops, rooks, queens, on_light = self._numbers[side]
            sides.append(((queens, rooks, bishops, knights, pawns), 0 < on_light < bishops))
        (white, pair_white), (black, pair_black) = sides
        self._changes.append((len(self.nodes) - 1, white, black, pair_white, pair_black))
        self.leads.append(points(white) - points(black))
