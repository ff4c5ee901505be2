"""A tiny UCI engine for tests: quick, the same each time, and broken on demand. Run by its path, like any engine.

It plays the first legal move in the order of UCI text, and says that the position is worth its pieces. What it does
wrong is read from a file beside it, `<name of the script>.orders`: one order a line, `<what> <text in the FEN>`. A file
`.log` collects one line for each process (`start`) and for each search (`go <fen>`).

Orders: crash (ends in mid-search), hang (never answers), illegal (names a move that cannot be), mute (names no
evaluation), bound (ends with a mere bound), mate (says mate in 2), once-crash (crashes the first time only), slow
(takes a fifth of a second).
"""

import os
import sys
import time
from pathlib import Path

import chess

HERE = Path(sys.argv[0]).absolute()
LOG, ORDERS = HERE.with_suffix(".log"), HERE.with_suffix(".orders")
WORTH = {chess.PAWN: 100, chess.KNIGHT: 300, chess.BISHOP: 310, chess.ROOK: 500, chess.QUEEN: 900, chess.KING: 0}


def note(text: str) -> None:
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"{text}\n")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def orders_for(fen: str) -> list[str]:
    if not ORDERS.exists():
        return []
    lines = [line.partition(" ") for line in ORDERS.read_text().splitlines() if line.strip()]
    return [what for what, _, part in lines if part.strip() in fen]


def worth(board: chess.Board) -> int:
    pieces = board.piece_map().values()
    return sum(WORTH[piece.piece_type] * (1 if piece.color == board.turn else -1) for piece in pieces)


def go(board: chess.Board, nodes: str) -> None:
    fen = board.fen()
    been_here = LOG.exists() and f"go {fen}" in LOG.read_text()
    note(f"go {fen}")
    orders = orders_for(fen)
    if "crash" in orders or ("once-crash" in orders and not been_here):
        say("info depth 1 score cp 999")
        os._exit(3)
    if "hang" in orders:
        time.sleep(3600)
    if "slow" in orders:
        time.sleep(0.2)
    best = min(move.uci() for move in board.legal_moves)
    if "mate" in orders:
        say(f"info depth 1 nodes {nodes} score mate 2 pv {best}")
    elif "mute" not in orders:
        say(f"info depth 1 nodes {nodes} score cp {worth(board)} pv {best}")
    if "bound" in orders:
        say(f"info depth 2 nodes {nodes} score cp 7777 lowerbound pv {best}")
    say(f"bestmove {'a1a1' if 'illegal' in orders else best}")


def main() -> None:  # noqa: C901  # one case a command
    note("start")
    board = chess.Board()
    for line in sys.stdin:
        match line.split():
            case ["uci"]:
                say("id name Scripted 1.0")
                say("id author the tests")
                say("option name Hash type spin default 16 min 1 max 1024")
                say("option name Threads type spin default 1 min 1 max 8")
                say("uciok")
            case ["isready"]:
                say("readyok")
            case ["setoption", "name", *words]:
                note(f"option {' '.join(words)}")
            case ["ucinewgame"]:
                pass
            case ["position", "startpos", *moves]:
                board = chess.Board()
                for move in moves[1:]:
                    board.push_uci(move)
            case ["position", "fen", *words]:
                board = chess.Board(" ".join(words[:6]))
                for move in words[7:]:
                    board.push_uci(move)
            case ["go", "nodes", nodes]:
                go(board, nodes)
            case ["quit"]:
                return


if __name__ == "__main__":
    main()
