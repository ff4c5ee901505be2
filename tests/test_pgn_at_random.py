"""The dump parser on games made at random, written by a few lines of our own: they come back, whatever is between."""

import json
import re
import string
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kshift_assets.chess.pgn import read_games

Row = dict[str, Any]

SANS = st.sampled_from(
    ["e4", "Nf3", "O-O", "O-O-O", "exd5", "Nbxd2+", "R1a3#", "e8=Q", "bxa1=N+", "Qh4xe1", "N@f3", "@e5", "axb8=K"]
)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="{}[]%"))
TEXTS = WORDS.map(lambda text: " ".join(text.split())).filter(bool)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
NAMES = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=12).map(lambda name: f"X{name}")
GLYPHS = st.none() | st.sampled_from(["!", "?", "!!", "??", "!?", "?!"])


def rows_of(text: str | bytes) -> list[Row]:
    data = text.encode() if isinstance(text, str) else text
    return [row for frame in read_games([data]) for row in frame.iter_rows(named=True)]


@dataclass(frozen=True)
class Move:
    """A ply as the parser should give it back."""

    san: str
    clock_cs: int | None
    eval_cp: int | None
    mate: int | None
    glyph: str | None
    offer: str | None
    comment: str | None


@dataclass(frozen=True)
class Written:
    """A game as the parser should give it back, and its text."""

    id_game: str
    tags: dict[str, str]
    others: dict[str, str]
    moves: list[Move]
    text: str


@st.composite
def moves(draw: st.DrawFn, *, plain: bool) -> Move:
    score = draw(st.none() | st.integers(-99_999, 99_999) | st.tuples(st.integers(-300, 300)))
    is_mate = isinstance(score, tuple)
    clock = draw(st.none() | st.integers(0, 999 * 3600))
    fraction = 0 if plain else draw(st.integers(0, 99))
    return Move(
        draw(SANS),
        None if clock is None else clock * 100 + fraction,
        None if is_mate else score,
        score[0] if is_mate else None,
        draw(GLYPHS),
        draw(st.none() | st.sampled_from(["white", "black"])),
        None if plain else draw(st.none() | TEXTS),
    )


def annotations(move: Move) -> str:
    parts = []
    if move.eval_cp is not None:
        sign, cents = "-" if move.eval_cp < 0 else "", abs(move.eval_cp)
        decimals = f"{cents % 100:02}"
        parts.append(f"[%eval {sign}{cents // 100}.{decimals[0] if decimals.endswith('0') else decimals}]")
    if move.mate is not None:
        parts.append(f"[%eval #{move.mate}]")
    if move.clock_cs is not None:
        seconds, fraction = divmod(move.clock_cs, 100)
        clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        parts.append(f"[%clk {clock}{f'.{fraction:02}' if fraction else ''}]")
    return " ".join(parts)


def movetext(game: list[Move], result: str) -> str:
    words = []
    for number, move in enumerate(game):
        words.append(f"{number // 2 + 1}{'...' if number % 2 else '.'}")
        words.append(move.san + (move.glyph or ""))
        if move.offer:
            words.append(f"{{ {move.offer.capitalize()} offers draw }}")
        if notes := annotations(move):
            words.append(f"{{ {notes} }}")
        if move.comment:
            words.append(f"{{ {move.comment} }}")
    return " ".join([*words, result])


@st.composite
def games(draw: st.DrawFn) -> Written:
    """Half of them in the form of dumps, half with comments, odd tags and wrapped lines."""
    plain = draw(st.booleans())
    result = draw(st.sampled_from(["1-0", "0-1", "1/2-1/2", "*"]))
    id_game = draw(st.text(string.ascii_letters + string.digits, min_size=8, max_size=8))
    values = st.text(string.ascii_letters + " ,.'-", max_size=12) if plain else VALUES
    tags = {"Event": draw(values), "Site": f"https://lichess.org/{id_game}", "White": draw(values), "Result": result}
    others = draw(st.dictionaries(NAMES, values, max_size=3))
    game = draw(st.lists(moves(plain=plain), max_size=8))
    escaped = {tag: value.replace("\\", "\\\\").replace('"', '\\"') for tag, value in (tags | others).items()}
    head = "".join(f'[{tag} "{value}"]\n' for tag, value in escaped.items())
    body = movetext(game, result)
    if not plain and draw(st.booleans()):
        body = "\n".join(wrap(body, 60, break_long_words=False, break_on_hyphens=False))
    end = "\n\n" if plain else draw(st.sampled_from(["\n\n", "\n\n\n", "\r\n\r\n"]))
    return Written(id_game, tags, others, game, f"{head}\n{body}{end}")


def some(values: list[Any]) -> list[Any] | None:
    return values if any(value is not None for value in values) else None


def as_row(game: Written, n_game: int) -> Row:
    return {
        "n_game": n_game,
        "id_game": game.id_game,
        "val_event": game.tags["Event"],
        "val_white": game.tags["White"],
        "val_result": game.tags["Result"],
        "others": game.others or None,
        "n_plies": len(game.moves),
        "val_moves": " ".join(move.san for move in game.moves),
        "arr_clock_cs": some([move.clock_cs for move in game.moves]),
        "arr_eval_cp": some([move.eval_cp for move in game.moves]),
        "arr_eval_mate": some([move.mate for move in game.moves]),
        "arr_glyph": some([move.glyph for move in game.moves]),
        "arr_draw_offer": some([move.offer for move in game.moves]),
        "arr_comment": some([move.comment for move in game.moves]),
        "val_error": None,
        "val_text": None,
    }


def essence(row: Row) -> Row:
    """What `as_row` has; a line that was wrapped inside a comment counts as a blank."""
    others = row["val_tags_other"] and json.loads(row["val_tags_other"])
    comments = row["arr_comment"] and [comment and " ".join(comment.split()) for comment in row["arr_comment"]]
    kept = {name: value for name, value in row.items() if name in as_row(EMPTY, 1)}
    return kept | {"others": others, "arr_comment": comments}


EMPTY = Written("", {"Event": "", "White": "", "Result": ""}, {}, [], "")


@settings(max_examples=100, deadline=None)
@given(st.lists(games(), max_size=3))
def test_games_come_back_as_they_were_written(written: list[Written]) -> None:
    rows = rows_of("".join(game.text for game in written))
    assert [essence(row) for row in rows] == [as_row(game, number) for number, game in enumerate(written, 1)]


@settings(max_examples=60, deadline=None)
@given(st.lists(games(), min_size=1, max_size=3), st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_it_does_not_matter_where_chunks_end(written: list[Written], sizes: list[int]) -> None:
    data = "".join(game.text for game in written).encode()
    chunks, at = [], 0
    while at < len(data):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[at : at + size])
        at += size
    assert pl.concat(read_games(chunks)).equals(pl.concat(read_games([data])))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(games(), st.binary(max_size=60) | st.text(max_size=60).map(str.encode)), max_size=3))
def test_garbage_between_games_costs_no_game(written: list[tuple[Written, bytes]]) -> None:
    data = b"".join(game.text.encode() + garbage + b"\n" for game, garbage in written)
    sound = [essence(row) for row in rows_of(data) if row["val_error"] is None]
    wanted = [as_row(game, 0) for game, _ in written]
    assert [{**row, "n_game": 0} for row in sound] == wanted


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200) | st.text('[]{}()"\\; \n\rEvent1.e4-0*', max_size=200))
def test_every_character_of_a_text_that_is_no_game_is_kept(text: str) -> None:
    text = text.replace("%", "")  # what begins a line that is private to its writer
    rows = rows_of(text)
    assert all(row["val_error"] for row in rows)  # no such text has an id
    kept = "".join(row["val_text"] for row in rows)
    assert re.sub(r"[\s\ufeff]", "", kept) == re.sub(r"[\s\ufeff]", "", text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_as_rows(data: bytes) -> None:
    assert all(row["val_error"] and row["val_text"] for row in rows_of(data))
