"""SQL that consumers call in the published database: which games went through a position. No extension is needed."""

from collections.abc import Iterator
from itertools import chain

from chess import FILE_NAMES
from chess.polyglot import POLYGLOT_RANDOM_ARRAY

# A position as 70 signs: 64 squares from a8 to h1, the side to move, four castling rights, the file of an en passant
# capture; `.` where there is nothing. Each sign that counts has its random number, and the key is their exclusive or.
_SQUARES, _SIDE, _CASTLING, _EN_PASSANT = 64, 65, 66, 70
_PIECES = "pPnNbBrRqQkK"
_RIGHTS = "KQkq"
_CASTLING_KEYS, _EN_PASSANT_KEYS, _WHITE_TO_MOVE_KEY = 768, 772, 780

_NO_FEN = (
    "this is no position: give a FEN, or its first four fields, "
    "e.g. rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq -"
)

_GAMES_SQL = """
WITH found AS (
    SELECT id_game, dt_month, min(n_ply) AS n_ply, count(*) AS n_times, arg_min(
        {'color': val_color, 'clock_cs': n_clock_cs, 'eval_cp': val_eval_cp, 'eval_mate': val_eval_mate}, n_ply
    ) AS at_first
    FROM chess.positions
    WHERE id_position = main.position_key(fen)
    GROUP BY id_game, dt_month
)
SELECT id_game, n_ply, n_times, at_first.color AS val_color, at_first.clock_cs AS n_clock_cs,
    at_first.eval_cp AS val_eval_cp, at_first.eval_mate AS val_eval_mate, id_user_white, id_user_black, val_name_white,
    val_name_black, n_rating_white, n_rating_black, ind_rated, val_speed, val_result, val_status, tm_created,
    'https://lichess.org/' || id_game || '#' || n_ply AS val_link, dt_month
FROM found JOIN chess.games USING (id_game, dt_month)
"""


def _statements() -> list[str]:
    """What a published database needs beside the views chess.positions and chess.games: constants and macros."""
    keys = ", ".join(f"({place}, '{sign}', {key - (1 << 64) if key >> 63 else key})" for place, sign, key in _keys())
    return [
        "CREATE TABLE main.zobrist_keys (n_place UTINYINT, val_sign VARCHAR, val_key BIGINT)",
        f"INSERT INTO main.zobrist_keys VALUES {keys}",  # noqa: S608  # constants
        "COMMENT ON TABLE main.zobrist_keys IS 'Polyglot''s random numbers by place and sign, for position_key(fen)'",
        f"CREATE MACRO main.position_key(fen) AS ({_key_sql()})",
        "COMMENT ON MACRO main.position_key IS 'The key of a position as chess.positions and chess.openings have it'",
        f"CREATE MACRO main.games_with_position(fen) AS TABLE {_GAMES_SQL}",
        "COMMENT ON MACRO TABLE main.games_with_position IS 'Games that went through a position, once each'",
    ]


def _key_sql() -> str:
    """The key of the FEN `fen`: Polyglot's, so an en passant file counts only where a pawn stands ready to capture."""
    ranks = "split_part(trim(fen), ' ', 1)"
    for n_empty in range(1, 9):
        ranks = f"replace({ranks}, '{n_empty}', '{'.' * n_empty}')"
    return f"""
WITH given AS (
    SELECT {ranks} AS ranks, split_part(trim(fen), ' ', 2) AS side, split_part(trim(fen), ' ', 3) AS castling,
        split_part(trim(fen), ' ', 4) AS en_passant
),
judged AS (
    SELECT *, replace(ranks, '/', '') AS board, strpos('abcdefgh', en_passant[1]) AS n_file,
        CASE side WHEN 'w' THEN 'P' ELSE 'p' END AS pawn, CASE side WHEN 'w' THEN 24 ELSE 32 END AS n_before,
        regexp_full_match(ranks, '([pnbrqkPNBRQK.]{{8}}/){{7}}[pnbrqkPNBRQK.]{{8}}') AND side IN ('w', 'b')
            AND regexp_full_match(castling, '-|[KQkq]+') AND regexp_full_match(en_passant, '-|[a-h][36]') AS is_position
    FROM given
),
signs AS (
    SELECT board || side
        || CASE WHEN contains(castling, 'K') AND board[61] = 'K' AND board[64] = 'R' THEN 'K' ELSE '.' END
        || CASE WHEN contains(castling, 'Q') AND board[61] = 'K' AND board[57] = 'R' THEN 'Q' ELSE '.' END
        || CASE WHEN contains(castling, 'k') AND board[5] = 'k' AND board[8] = 'r' THEN 'k' ELSE '.' END
        || CASE WHEN contains(castling, 'q') AND board[5] = 'k' AND board[1] = 'r' THEN 'q' ELSE '.' END
        || CASE WHEN (n_file > 1 AND board[n_before + n_file - 1] = pawn)
            OR (n_file BETWEEN 1 AND 7 AND board[n_before + n_file + 1] = pawn) THEN en_passant[1] ELSE '.' END
        AS signs
    FROM judged
    WHERE CASE WHEN is_position THEN true ELSE error('{_NO_FEN}') END
)
SELECT bit_xor(zobrist_keys.val_key) FROM signs, main.zobrist_keys WHERE signs.signs[n_place] = val_sign
"""  # noqa: S608  # constants of this module


def _keys() -> Iterator[tuple[int, str, int]]:
    """Place and sign of each of Polyglot's random numbers."""
    pieces = (
        (8 * (7 - square // 8) + square % 8 + 1, piece, POLYGLOT_RANDOM_ARRAY[_SQUARES * kind + square])
        for kind, piece in enumerate(_PIECES)
        for square in range(_SQUARES)
    )
    rights = (
        (_CASTLING + number, right, POLYGLOT_RANDOM_ARRAY[_CASTLING_KEYS + number])
        for number, right in enumerate(_RIGHTS)
    )
    files = (
        (_EN_PASSANT, name, POLYGLOT_RANDOM_ARRAY[_EN_PASSANT_KEYS + number]) for number, name in enumerate(FILE_NAMES)
    )
    return chain(pieces, rights, files, [(_SIDE, "w", POLYGLOT_RANDOM_ARRAY[_WHITE_TO_MOVE_KEY])])


MACROS = tuple(_statements())
"""SQL that a published database runs when it is made, once it has the views chess.positions and chess.games."""
