"""Units of a dump: ranges of a file that are read each by itself, with every game in exactly one of them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

UNIT_BYTES = 64 << 20
"""A unit takes frames until it has so many bytes, packed: about 200,000 games."""

# The blank line before a game. Without one, the tags above an [Event line are that game's.
_BORDER = re.compile(rb"\n\r?\n(?=\[Event )")
_BORDER_BYTES = len(b"\n\r\n[Event ")


@dataclass(frozen=True)
class Unit:
    """A range of a file's bytes, packed as they are; the number counts the units of the file from 0."""

    number: int
    begin: int
    end: int


def units_of(borders: Sequence[int]) -> list[Unit]:
    """The ranges between borders, put together to units."""
    taken = [borders[0]]
    for border in borders[1:-1]:
        if border - taken[-1] >= UNIT_BYTES:
            taken.append(border)
    ends = [*taken[1:], borders[-1]]
    return [Unit(number, begin, end) for number, (begin, end) in enumerate(zip(taken, ends, strict=True))]


def games_of(own: Iterable[bytes], beyond: Iterable[bytes], *, is_first: bool) -> Iterator[bytes]:
    """The bytes of the games that are a unit's: those whose border begins among its `own` bytes.

    A file's first unit has what stands before the first border too. `beyond` is what follows the unit in its file, of
    which no more is read than the last game needs.
    """
    following = iter(beyond)
    if is_first:
        yield from own
        yield from _up_to_border(following)
        return
    pieces, held = iter(own), b""
    for piece in pieces:
        held += piece
        if border := _BORDER.search(held):
            yield held[border.end() :]
            yield from pieces
            yield from _up_to_border(following)
            return
        held = held[1 - _BORDER_BYTES :]
    ahead = b""
    for piece in following:
        ahead += piece
        if len(ahead) >= _BORDER_BYTES:
            break
    if (border := _BORDER.search(held + ahead)) and border.start() < len(held):
        yield from _up_to_border(chain([(held + ahead)[border.end() :]], following))


def _up_to_border(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What stands before the first border, with the line break that ends its last line."""
    held = b""
    for piece in pieces:
        held += piece
        if border := _BORDER.search(held):
            yield held[: border.end() - 1]
            return
        n_safe = max(len(held) - _BORDER_BYTES, 0)
        yield held[:n_safe]
        held = held[n_safe:]
    yield held
