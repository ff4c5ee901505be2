"""How a game ended, in a player's words: who gave up, ran out of time or was mated, and how that side stood."""

from collections.abc import Callable, Mapping

import chess
import chess.engine
import chess.pgn
import pandera.polars as pa

from plugins import GamePlugin
from plugins.chess_rules.pieces import counts, points
from plugins.chess_rules.scores import win_percent_for

DECISIVE_WIN_PCT = 75.0
"""From so many winning percent on a position is winning, as three pawns make it (+298 cp); from 25 down it is lost."""
DECISIVE_POINTS = 3
FIFTY_MOVES = 100
"""Plies."""

_TEXTS = {
    "checkmate": "{side} was checkmated",
    "resignation_lost": "{side} resigned in a lost position",
    "resignation_even": "{side} resigned in an even position",
    "resignation_winning": "{side} resigned in a winning position",
    "resignation": "{side} resigned",
    "time_out_lost": "{side} ran out of time in a lost position",
    "time_out_even": "{side} ran out of time in an even position",
    "time_out_winning": "{side} ran out of time in a winning position",
    "time_out": "{side} ran out of time",
    "time_out_drawn": "{side} ran out of time, but {other} could not have mated: a draw",
    "left_lost": "{side} left the game in a lost position",
    "left_even": "{side} left the game in an even position",
    "left_winning": "{side} left the game in a winning position",
    "left": "{side} left the game",
    "left_drawn": "{side} left the game, and it was a draw",
    "rules_infraction": "{side} lost by an infraction of the rules",
    "rules_infraction_drawn": "ended by an infraction of the rules, without a winner",
    "not_started": "{side} did not make a first move",
    "variant_end": "{side} lost by the rule of the variant",
    "variant_end_drawn": "drawn by the rule of the variant",
    "stalemate": "{side} was stalemated: a draw",
    "draw_repetition": "drawn by threefold repetition",
    "draw_fifty_moves": "drawn by the fifty-move rule",
    "draw_insufficient_material": "drawn, as neither side could mate",
    "draw_insufficient_claim": "drawn by claim, as the other side could not have mated",
    "draw_agreed": "drawn by agreement",
    "aborted": "broken off before it began",
    "unfinished": "not finished",
    "unknown": "ended in a way that Lichess does not know",
}
ENDS = tuple(_TEXTS)
"""Every word that `val_end` can be."""

_BY_STATUS = {
    "mate": "checkmate",
    "resign": "resignation",
    "outoftime": "time_out",
    "timeout": "left",
    "stalemate": "stalemate",
    "draw": "draw",
    "variantEnd": "variant_end",
    "insufficientMaterialClaim": "draw_insufficient_claim",
    "cheat": "rules_infraction",
    "noStart": "not_started",
    "aborted": "aborted",
    "created": "unfinished",
    "started": "unfinished",
    "unknownFinish": "unknown",
}
_BY_TERMINATION = {
    "Time forfeit": "time_out",
    "Abandoned": "aborted",
    "Unterminated": "unfinished",
    "Rules infraction": "rules_infraction",
    "Insufficient material": "draw_insufficient_claim",
    "Unknown": "unknown",
}
_LOSER = {"1-0": chess.BLACK, "0-1": chess.WHITE}
_JUDGED = ("resignation", "time_out", "left")


class GameEnd(pa.DataFrameModel):
    """How a game ended, and how the side that gave up, ran out of time or left stood then."""

    id_game: str = pa.Field(description="Lichess game id")
    val_end: str = pa.Field(nullable=True, isin=ENDS, description="How it ended, one word for grouping")
    val_end_text: str = pa.Field(nullable=True, description="The same as a sentence")
    val_end_color: str = pa.Field(
        nullable=True,
        isin=("white", "black"),
        description="The side that was mated or stalemated, resigned, ran out of time, left or broke a rule",
    )
    val_end_position: str = pa.Field(
        nullable=True,
        isin=("lost", "even", "winning"),
        description="How that side stood at the end, where it resigned, ran out of time or left",
    )
    val_basis: str = pa.Field(
        nullable=True,
        isin=("evaluation", "material"),
        description="What tells how it stood: the evaluation of the final position, or pieces where there is none",
    )
    n_end_win_pct: float = pa.Field(
        nullable=True,
        in_range={"min_value": 0, "max_value": 100},
        description="That side's winning percent at the end, by evaluation; lost up to 25, winning from 75",
    )
    n_end_points: int = pa.Field(
        nullable=True,
        description="That side's material minus the other's at the end, pawns = 1; lost up to -3, winning from 3",
    )


def compute(game: chess.pgn.Game) -> Mapping[str, object]:
    """By Lichess's status where it is known, else by the PGN's Termination and what stands on the board.

    A draw is told by the final board: stalemate, too little to mate with, the position there for the third time, a
    hundred plies without capture or pawn's move; else it was agreed. Who ran out of time in a draw is the side to
    move. A position without evaluation is judged by material, in standard chess and Chess960 only; a piece that hangs
    counts as if it stood. Dumps do not tell whoever left the game from whoever ran out of time.
    """
    board = game.board()
    last: chess.pgn.GameNode = game
    for last in game.mainline():
        board.push(last.move)
    loser = _LOSER.get(game.headers.get("Result", "*"))
    end, color = _end(_kind(game, board, loser), board, loser)
    judged = _judged(end, color, board, last)
    if judged.get("val_end_position"):
        end = f"{end}_{judged['val_end_position']}"
    side, other = ("White", "Black") if color == chess.WHITE else ("Black", "White")
    if color is None:
        side, other = "a side", "the other"
    text = _TEXTS[end].format(side=side, other=other)
    return {
        "val_end": end,
        "val_end_text": text[0].upper() + text[1:],
        "val_end_color": None if color is None else chess.COLOR_NAMES[color],
    } | judged


def _kind(game: chess.pgn.Game, board: chess.Board, loser: chess.Color | None) -> str:
    """What the source says of the end; where it says `Normal` only, what the board says."""
    status = game.headers.get("Status", "")
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    termination = game.headers.get("Termination", "")
    if termination in _BY_TERMINATION:
        said = _BY_TERMINATION[termination]
        return "not_started" if said == "aborted" and loser is not None else said
    if board.is_checkmate():
        return "checkmate"
    if board.is_variant_end():
        return "variant_end"
    if loser is not None:
        return "resignation"
    return "draw" if game.headers.get("Result") == "1/2-1/2" else "unfinished"


def _end(kind: str, board: chess.Board, loser: chess.Color | None) -> tuple[str, chess.Color | None]:
    """The word, without how the side stood, and the side."""
    if kind == "draw":
        return next(((word, side(board)) for word, met, side in _DRAWS if met(board)), ("draw_agreed", None))
    if kind == "stalemate":
        return kind, board.turn
    if loser is not None or kind in ("draw_insufficient_claim", "aborted", "unfinished", "unknown"):
        return kind, loser
    color = board.turn if kind == "time_out" else None
    return (f"{kind}_drawn" if f"{kind}_drawn" in _TEXTS else "unknown"), color


def _nobody(_: chess.Board) -> None:
    return None


def _to_move(board: chess.Board) -> chess.Color:
    return board.turn


_DRAWS: tuple[tuple[str, Callable[[chess.Board], bool], Callable[[chess.Board], chess.Color | None]], ...] = (
    ("stalemate", chess.Board.is_stalemate, _to_move),
    ("draw_insufficient_material", chess.Board.is_insufficient_material, _nobody),
    ("draw_repetition", lambda board: board.is_repetition(3), _nobody),
    ("draw_fifty_moves", lambda board: board.halfmove_clock >= FIFTY_MOVES, _nobody),
)


def _judged(end: str, color: chess.Color | None, board: chess.Board, last: chess.pgn.GameNode) -> dict[str, object]:
    nothing: dict[str, object] = dict.fromkeys(("val_end_position", "val_basis", "n_end_win_pct", "n_end_points"))
    if color is None or end not in _JUDGED:
        return nothing
    score = last.eval()
    usual = type(board) is chess.Board
    lead = points(counts(board, color)) - points(counts(board, not color)) if usual else None
    if score is not None:
        win_pct = win_percent_for(color, score)
        return {
            "val_end_position": _standing(win_pct - 50, DECISIVE_WIN_PCT - 50),
            "val_basis": "evaluation",
            "n_end_win_pct": win_pct,
            "n_end_points": lead,
        }
    if lead is None:
        return nothing
    return nothing | {
        "val_end_position": _standing(lead, DECISIVE_POINTS),
        "val_basis": "material",
        "n_end_points": lead,
    }


def _standing(advantage: float, decisive: float) -> str:
    if advantage >= decisive:
        return "winning"
    return "lost" if advantage <= -decisive else "even"


plugin = GamePlugin(
    name="game_end",
    version="1",
    description="How a game ended in a player's words, and how the side that gave up or ran out of time stood.",
    schema=GameEnd,
    reads=(
        "id_game",
        "val_moves",
        "val_initial_fen",
        "val_variant",
        "val_result",
        "val_status",
        "val_termination",
        "arr_eval_cp",
        "arr_eval_mate",
    ),
    compute=compute,
)
