"""What takes a look at every byte of a column of text: compiled, on all cores."""

import numpy as np
import polars as pl

from plugins.chess_rules.arrays import Array, in_threads, texts_of
from plugins.chess_rules.compiled import compiled, compiled_once

_BLANK, _TILDE, _QUOTE, _BACKSLASH = map(ord, ' ~"\\')
_OPENING, _CLOSING = (ord("["), ord("{")), (ord("]"), ord("}"))
_NOT_A_NUMBER = (ord("N"), ord("I"))
_DEEPEST = 100
"""Levels of objects and lists; a document of a game has five."""


def blanks_in(texts: pl.Series) -> pl.Series:
    """How many blanks each text has; null for none."""
    numbers = np.zeros(len(texts), np.int32)
    in_threads(_count_blanks, len(texts), *texts_of(texts), numbers)
    return _of(texts, numbers)


def are_words(texts: pl.Series) -> pl.Series:
    """Whether a text is words of printable ASCII with one blank between them, or empty; null for none."""
    verdicts = np.zeros(len(texts), np.bool_)
    in_threads(_find_words, len(texts), *texts_of(texts), verdicts)
    return _of(texts, verdicts)


def are_usual_json(texts: pl.Series) -> pl.Series:
    """Whether all JSON parsers agree on what may be valid in a text: no line breaks, no NaN, no towers of brackets.

    The text may be invalid all the same. A tower of a million brackets would overflow the stack of some.
    """
    verdicts = np.zeros(len(texts), np.bool_)
    in_threads(_look_for_oddities, len(texts), *texts_of(texts), verdicts)
    return _of(texts, verdicts)


def _of(texts: pl.Series, values: Array) -> pl.Series:
    found = pl.Series(texts.name, values)
    return found.set(texts.is_null(), None) if texts.null_count() else found


@compiled_once
def _count_blanks(start: int, stop: int, letters: Array, offsets: Array, numbers: Array) -> None:
    for row in range(start, stop):
        number = 0
        for place in range(offsets[row], offsets[row + 1]):
            number += letters[place] == _BLANK
        numbers[row] = number


@compiled_once
def _find_words(start: int, stop: int, letters: Array, offsets: Array, verdicts: Array) -> None:
    for row in range(start, stop):
        is_good, was_blank = True, offsets[row] < offsets[row + 1]
        for place in range(offsets[row], offsets[row + 1]):
            letter = letters[place]
            is_blank = letter == _BLANK
            is_good &= _BLANK <= letter <= _TILDE and not (is_blank and was_blank)
            was_blank = is_blank
        verdicts[row] = is_good and not was_blank


@compiled_once
def _look_for_oddities(start: int, stop: int, letters: Array, offsets: Array, verdicts: Array) -> None:
    for row in range(start, stop):
        verdicts[row] = _is_usual(letters, offsets[row], offsets[row + 1])


@compiled
def _is_usual(letters: Array, first: int, end: int) -> bool:
    depth, is_quoted, is_escaped = 0, False, False
    for place in range(first, end):
        letter = letters[place]
        if letter < _BLANK:
            return False
        if is_quoted:
            is_quoted = is_escaped or letter != _QUOTE
            is_escaped = letter == _BACKSLASH and not is_escaped
        elif letter in _NOT_A_NUMBER or depth > _DEEPEST:
            return False
        else:
            is_quoted = letter == _QUOTE
            depth += (letter in _OPENING) - (letter in _CLOSING)
    return depth <= _DEEPEST
