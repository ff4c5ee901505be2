"""A text eight bytes at a time, for compiled readers: loads that need no alignment, and tricks within a word.

A word is a 64-bit integer, its first byte the lowest. Nothing here checks bounds, as numba does not either: whoever
reads a text has PADDING zero bytes behind it, and goes on only behind a byte that is not zero. With NUMBA_BOUNDSCHECK
every byte is an element of its array and checked, which is how the tests prove it.
"""

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from plugins.chess_rules.compiled import compiled

Bytes = npt.NDArray[np.uint8]

PADDING = 64
"""Zero bytes that stand behind every text, and room that stands behind every buffer that is written to."""

_WORD, _BYTE = ir.IntType(64), ir.IntType(8)


def word_of(text: str) -> int:
    """Up to eight ASCII characters as a word."""
    return int.from_bytes(text.encode("ascii").ljust(8, b"\0"), "little", signed=True)


ONES = word_of("\x01" * 8)
HIGHS = int.from_bytes(b"\x80" * 8, "little", signed=True)


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # of numba, untyped
    array = make_array(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]  # numba's
    return builder.gep(array.data, [arguments[1]])


def _load(_: object, text: types.Array, _at: types.Type) -> tuple[Any, Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # of numba, untyped
        place = builder.bitcast(_place(context, builder, signature, arguments), _WORD.as_pointer())
        return builder.load(place, align=1)

    return types.int64(text, types.int64), code


def _load_byte(_: object, text: types.Array, _at: types.Type) -> tuple[Any, Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # of numba, untyped
        return builder.zext(builder.load(_place(context, builder, signature, arguments)), _WORD)

    return types.int64(text, types.int64), code


def _store(_: object, out: types.Array, _at: types.Type, _word: types.Type) -> tuple[Any, Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # of numba, untyped
        place = builder.bitcast(_place(context, builder, signature, arguments), _WORD.as_pointer())
        builder.store(arguments[2], place, align=1)
        return context.get_dummy_value()

    return types.void(out, types.int64, types.int64), code


def _count_zeros(_: object, _word: types.Type) -> tuple[Any, Any]:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # of numba, untyped
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), code


def _checked_word_at(text: Bytes, at: int) -> int:
    word = np.int64(0)
    for number in range(8):
        word |= np.int64(text[at + number]) << np.int64(8 * number)
    return word  # type: ignore[return-value]  # numba's integers are numpy's


def _checked_byte_at(text: Bytes, at: int) -> int:
    return np.int64(text[at])  # type: ignore[return-value]  # the same


def _checked_store_word(out: Bytes, at: int, word: int) -> None:
    for number in range(8):
        out[at + number] = np.uint8((word >> (8 * number)) & 255)


_CHECKED = bool(numba.config.BOUNDSCHECK)  # type: ignore[attr-defined]  # set from the environment

word_at = cast("Callable[[Bytes, int], int]", compiled(_checked_word_at) if _CHECKED else intrinsic(_load))
"""The eight bytes that begin at a place."""
byte_at = cast("Callable[[Bytes, int], int]", compiled(_checked_byte_at) if _CHECKED else intrinsic(_load_byte))
"""The byte at a place."""
store_word = cast("Callable[[Bytes, int, int], None]", compiled(_checked_store_word) if _CHECKED else intrinsic(_store))
"""Write eight bytes."""
_zeros = cast("Callable[[int], int]", intrinsic(_count_zeros))


@compiled
def first_mark(marks: int) -> int:
    """The number of the first byte whose high bit is set, in a word where one is."""
    return _zeros(marks) >> 3


@compiled
def below(length: int) -> int:
    """A word with all bits of its first `length` bytes, up to eight, set."""
    return -1 if length >= 8 else (1 << (length << 3)) - 1  # noqa: PLR2004  # a word's bytes


@compiled
def marks_of(word: int, pattern: int) -> int:
    """High bits set where the byte is that of the pattern: the first one is exact, those behind it may be wrong."""
    difference = word ^ pattern
    return (difference - ONES) & ~difference & HIGHS


@compiled
def copy(text: Bytes, begin: int, end: int, out: Bytes, at: int) -> int:
    """Copy a part of a text; up to seven bytes behind it are overwritten too. Returns where the copy ends."""
    for source in range(begin, end, 8):
        store_word(out, at + source - begin, word_at(text, source))
    return at + end - begin


@compiled
def is_utf_8(text: Bytes, begin: int, end: int) -> bool:
    """Whether a part of a text is UTF-8, as strict as Python is: nothing overlong, no surrogates."""
    at = begin
    while at < end:
        first = byte_at(text, at)
        at += 1
        if first < 0x80:  # noqa: PLR2004  # Unicode 3.9, table 3-7, here and below
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= first <= 0xDF:  # noqa: PLR2004
            more = 1
        elif 0xE0 <= first <= 0xEF:  # noqa: PLR2004
            more = 2
            low = 0xA0 if first == 0xE0 else low  # noqa: PLR2004
            high = 0x9F if first == 0xED else high  # noqa: PLR2004
        elif 0xF0 <= first <= 0xF4:  # noqa: PLR2004
            more = 3
            low = 0x90 if first == 0xF0 else low  # noqa: PLR2004
            high = 0x8F if first == 0xF4 else high  # noqa: PLR2004
        else:
            return False
        if at + more > end:
            return False
        for number in range(more):
            following = byte_at(text, at + number)
            if not low <= following <= high:
                return False
            low, high = 0x80, 0xBF
        at += more
    return True
