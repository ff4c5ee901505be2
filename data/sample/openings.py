"""A small table of openings, written down from common knowledge: to begin games with, and to name them."""

import chess

# Well-known names of well-known first moves; ECO code, name, moves in SAN.
OPENINGS = """
A00 Polish Opening: b4
A00 Van't Kruijs Opening: e3
A00 Grob Opening: g4
A00 Anderssen's Opening: a3
A00 Ware Opening: a4
A00 Saragossa Opening: c3
A00 Mieses Opening: d3
A00 Clemenz Opening: h3
A00 Kádas Opening: h4
A00 Barnes Opening: f3
A00 Amar Opening: Nh3
A00 Sodium Attack: Na3
A00 Van Geet Opening: Nc3
A00 Hungarian Opening: g3
A01 Nimzo-Larsen Attack: b3
A02 Bird Opening: f4
A04 Zukertort Opening: Nf3
A05 King's Indian Attack: Nf3 Nf6 g3
A10 English Opening: c4
A20 English Opening: King's English Variation: c4 e5
A30 English Opening: Symmetrical Variation: c4 c5
A40 Queen's Pawn Game: d4
A45 Indian Defense: d4 Nf6
A45 Trompowsky Attack: d4 Nf6 Bg5
A46 London System: d4 Nf6 Nf3 e6 Bf4
A51 Budapest Defense: d4 Nf6 c4 e5
A57 Benko Gambit: d4 Nf6 c4 c5 d5 b5
A60 Benoni Defense: Modern Variation: d4 Nf6 c4 c5 d5 e6
A80 Dutch Defense: d4 f5
B00 King's Pawn Game: e4
B00 Nimzowitsch Defense: e4 Nc6
B00 Owen Defense: e4 b6
B01 Scandinavian Defense: e4 d5
B01 Scandinavian Defense: Main Line: e4 d5 exd5 Qxd5 Nc3 Qa5
B01 Scandinavian Defense: Modern Variation: e4 d5 exd5 Nf6
B02 Alekhine Defense: e4 Nf6
B06 Modern Defense: e4 g6
B07 Pirc Defense: e4 d6 d4 Nf6 Nc3
B10 Caro-Kann Defense: e4 c6
B12 Caro-Kann Defense: Advance Variation: e4 c6 d4 d5 e5
B13 Caro-Kann Defense: Exchange Variation: e4 c6 d4 d5 exd5 cxd5
B18 Caro-Kann Defense: Classical Variation: e4 c6 d4 d5 Nc3 dxe4 Nxe4 Bf5
B20 Sicilian Defense: e4 c5
B21 Sicilian Defense: Smith-Morra Gambit: e4 c5 d4 cxd4 c3
B22 Sicilian Defense: Alapin Variation: e4 c5 c3
B23 Sicilian Defense: Closed: e4 c5 Nc3
B33 Sicilian Defense: Sveshnikov Variation: e4 c5 Nf3 Nc6 d4 cxd4 Nxd4 Nf6 Nc3 e5
B40 Sicilian Defense: French Variation: e4 c5 Nf3 e6
B50 Sicilian Defense: Modern Variations: e4 c5 Nf3 d6
B70 Sicilian Defense: Dragon Variation: e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 g6
B90 Sicilian Defense: Najdorf Variation: e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 a6
C00 French Defense: e4 e6
C01 French Defense: Exchange Variation: e4 e6 d4 d5 exd5 exd5
C02 French Defense: Advance Variation: e4 e6 d4 d5 e5
C03 French Defense: Tarrasch Variation: e4 e6 d4 d5 Nd2
C15 French Defense: Winawer Variation: e4 e6 d4 d5 Nc3 Bb4
C20 King's Pawn Game: e4 e5
C21 Danish Gambit: e4 e5 d4 exd4 c3
C23 Bishop's Opening: e4 e5 Bc4
C25 Vienna Game: e4 e5 Nc3
C30 King's Gambit: e4 e5 f4
C33 King's Gambit Accepted: e4 e5 f4 exf4
C40 King's Knight Opening: e4 e5 Nf3
C41 Philidor Defense: e4 e5 Nf3 d6
C42 Petrov's Defense: e4 e5 Nf3 Nf6
C44 King's Knight Opening: Normal Variation: e4 e5 Nf3 Nc6
C45 Scotch Game: e4 e5 Nf3 Nc6 d4 exd4 Nxd4
C46 Three Knights Opening: e4 e5 Nf3 Nc6 Nc3
C47 Four Knights Game: e4 e5 Nf3 Nc6 Nc3 Nf6
C50 Italian Game: e4 e5 Nf3 Nc6 Bc4
C51 Italian Game: Evans Gambit: e4 e5 Nf3 Nc6 Bc4 Bc5 b4
C53 Italian Game: Classical Variation: e4 e5 Nf3 Nc6 Bc4 Bc5 c3
C55 Italian Game: Two Knights Defense: e4 e5 Nf3 Nc6 Bc4 Nf6
C60 Ruy Lopez: e4 e5 Nf3 Nc6 Bb5
C65 Ruy Lopez: Berlin Defense: e4 e5 Nf3 Nc6 Bb5 Nf6
C68 Ruy Lopez: Exchange Variation: e4 e5 Nf3 Nc6 Bb5 a6 Bxc6
C78 Ruy Lopez: Morphy Defense: e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O
D00 Queen's Pawn Game: d4 d5
D00 London System: d4 d5 Bf4
D02 Queen's Pawn Game: Zukertort Variation: d4 d5 Nf3
D06 Queen's Gambit: d4 d5 c4
D10 Slav Defense: d4 d5 c4 c6
D20 Queen's Gambit Accepted: d4 d5 c4 dxc4
D30 Queen's Gambit Declined: d4 d5 c4 e6
D35 Queen's Gambit Declined: Exchange Variation: d4 d5 c4 e6 Nc3 Nf6 cxd5 exd5
D43 Semi-Slav Defense: d4 d5 c4 e6 Nc3 Nf6 Nf3 c6
D70 Neo-Grünfeld Defense: d4 Nf6 c4 g6 f3 d5
D80 Grünfeld Defense: d4 Nf6 c4 g6 Nc3 d5
E00 Catalan Opening: d4 Nf6 c4 e6 g3
E12 Queen's Indian Defense: d4 Nf6 c4 e6 Nf3 b6
E20 Nimzo-Indian Defense: d4 Nf6 c4 e6 Nc3 Bb4
E60 King's Indian Defense: d4 Nf6 c4 g6
E70 King's Indian Defense: Normal Variation: d4 Nf6 c4 g6 Nc3 Bg7 e4
"""


def opening_lines() -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the table as (ECO, name, moves)."""
    lines = []
    for line in OPENINGS.strip().splitlines():
        head, moves = line.rsplit(": ", 1)
        lines.append((head[:3], head[4:], tuple(moves.split())))
    return lines


def opening_positions() -> dict[str, tuple[str, str]]:
    """Return EPD → (ECO, name), to find an opening whatever order its moves came in."""
    positions = {}
    for eco, name, moves in opening_lines():
        board = chess.Board()
        for move in moves:
            board.push_san(move)
        positions[board.epd()] = (eco, name)
    return positions
