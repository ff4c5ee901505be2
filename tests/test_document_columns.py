"""Documents read column by column say the same as each read by itself, whatever stands in them."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from game_rows import document, documents_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kshift_assets.chess.document_columns import read_documents
from kshift_assets.chess.document_plies import find_documents
from kshift_assets.chess.documents import read_one_by_one
from kshift_assets.chess.pgn_bytes import PADDING
from recordings import RECORDINGS, needs_recordings

PLAYERS = document()["players"]
ANALYSIS = [{"eval": 15}, {"mate": -3, "best": "e7e6", "judgment": {"name": "Blunder"}}]
WHOLE = document(
    clocks=[300, 299, 298, 297],
    analysis=ANALYSIS,
    opening={"eco": "C40", "name": "King's Knight Opening", "ply": 3},
    daysPerTurn=2,
    initialFen="8/8/8/8/8/8/8/8 w - - 0 1",
    tournament="arena001",
    swiss="swiss001",
    division={"middle": 2},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
LIKELY = st.one_of(
    st.sampled_from([None, "", "white", "e4 e5", " e4", "e4  e5", "e4\te5", "É", "İD", "started", "mate"]),
    st.sampled_from([0, -1, 1.0, 2**15, 2**31, {}, {"id": "a"}]),
    st.sampled_from([[], [1], [None], [1, 2, 3, 4, 5], [2**31], [{}], [None, {}]]),
    st.sampled_from([[{"judgment": None}], [{"judgment": {}}], [{"judgment": {"name": "Brilliancy"}}]]),
    st.sampled_from([[{"best": ""}], [{"eval": 2**31}], [{"mate": 2**15}]]),
)
MORE = int(os.environ.get("FUZZ", "1"))  # so many times as many examples: make fuzz
LETTERS = b'{}[],:" \\/-+.eE0123456789nulltruefalsu\x00\t\n\x1f\x7f~'
ENDS = st.sampled_from(["", "}", "\n", "NaN", '"', "[", "1e5", ",", "0"])
PATHS = [
    *((key,) for key in [*WHOLE, "arenaTour", "swissTour", "somethingNew"]),
    *(("players", color) for color in ("white", "black")),
    *(("players", "white", key) for key in ("user", "name", "rating", "ratingDiff", "aiLevel")),
    *(("players", "black", "user", key) for key in ("id", "name", "title")),
    *(("clock", key) for key in ("initial", "increment")),
    *(("opening", key) for key in ("eco", "name", "ply")),
]


def _dumped(one: dict[str, Any]) -> str | None:
    try:
        return orjson.dumps(one).decode()
    except (TypeError, UnicodeDecodeError):  # numbers beyond 64 bits and lone surrogates have no place in it
        return None


def n_compiled(texts: list[str]) -> int:
    """How many of the documents the compiled reader takes upon itself."""
    data = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, data)])
    found = find_documents(np.frombuffer(b"".join(data) + bytes(PADDING), np.uint8), offsets)
    found.analyses()
    return int(found.are_read.sum())


@st.composite
def _texts(draw: st.DrawFn) -> str:
    one = orjson.loads(orjson.dumps(WHOLE))
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=3)):
        at = one
        for key in path[:-1]:
            at = at[key] if isinstance(at.get(key), dict) else {}
        if draw(st.booleans()):
            at[path[-1]] = draw(LIKELY | JSON)
        else:
            at.pop(path[-1], None)
    text = _dumped(one) or "{}"
    cut = draw(st.none() | st.integers(0, len(text)))
    return text if cut is None else text[:cut] + draw(ENDS)


def disturbed(chance: random.Random) -> str:
    """A document of which some bytes are gone, doubled, or taken from elsewhere; valid UTF-8 as all in the lake is."""
    data = bytearray(orjson.dumps(WHOLE | {"lang": "é\u2028", "source": 'a "quoted" \\ one', "rules": [[], {}, -1.5]}))
    for _ in range(chance.randrange(4)):
        at, n_bytes = chance.randrange(len(data)), chance.randrange(1, 9)
        other = chance.randrange(len(data))
        new = chance.choice(
            [b"", bytes([chance.choice(LETTERS)]), data[at : at + 40] * 2, data[other : other + n_bytes]]
        )
        data[at : at + chance.choice([0, n_bytes])] = new
    del data[chance.choice([len(data), chance.randrange(len(data) + 1)]) :]
    return data.decode(errors="ignore")


def _same(texts: list[str]) -> None:
    assert read_documents(texts).to_dicts() == read_one_by_one(texts).to_dicts()


@settings(max_examples=80, deadline=None)
@given(st.lists(_texts(), max_size=6))
@example([orjson.dumps(WHOLE).decode()] * 40)
def test_documents_say_the_same_read_by_columns_and_one_by_one(texts: list[str]) -> None:
    _same(texts)
    for text in texts:  # an odd one has its neighbours read one by one as well
        _same([text])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "[]",
        "{}}\n{",
        '{}}\n{"document":{}',
        '{"id": "a", "id": "b"}',
        '{"id": "\\ud800"}',
        '{"rated": NaN}',
        '{"other": -Infinity}',
        '{"other": 1e999}',
        '{"createdAt": -0}',
        '{"createdAt": 1E3}',
        '{"createdAt": 123456789012345678901234567890}',
        '{"other": ' + "[" * 5000 + "]" * 5000 + "}",
        "[" * 1_000_000,
        '{"moves": "' + "e4 " * 9_999 + 'e4"}',
        '{"moves": "' + "e4 " * 10_000 + 'e4"}',
        '{"other": "' + "x" * 9_000_000 + '"}',
        "\ufeff{}",
    ],
    ids=range(20),
)
def test_a_text_on_which_parsers_may_differ_is_read_as_if_alone(text: str) -> None:
    sound = orjson.dumps(WHOLE).decode()

    _same([sound] * 20 + [text] + [sound] * 20)


@needs_recordings
def test_recorded_documents_say_the_same() -> None:
    folder = RECORDINGS / "lichess" / "api_games"
    texts = [orjson.dumps(one).decode() for path in sorted(folder.glob("*")) for one in documents_of(path)]

    read, expected = read_documents(texts), read_one_by_one(texts)

    assert read.equals(expected)
    sound = read.get_column("val_faults").is_null()
    assert n_compiled(pl.Series(texts).filter(sound).to_list()) == sound.sum() > 3_000


def test_a_document_as_lichess_writes_it_is_read_by_compiled_code() -> None:
    spaced = orjson.dumps(WHOLE).decode().replace(":", " : ").replace(",", " , ")

    assert n_compiled([orjson.dumps(document()).decode(), orjson.dumps(WHOLE).decode(), spaced]) == 3
    assert n_compiled([text[:-1] + "x" for text in [spaced] * 3]) == 0


def test_any_value_or_key_may_be_written_otherwise() -> None:
    sound = orjson.dumps(WHOLE).decode()
    tokens = [*re.finditer(r'"[^"]*"|-?\d+|true|[\[\]{}:,]', sound)]
    others = [
        "-0",
        "00",
        "01",
        "1.0",
        "1e2",
        "-",
        "1.",
        "+1",
        ".5",
        "9" * 18,
        "9" * 19,
        "-3",
        "2147483648",
        "40000",
        "130",
    ]
    others += [
        "",
        "null",
        "nul",
        "true",
        "tru",
        "[]",
        "[1,]",
        "{}",
        '""',
        '" "',
        '"a',
        '"\\u0041"',
        '"\\n"',
        '"\\x"',
        '"a\tb"',
    ]

    _same([f"{sound[: token.start()]}{other}{sound[token.end() :]}" for token in tokens for other in others])


def test_disturbed_documents_say_the_same() -> None:
    chance = random.Random(1)  # nothing is kept secret with it

    _same([disturbed(chance) for _ in range(5_000 * MORE)])


CHECKED = """
import random
from tests.test_document_columns import disturbed, n_compiled

chance = random.Random(2)
print(n_compiled([disturbed(chance) for _ in range(1_000)]) > 100)
"""


@pytest.mark.fuzz
def test_with_bounds_checked_nothing_is_read_or_written_outside(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join([root, f"{root}/tests"])
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", CHECKED], env=os.environ | checked, check=True, capture_output=True)
    assert done.stdout == b"True\n"
