"""What the site computes from evaluations: judgments of moves, accuracy, ACPL, the dumps' glyphs and the phases.

The definitions are Lichess's own; each function names the file that is their source of truth.
"""

# ruff: noqa: PLR2004 - the numbers are those of the definitions

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import chess

Entry = dict[str, Any]
START_CP = 15  # what the position before the first move counts as
CEILING_CP = 1000
LONGEST_VARIATION = 10
NAMES = ("Inaccuracy", "Mistake", "Blunder")


@dataclass(frozen=True, slots=True)
class Position:
    """An engine's opinion of a position, White's view: centipawns or moves to mate, and its best line."""

    cp: int | None
    mate: int | None
    pv: tuple[chess.Move, ...]


def win_percent(cp: float) -> float:
    """Return White's winning chances in percent (scalachess core/eval.scala)."""
    return 50 + 50 * (2 / (1 + math.exp(-0.00368208 * max(-CEILING_CP, min(CEILING_CP, cp)))) - 1)


def clipped(entry: Entry) -> int:
    """Return an evaluation in centipawns within ±1000, a mate as its end of the scale."""
    if "mate" in entry:
        return CEILING_CP if entry["mate"] > 0 else -CEILING_CP
    return max(-CEILING_CP, min(CEILING_CP, int(entry["eval"])))


def judgment(before: Entry, after: Entry, sign: int) -> tuple[int, str] | None:
    """Return how bad a move was (0 inaccuracy to 2 blunder) and what to say of it; None for no judgment.

    `sign` is 1 for White's moves, -1 for Black's. Source: lila tree/Advice.scala.
    """
    if "mate" not in before and "mate" not in after:
        chances = [2 / (1 + math.exp(-0.00368208 * sign * e["eval"])) - 1 for e in (before, after)]
        drop = chances[0] - chances[1]
        severity = sum(drop >= limit for limit in (0.1, 0.2, 0.3)) - 1
        return (severity, NAMES[severity]) if severity >= 0 else None
    if "mate" not in before and sign * after["mate"] < 0:
        return _by_distance(-sign * before["eval"]), "Checkmate is now unavoidable"
    if "mate" in before and sign * before["mate"] > 0:
        if "mate" not in after:
            return _by_distance(sign * after["eval"]), "Lost forced checkmate sequence"
        if sign * after["mate"] < 0:
            return 2, "Lost forced checkmate sequence"
    return None


def _by_distance(cp: int) -> int:
    return 0 if cp > 999 else 1 if cp > 700 else 2


def longer_mate(before: Entry, after: Entry, sign: int) -> bool:
    """Whether a mate in at most five got no nearer; the dumps mark it, the site no longer does."""
    own, then = sign * int(before.get("mate", 0)), sign * int(after.get("mate", 0))
    return 0 < own <= 5 and then >= own


def glyph(before: Entry, after: Entry, sign: int) -> str:
    """Return a move's glyph as a monthly dump has it, or nothing.

    Which moves have one follows the site's rule, which glyph an older one (lichess-org/database Advice.scala).
    """
    if "best" not in after:
        return ""
    if "mate" not in before and "mate" not in after:
        loss = sign * (clipped(before) - clipped(after))
        severity = sum(loss >= limit for limit in (50, 100, 300)) - 1
        return ("?!", "?", "??")[severity] if severity >= 0 else ""
    judged = judgment(before, after, sign)
    if judged:
        return ("?!", "?", "??")[judged[0]]
    return "?!" if longer_mate(before, after, sign) else ""


def entries(
    positions: Sequence[Position], boards: Sequence[chess.Board], moves: Sequence[str], *, older: bool
) -> list[Entry]:
    """Return the analysis as the API has it: one entry a ply, with the better line where a move is judged.

    `older` gives it the shape of an analysis from before the site changed its rule: better lines also where the
    older rule alone finds fault, without a judgment.
    """
    found: list[Entry] = []
    before: Entry = {"eval": START_CP}
    for ply, position in enumerate(positions[1:]):
        after: Entry = {"mate": position.mate} if position.mate is not None else {"eval": position.cp}
        sign = 1 if boards[ply].turn == chess.WHITE else -1
        best = positions[ply].pv
        judged = judgment(before, after, sign)
        faulty = judged or (older and glyph(before, {**after, "best": ""}, sign))
        if best and faulty and best[0] != boards[ply].parse_san(moves[ply]):
            line = boards[ply].copy(stack=False)
            variation = [line.san_and_push(move) for move in best[:LONGEST_VARIATION]]
            after["best"] = boards[ply].uci(best[0], chess960=True)
            after["variation"] = " ".join(variation)
            if judged:
                comment = f"{judged[1]}. {variation[0]} was best."
                after["judgment"] = {"name": NAMES[judged[0]], "comment": comment}
        found.append(after)
        before = after
    return found


def summary(analysis: Sequence[Entry]) -> dict[str, dict[str, int]]:
    """Return each side's counts of errors, ACPL and accuracy, for a game that White began."""
    result = {}
    cps = [START_CP, *(clipped(entry) for entry in analysis)]
    accuracies = _accuracies(cps)
    for side, first in (("white", 0), ("black", 1)):
        names = [entry["judgment"]["name"] for entry in analysis[first::2] if "judgment" in entry]
        sign = 1 - 2 * first
        losses = [max(0, sign * (cps[k] - cps[k + 1])) for k in range(first, len(analysis), 2)]
        result[side] = {name.lower(): names.count(name) for name in NAMES}
        result[side]["acpl"] = math.floor(sum(losses) / len(losses) + 0.5)
        result[side]["accuracy"] = math.floor(accuracies[side] + 0.5)
    return result


def _accuracies(cps: Sequence[int]) -> dict[str, float]:
    """Return each side's accuracy of the game in percent (lila AccuracyPercent.scala)."""
    wins = [win_percent(cp) for cp in cps]
    size = max(2, min(8, (len(wins) - 1) // 10))
    windows = [wins[:size]] * (size - 2) + [wins[k : k + size] for k in range(len(wins) - size + 1)]
    weights = [max(0.5, min(12.0, statistics.pstdev(window))) for window in windows]
    moves: dict[str, list[tuple[float, float]]] = {"white": [], "black": []}
    for k, weight in zip(range(len(wins) - 1), weights, strict=False):
        side = "white" if k % 2 == 0 else "black"
        drop = (wins[k] - wins[k + 1]) * (1 if side == "white" else -1)
        value = 103.1668100711649 * math.exp(-0.04354415386753951 * drop) - 3.166924740191411 + 1
        moves[side].append((100.0 if drop <= 0 else max(0.0, min(100.0, value)), weight))
    result = {}
    for side, pairs in moves.items():
        weighted = sum(a * w for a, w in pairs) / sum(w for _, w in pairs)
        harmonic = len(pairs) / sum(1 / max(1.0, a) for a, _ in pairs)
        result[side] = (weighted + harmonic) / 2
    return result


def division(boards: Sequence[chess.Board]) -> dict[str, int]:
    """Return the plies at which middlegame and endgame begin, where they do (scalachess Divider.scala)."""
    pieces = [_majors_and_minors(board) for board in boards]
    middle = next(
        (k for k, b in enumerate(boards) if pieces[k] <= 10 or _sparse(b) or _mixedness(b) > 150),
        None,
    )
    if middle is None:
        return {}
    end = next((k for k, n in enumerate(pieces) if n <= 6), None)
    found = {"middle": middle} if end is None or middle < end else {}
    return found if end is None else {**found, "end": end}


def _majors_and_minors(board: chess.Board) -> int:
    return chess.popcount(board.occupied & ~board.kings & ~board.pawns)


def _sparse(board: chess.Board) -> bool:
    homes = ((chess.WHITE, chess.BB_RANK_1), (chess.BLACK, chess.BB_RANK_8))
    return any(chess.popcount(board.occupied_co[color] & rank) < 4 for color, rank in homes)


def _mixedness(board: chess.Board) -> int:
    white, black = board.occupied_co[chess.WHITE], board.occupied_co[chess.BLACK]
    return sum(
        _score(
            y + 1,
            chess.popcount(white & (0x0303 << (8 * y + x))),
            chess.popcount(black & (0x0303 << (8 * y + x))),
        )
        for y in range(7)
        for x in range(7)
    )


def _score(y: int, white: int, black: int) -> int:
    table = {
        (1, 0): 1 + (8 - y),
        (2, 0): 2 + (y - 2) if y > 2 else 0,
        (3, 0): 3 + (y - 1) if y > 1 else 0,
        (4, 0): 3 + (y - 1) if y > 1 else 0,
        (0, 1): 1 + y,
        (1, 1): 5 + abs(4 - y),
        (2, 1): 4 + (y - 1),
        (3, 1): 5 + (y - 1),
        (0, 2): 2 + (6 - y) if y < 6 else 0,
        (1, 2): 4 + (7 - y),
        (2, 2): 7,
        (0, 3): 3 + (7 - y) if y < 7 else 0,
        (1, 3): 5 + (7 - y),
        (0, 4): 3 + (7 - y) if y < 7 else 0,
    }
    return table.get((white, black), 0)
