"""Random legal games with random evaluations and clocks, and the same games with the colours exchanged."""

from collections.abc import Mapping, Sequence
from typing import Any

import chess
from hypothesis import strategies as st

_RESULTS = {"1-0": "0-1", "0-1": "1-0", "1/2-1/2": "1/2-1/2", "*": "*"}
_STARTS = (
    chess.STARTING_FEN,
    "r3k2r/pppq1ppp/2npbn2/2b1p3/2B1P3/2NPBN2/PPPQ1PPP/R3K2R w KQkq - 0 1",
    "4k3/1P4p1/8/8/8/8/1p4P1/4K3 b - - 0 1",
    "8/8/4k3/8/2R5/4K3/8/8 w - - 0 1",
)


@st.composite
def legal_game(draw: st.DrawFn) -> dict[str, Any]:
    """A row of chess.games; from a position of its own, also where that is the usual one."""
    board = chess.Board(draw(st.sampled_from(_STARTS)))
    start, sans = board.fen(), []
    for choice in draw(st.lists(st.integers(0, 999), max_size=30)):
        moves = list(board.legal_moves)
        if not moves:
            break
        move = moves[choice % len(moves)]
        sans.append(board.san(move))
        board.push(move)
    n_plies = len(sans)
    evaluations = draw(st.lists(_EVALUATION, min_size=n_plies, max_size=n_plies))
    return {
        "val_moves": " ".join(sans),
        "n_plies": n_plies,
        "val_variant": "fromPosition",
        "val_initial_fen": start,
        "val_status": "mate" if board.is_checkmate() else draw(st.sampled_from(["resign", "draw", "outoftime"])),
        "val_result": board.result() if board.is_checkmate() else draw(st.sampled_from(["1-0", "0-1", "1/2-1/2"])),
        "arr_eval_cp": [cp for cp, _ in evaluations],
        "arr_eval_mate": [mate for _, mate in evaluations],
        "arr_best": _per_ply(draw, st.none() | st.just("a1a2"), n_plies),
        "arr_glyph": _per_ply(draw, st.none() | st.sampled_from(["?!", "?", "??"]), n_plies),
        "n_clock_initial_s": 300,
        "n_clock_increment_s": draw(st.sampled_from([0, 3])),
        "arr_clock_cs": draw(st.lists(st.integers(0, 30_000), min_size=n_plies, max_size=n_plies)),
        "val_eval_source": "lichess",
    }


_EVALUATION = st.one_of(
    st.tuples(st.integers(-1500, 1500), st.none()),
    st.tuples(st.none(), st.integers(-20, 20).filter(bool)),
    st.just((None, None)),
)


def _per_ply(draw: st.DrawFn, element: st.SearchStrategy[str | None], n_plies: int) -> list[str | None] | None:
    return draw(st.none() | st.lists(element, min_size=n_plies, max_size=n_plies))


def flipped(game: Mapping[str, Any]) -> dict[str, Any]:
    """The same game with the colours exchanged: the board turned upside down, evaluations seen from the other side."""
    board = chess.Board(game["val_initial_fen"])
    mirror, sans = board.mirror(), []
    for san in game["val_moves"].split():
        move = board.push_san(san)
        turned = chess.Move(
            chess.square_mirror(move.from_square), chess.square_mirror(move.to_square), promotion=move.promotion
        )
        sans.append(mirror.san(turned))
        mirror.push(turned)
    return {
        **game,
        "val_moves": " ".join(sans),
        "val_initial_fen": chess.Board(game["val_initial_fen"]).mirror().fen(),
        "val_result": _RESULTS[game["val_result"]],
        "arr_eval_cp": _negated(game["arr_eval_cp"]),
        "arr_eval_mate": _negated(game["arr_eval_mate"]),
    }


def flipped_san(san: str | None) -> str | None:
    """The move with the colours exchanged."""
    return san and san.translate(str.maketrans("12345678", "87654321"))


def _negated(values: Sequence[int | None]) -> list[int | None]:
    return [None if value is None else -value for value in values]
