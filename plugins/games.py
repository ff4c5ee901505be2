"""A row of chess.games as python-chess's game, which analytics of single games look at."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import chess
import chess.pgn
import polars as pl

from plugins.chess_rules.needs import STANDARD
from plugins.chess_rules.replay import replay

# Names as PGN writes variants, by Lichess's keys; standard chess has no such tag.
VARIANT_NAMES = {
    "chess960": "Chess960",
    "crazyhouse": "Crazyhouse",
    "antichess": "Antichess",
    "atomic": "Atomic",
    "horde": "Horde",
    "kingOfTheHill": "King of the Hill",
    "racingKings": "Racing Kings",
    "threeCheck": "Three-check",
    "fromPosition": "From Position",
}
# Header → the column that it shows.
_HEADERS = {
    "White": "val_name_white",
    "Black": "val_name_black",
    "Result": "val_result",
    "WhiteElo": "n_rating_white",
    "BlackElo": "n_rating_black",
    "WhiteTitle": "val_title_white",
    "BlackTitle": "val_title_black",
    "ECO": "val_eco",
    "Opening": "val_opening",
    "Termination": "val_termination",
    "Status": "val_status",
    "FEN": "val_initial_fen",
}


def read_moves(games: pl.DataFrame) -> list[list[chess.Move] | None]:
    """The moves of each game of standard chess that can be played to its end; None for the others.

    Compiled code reads them ten times as fast as python-chess does.
    """
    replayed = replay(games, threads=1)
    sound = (replayed.status == 0) & games.select(STANDARD.met.fill_null(value=False)).to_series().to_numpy()
    return [replayed.moves(place) if sound[place] else None for place in range(games.height)]


def pgn_game(row: Mapping[str, Any], moves: Sequence[chess.Move] | None = None) -> chess.pgn.Game:
    """The game of a row, with what the row has of it; `moves` where they have been read from its SAN already.

    Needs val_moves, val_initial_fen and val_variant. Other columns show as headers: White, Black, Result, WhiteElo,
    BlackElo, WhiteTitle, BlackTitle, ECO, Opening, Termination, TimeControl, and Status for Lichess's val_status.
    Lists stand on the nodes: `node.clock()` in seconds, `node.eval()`. Raises ValueError for an illegal move.
    """
    game = chess.pgn.Game({"Site": f"https://lichess.org/{row['id_game']}", "Result": "*"})
    for header, column in _HEADERS.items():
        if (value := row.get(column)) is not None:
            game.headers[header] = str(value)
    if row.get("n_clock_initial_s") is not None and "n_clock_increment_s" in row:
        game.headers["TimeControl"] = f"{row['n_clock_initial_s']}+{row['n_clock_increment_s']}"
    if variant := VARIANT_NAMES.get(row["val_variant"]):
        game.headers["Variant"] = variant
    if row["val_initial_fen"] is not None:
        game.headers["SetUp"] = "1"
    node: chess.pgn.GameNode = game
    for move, comment in zip(_played(game, row["val_moves"]) if moves is None else moves, _comments(row), strict=False):
        node = node.add_variation(move, comment=comment)
    return game


def _played(game: chess.pgn.Game, sans: str) -> Iterator[chess.Move]:
    board = game.board()
    for san in sans.split():
        yield board.push_san(san)


def _comments(row: Mapping[str, Any]) -> Any:  # noqa: ANN401  # an endless iterator, or one of lists
    clocks, cps, mates = (row.get(name) for name in ("arr_clock_cs", "arr_eval_cp", "arr_eval_mate"))
    if clocks is None and cps is None and mates is None:
        return repeat("")
    columns = (repeat(None) if values is None else values for values in (clocks, cps, mates))
    return (_comment(*values) for values in zip(*columns, strict=False))


def _comment(clock_cs: int | None, cp: int | None, mate: int | None) -> str:
    parts = []
    if mate is not None:
        parts.append(f"[%eval #{mate}]")
    elif cp is not None:
        parts.append(f"[%eval {cp / 100:.2f}]")
    if clock_cs is not None:
        seconds, hundredths = divmod(clock_cs, 100)
        minutes, seconds = divmod(seconds, 60)
        parts.append(f"[%clk {minutes // 60}:{minutes % 60:02}:{seconds:02}.{hundredths:02}]")
    return " ".join(parts)
