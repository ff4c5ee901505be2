"""Sacrifices: material that is offered or left to be taken, and not won back."""

from dataclasses import dataclass

import chess
import chess.engine

from plugins.chess_rules.evaluation import START_CP
from plugins.chess_rules.main_line import MainLine
from plugins.chess_rules.scores import win_percent_for

LEAST_POINTS = 2
"""A sacrifice gives up at least so much: the exchange, or a piece for a pawn."""
REGAIN_PLIES = 4
"""What comes back within so many plies after it was taken was no sacrifice."""
SOUND_FALL_PCT = 5.0
"""Half of 0.1 winning chances: from there on Lichess speaks of an inaccuracy."""
SOUND_WIN_PCT = 25.0
START = chess.engine.PovScore(chess.engine.Cp(START_CP), chess.WHITE)


@dataclass(frozen=True)
class Given:
    """The plies, from 1, at which a side gave material away: offered it, or left it where it was attacked already."""

    offered: list[int]
    left: list[int]


def given(line: MainLine, color: chess.Color) -> Given:
    """What that side sacrificed: who then plays on two points worse off for at least four plies more.

    After the move a piece is taken at once. The mover, who was not in check, is then at least two points worse off than
    before the move (what the move took is counted in), plays on, and stays at least two points worse off for the four
    plies after the capture, or to the game's end: an exchange does not count. The piece was offered if the move put it
    there or opened the way to it; if the reply could have taken it already before the move, it was left. Whether genius
    or oversight did it, no rule of material can tell: for that see `n_sound`.
    """
    side = 1 if color == chess.WHITE else -1
    first = 1 if line.first_mover == color else 2
    found = Given([], [])
    for ply in range(first, line.n_plies - 1, 2):
        worse = side * line.leads[ply - 1] - LEAST_POINTS
        if line.targets[ply + 1] is None or side * line.leads[ply + 1] > worse:
            continue
        if max(side * lead for lead in line.leads[ply + 2 : ply + 2 + REGAIN_PLIES]) > worse:
            continue
        before = line.board(ply - 1)
        if before.is_check():
            continue
        move, reply = line.move(ply), line.move(ply + 1)
        before.turn = not before.turn
        is_offer = move.to_square == reply.to_square or not before.is_pseudo_legal(reply)
        (found.offered if is_offer else found.left).append(ply)
    return found


def n_sound(line: MainLine, color: chess.Color, gifts: Given) -> int | None:
    """How many of that side's sacrifices cost less winning percent than an inaccuracy, and left the side not lost.

    None where the evaluation before or after one of them is missing.
    """
    number = 0
    for ply in (*gifts.offered, *gifts.left):
        before, after = START if ply == 1 else line.nodes[ply - 1].eval(), line.nodes[ply].eval()
        if before is None or after is None:
            return None
        left = win_percent_for(color, after)
        number += win_percent_for(color, before) - left < SOUND_FALL_PCT and left >= SOUND_WIN_PCT
    return number
