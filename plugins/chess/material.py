"""Material: what was left at the end, who led, which pieces stood against which, and what was sacrificed."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import chess
import chess.pgn
import pandera.polars as pa
import polars as pl

from plugins import GamePlugin
from plugins.chess_rules.main_line import MainLine, Stage
from plugins.chess_rules.needs import ORTHODOX
from plugins.chess_rules.pieces import Counts, imbalance, letters, points
from plugins.chess_rules.sacrifices import given, n_sound

FEW_PIECES = 6
"""An endgame has at most so many pieces beside kings and pawns (scalachess Divider.scala)."""
_number = partial(pa.Field, nullable=True, ge=0)
_text = partial(pa.Field, nullable=True)


class Material(pa.DataFrameModel):
    """Pieces and their points by side: pawn 1, knight and bishop 3, rook 5, queen 9."""

    id_game: str = pa.Field(description="Lichess game id")
    n_points_white: pl.Int16 = _number(description="White's material at the end, points")
    n_points_black: pl.Int16 = _number(description="Black's material at the end, points")
    val_pieces_white: str = _text(description="White's pieces at the end without the king, e.g. RBNPPP")
    val_pieces_black: str = _text(description="Black's pieces at the end without the king, e.g. RBNPPP")
    val_imbalance: str = _text(
        description="What White had more, vs what Black had more, at the end, e.g. `R vs BN`, `PP vs -`; null if equal",
    )
    val_imbalance_middlegame: str = _text(
        description="The same where the opening ended and the middlegame began; null if equal or no middlegame",
    )
    n_lead_middlegame: pl.Int16 = _text(
        description="White's points minus Black's there, negative where Black was ahead; null if no middlegame"
    )
    val_imbalance_endgame: str = _text(
        description="The same where the endgame began (six pieces beside kings and pawns); null if equal or no endgame",
    )
    val_imbalance_longest: str = _text(
        description="The imbalance of pieces, pawns left out, that stood longest; null if none"
    )
    n_plies_imbalance_longest: pl.Int16 = _number(description="For how many plies it stood")
    n_lead_max_white: pl.Int16 = _number(description="White's largest lead in material, points")
    n_lead_max_black: pl.Int16 = _number(description="Black's largest lead in material, points")
    n_lead_max_ply_white: pl.Int16 = _number(description="Ply after which White had it; null if none")
    n_lead_max_ply_black: pl.Int16 = _number(description="Ply after which Black had it; null if none")
    n_plies_bishop_pair_white: pl.Int16 = _number(description="Plies for which White alone had both bishops")
    n_plies_bishop_pair_black: pl.Int16 = _number(description="Plies for which Black alone had both bishops")
    n_plies_exchange_up_white: pl.Int16 = _number(
        description="Plies for which White had a rook where Black had a knight or a bishop"
    )
    n_plies_exchange_up_black: pl.Int16 = _number(
        description="Plies for which Black had a rook where White had a knight or a bishop"
    )
    n_sacrifices_white: pl.Int16 = _number(description="White's sacrifices: see arr_ply_sacrifice_white")
    n_sacrifices_black: pl.Int16 = _number(description="Black's sacrifices: see arr_ply_sacrifice_black")
    n_pieces_left_white: pl.Int16 = _number(description="White's pieces left to be taken: see arr_ply_left_white")
    n_pieces_left_black: pl.Int16 = _number(description="Black's pieces left to be taken: see arr_ply_left_black")
    n_sacrifices_sound_white: pl.Int16 = _number(
        description="Of both, those that cost White under 5 winning percent and left 25 or more; null if not evaluated",
    )
    n_sacrifices_sound_black: pl.Int16 = _number(
        description="Of both, those that cost Black under 5 winning percent and left 25 or more; null if not evaluated",
    )
    arr_ply_sacrifice_white: pl.List(pl.Int16) = _text(  # type: ignore[valid-type]  # a type of Polars
        description="Plies at which White offered a piece that was taken: at least 2 points, not won back in 4 plies"
    )
    arr_ply_sacrifice_black: pl.List(pl.Int16) = _text(  # type: ignore[valid-type]  # a type of Polars
        description="Plies at which Black offered a piece that was taken: at least 2 points, not won back in 4 plies"
    )
    arr_ply_left_white: pl.List(pl.Int16) = _text(  # type: ignore[valid-type]  # a type of Polars
        description="The same where White left a piece that was attacked already, and it was taken"
    )
    arr_ply_left_black: pl.List(pl.Int16) = _text(  # type: ignore[valid-type]  # a type of Polars
        description="The same where Black left a piece that was attacked already, and it was taken"
    )


def compute(game: chess.pgn.Game) -> Mapping[str, object]:
    """All of it in one walk along the moves.

    Material that stood for a single position, in the middle of an exchange, tells of no lead and of no imbalance;
    where a phase begins in the middle of one, what stands after it counts.
    What a sacrifice is: plugins/chess_rules/sacrifices.py.
    """
    line = MainLine(game)
    stages = list(line.stages())
    last = stages[-1]
    endgame = next((stage for stage in stages if _n_pieces(stage.white) + _n_pieces(stage.black) <= FEW_PIECES), None)
    begin = line.middlegame()
    middlegame = next((stage for stage in stages if begin is not None and stage.ply + stage.n_plies > begin), None)
    longest, n_longest = _longest_imbalance(stages)
    return {
        "val_imbalance": imbalance(last.difference),
        "val_imbalance_middlegame": imbalance(middlegame.difference) if middlegame else None,
        "n_lead_middlegame": middlegame.lead if middlegame else None,
        "val_imbalance_endgame": imbalance(endgame.difference) if endgame else None,
        "val_imbalance_longest": longest,
        "n_plies_imbalance_longest": n_longest,
    } | dict(item for color in chess.COLORS for item in _of_side(line, stages, color))


def _of_side(line: MainLine, stages: Sequence[Stage], color: chess.Color) -> Iterator[tuple[str, object]]:
    name, side = chess.COLOR_NAMES[color], 1 if color == chess.WHITE else -1
    own = stages[-1].white if color == chess.WHITE else stages[-1].black
    best = max(stages, key=lambda stage: side * stage.lead)
    lead = max(0, side * best.lead)
    gifts = given(line, color)
    yield f"n_points_{name}", points(own)
    yield f"val_pieces_{name}", letters(own)
    yield f"n_lead_max_{name}", lead
    yield f"n_lead_max_ply_{name}", best.ply if lead else None
    yield f"n_plies_bishop_pair_{name}", sum(stage.n_plies for stage in stages if _has_pair_alone(stage, color))
    yield f"n_plies_exchange_up_{name}", sum(stage.n_plies for stage in stages if _is_exchange_up(stage, side))
    yield f"n_sacrifices_{name}", len(gifts.offered)
    yield f"n_pieces_left_{name}", len(gifts.left)
    yield f"n_sacrifices_sound_{name}", n_sound(line, color, gifts)
    yield f"arr_ply_sacrifice_{name}", gifts.offered
    yield f"arr_ply_left_{name}", gifts.left


def _has_pair_alone(stage: Stage, color: chess.Color) -> bool:
    return stage.has_pair_white != stage.has_pair_black and stage.has_pair_white == color


def _is_exchange_up(stage: Stage, side: int) -> bool:
    queens, rooks, bishops, knights, _ = stage.difference
    return queens == 0 and rooks == side and bishops + knights == -side


def _longest_imbalance(stages: Sequence[Stage]) -> tuple[str | None, int | None]:
    """The earliest of those that stood equally long."""
    lengths: dict[tuple[int, ...], int] = {}
    for stage in stages:
        pieces = stage.difference[:4]
        lengths[pieces] = lengths.get(pieces, 0) + stage.n_plies
    lengths.pop((0, 0, 0, 0), None)
    if not lengths:
        return None, None
    queens, rooks, bishops, knights = longest = max(lengths, key=lambda pieces: lengths[pieces])
    return imbalance((queens, rooks, bishops, knights, 0)), lengths[longest]


def _n_pieces(pieces: Counts) -> int:
    return sum(pieces[:4])


plugin = GamePlugin(
    name="material",
    version="2",
    description="Material at the end, leads, imbalances, the bishop pair, the exchange, and sacrifices.",
    schema=Material,
    reads=("id_game", "val_moves", "val_initial_fen", "val_variant", "arr_eval_cp", "arr_eval_mate"),
    needs=(ORTHODOX,),
    compute=compute,
)
