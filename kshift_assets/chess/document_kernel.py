"""Documents of games, compiled: one pass over their JSON finds what they say, or refuses one as unusual.

What a document may say is a tree of fields, written down once, in the order in which Lichess writes them. Texts are
found, not copied: a span is where one begins and how long it is. A document is refused where a field is of another kind
than it should be, twice there, out of range or escaped, and where the JSON is invalid, or not in its plainest form.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kshift_assets.chess import document_fields, documents, json_bytes, pgn_bytes
from kshift_assets.chess.document_fields import (
    ACCOUNT,
    ANALYSIS,
    CLOCKS,
    FLAG,
    MOVES,
    OBJECT,
    ODD,
    WHOLES,
    tables,
)
from kshift_assets.chess.documents import LAST_CS, MOST_PLIES
from kshift_assets.chess.json_bytes import (
    BLANK,
    CLOSED,
    COMMA,
    LIST_CLOSED,
    LIST_OPENED,
    OPENED,
    QUOTE,
    REFUSED,
    behind_blanks,
    behind_colon,
    behind_null,
    behind_value,
    end_of_plain,
    flag_at,
    whole_at,
)
from kshift_assets.chess.pgn_bytes import Bytes, below, byte_at, word_at
from plugins.chess_rules import compiled as compiling
from plugins.chess_rules.compiled import compiled, compiled_once, integer, stamp

NONE = -(1 << 62)
"""Stands for a number that is not there."""
Spans = npt.NDArray[np.int32]
Wholes = npt.NDArray[np.int64]

_TABLES = tables()
_LOW, _HIGH, _KINDS, _LASTS, _SLOTS, _CHILDREN, _BEGINS, _ENDS, _PARENTS = (
    _TABLES[name] for name in ("low", "high", "kind", "last", "slot", "child", "begin", "end", "parent")
)
_ROOT, ENTRY_ROOT = 0, len(_BEGINS) - 2
N_PLIES, N_CLOCKS, N_ENTRIES = (len(WHOLES) + number for number in range(3))
CLOCKS_AT, ANALYSIS_AT = WHOLES["clocks"], WHOLES["analysis"]
_NEEDED = (WHOLES["players.white"], WHOLES["players.black"], N_PLIES)
LONGEST_WORD = 16
"""So long may a text be that is compared as two words."""
_TILDE, _ASCII = ord("~"), 0x7F
_UNKNOWN = -1


@compiled
def words_at(text: Bytes, begin: int, length: int) -> tuple[int, int]:
    """A short text as two words."""
    return word_at(text, begin) & below(min(length, 8)), word_at(text, begin + 8) & below(max(length - 8, 0))


@compiled
def _field(low: int, high: int, node: int, expected: int) -> int:
    """The field of an object with this key; the expected one is tried first."""
    for field in range(expected, _ENDS[node]):
        if _LOW[field] == low and _HIGH[field] == high:
            return field
    for field in range(_BEGINS[node], expected):
        if _LOW[field] == low and _HIGH[field] == high:
            return field
    return integer(_UNKNOWN)


@compiled
def _is_ascii(text: Bytes, begin: int, end: int) -> bool:
    for at in range(begin, end):  # noqa: SIM110  # a generator cannot be compiled
        if byte_at(text, at) > _ASCII:
            return False
    return True


@compiled
def _n_words(text: Bytes, begin: int, end: int) -> int:
    """How many words of printable ASCII there are, one blank between them; REFUSED if the text is anything else."""
    number, was_blank = integer(0), True
    for at in range(begin, end):
        letter = byte_at(text, at)
        if letter > _TILDE or (was_blank and letter == BLANK):
            return integer(REFUSED)
        number += was_blank
        was_blank = letter == BLANK
    return integer(REFUSED) if was_blank and end > begin else number


@compiled
def _read_text(text: Bytes, at: int, field: int, row: int, spans: Spans, wholes: Wholes) -> int:
    if byte_at(text, at) != QUOTE:
        return integer(REFUSED)
    begin = at + 1
    end = end_of_plain(text, begin)
    if end < 0:
        return integer(REFUSED)
    slot, kind = _SLOTS[field], _KINDS[field]
    spans[row, 2 * slot], spans[row, 2 * slot + 1] = begin, end - begin
    if kind == ACCOUNT and not _is_ascii(text, begin, end):
        return integer(REFUSED)  # it is put into lower case, and Python and Polars differ on what that is
    if kind == MOVES:
        n_plies = _n_words(text, begin, end)
        if n_plies < 0 or n_plies > MOST_PLIES:
            return integer(REFUSED)
        wholes[row, N_PLIES] = n_plies
    return end + 1


@compiled
def _behind_item(text: Bytes, at: int, kind: int) -> int:
    if kind == CLOCKS:
        at, value = whole_at(text, at)
        return at if abs(value) <= LAST_CS else integer(REFUSED)
    return behind_value(text, at) if byte_at(text, at) == OPENED else integer(REFUSED)


@compiled
def _read_list(text: Bytes, at: int, kind: int, row: int, wholes: Wholes) -> int:
    """A list of whole numbers, or of objects: here only where its items begin, and how many there are."""
    if byte_at(text, at) != LIST_OPENED:
        return integer(REFUSED)
    at, number = behind_blanks(text, at + 1), integer(0)
    wholes[row, CLOCKS_AT if kind == CLOCKS else ANALYSIS_AT] = at
    while byte_at(text, at) != LIST_CLOSED or number:
        at = _behind_item(text, at, kind)
        if at < 0:
            return integer(REFUSED)
        number += 1
        at = behind_blanks(text, at)
        if byte_at(text, at) == LIST_CLOSED:
            break
        if byte_at(text, at) != COMMA:
            return integer(REFUSED)
        at = behind_blanks(text, at + 1)
    wholes[row, N_CLOCKS if kind == CLOCKS else N_ENTRIES] = number
    return at + 1


@compiled
def _read_value(text: Bytes, at: int, field: int, row: int, spans: Spans, wholes: Wholes) -> int:
    """Read the value of a field that is neither null nor an object."""
    kind = _KINDS[field]
    if kind <= MOVES:
        return _read_text(text, at, field, row, spans, wholes)
    if kind in (CLOCKS, ANALYSIS):
        return _read_list(text, at, kind, row, wholes)
    if kind == ODD:
        return integer(REFUSED)
    if kind == FLAG:
        at, value = flag_at(text, at)
    else:
        at, value = whole_at(text, at)
        if abs(value) > _LASTS[field]:
            return integer(REFUSED)
    wholes[row, _SLOTS[field]] = value
    return at


@compiled
def _key_at(text: Bytes, at: int, node: int, expected: int) -> tuple[int, int]:
    """Where the value begins whose key begins here, and the number of its field."""
    if byte_at(text, at) != QUOTE:
        return integer(REFUSED), integer(_UNKNOWN)
    begin, field = at + 1, integer(_UNKNOWN)
    end = end_of_plain(text, begin)
    if end < 0:
        return integer(REFUSED), field
    if end - begin <= LONGEST_WORD:
        low, high = words_at(text, begin, end - begin)
        field = _field(low, high, node, expected)
    return behind_colon(text, end + 1), field


@compiled
def read_object(  # noqa: C901, PLR0912  # one loop, since compiled code cannot well call itself
    text: Bytes, at: int, root: int, row: int, spans: Spans, wholes: Wholes
) -> int:
    """Read an object and those in it into a row of spans and numbers; each field that is known comes once at most."""
    if byte_at(text, at) != OPENED:
        return integer(REFUSED)
    node, seen, expected = integer(root), integer(0), integer(_BEGINS[root])
    at = behind_blanks(text, at + 1)
    is_empty = byte_at(text, at) == CLOSED
    while True:
        if not is_empty:
            at, field = _key_at(text, at, node, expected)
            if at < 0 or (field != _UNKNOWN and seen & 1 << field):
                return integer(REFUSED)
            if field == _UNKNOWN:
                at = behind_value(text, at)
            elif byte_at(text, at) == ord("n"):
                at, seen = behind_null(text, at), seen | 1 << field
            elif _KINDS[field] != OBJECT:
                at, seen, expected = _read_value(text, at, field, row, spans, wholes), seen | 1 << field, field + 1
            elif byte_at(text, at) == OPENED:
                seen |= 1 << field
                wholes[row, _SLOTS[field]] = 1
                node = _CHILDREN[field]
                expected = _BEGINS[node]
                at = behind_blanks(text, at + 1)
                is_empty = byte_at(text, at) == CLOSED
                continue
            else:
                return integer(REFUSED)
        while True:
            if at < 0:
                return integer(REFUSED)
            at = behind_blanks(text, at)
            letter = byte_at(text, at)
            if letter == COMMA and not is_empty:
                at = behind_blanks(text, at + 1)
                break
            if letter != CLOSED:
                return integer(REFUSED)
            is_empty = False
            at += 1
            if node == root:
                return at
            node = _PARENTS[node]
            expected = _BEGINS[node]


@compiled
def clear(row: int, spans: Spans, wholes: Wholes) -> None:
    """Have a row say nothing."""
    for column in range(0, spans.shape[1], 2):
        spans[row, column + 1] = -1
    for column in range(wholes.shape[1]):
        wholes[row, column] = NONE


@compiled
def _is_read(text: Bytes, begin: int, end: int, row: int, spans: Spans, wholes: Wholes) -> bool:
    clear(row, spans, wholes)
    wholes[row, N_CLOCKS] = wholes[row, N_ENTRIES] = 0
    at = read_object(text, behind_blanks(text, begin), _ROOT, row, spans, wholes)
    if at < 0 or behind_blanks(text, at) != end:
        return False
    for column in _NEEDED:
        if wholes[row, column] == NONE:
            return False
    n_plies = wholes[row, N_PLIES]
    return bool(wholes[row, N_CLOCKS] <= n_plies + 1 and wholes[row, N_ENTRIES] <= n_plies)


_STAMP = stamp(str(module.__file__) for module in (compiling, pgn_bytes, json_bytes, document_fields, documents))


def _document_kernel(stamp: int) -> Callable[..., None]:
    def read(  # noqa: PLR0913, PLR0917  # plain arrays: see replay_kernel
        start: int, stop: int, text: Bytes, offsets: Wholes, spans: Spans, wholes: Wholes, are_read: Bytes
    ) -> None:
        for row in range(start, stop):
            are_read[row] = stamp >= 0 and _is_read(text, offsets[row], offsets[row + 1], row, spans, wholes)

    return read


read_documents = compiled_once(_document_kernel(_STAMP), makes_arrays=False)
