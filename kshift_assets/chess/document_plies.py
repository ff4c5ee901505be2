"""What documents of games say of their plies, compiled: clocks and analyses as flat columns, one element a ply."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kshift_assets.chess import document_kernel, evaluation, json_bytes, pgn_bytes
from kshift_assets.chess.document_fields import ENTRY, ENTRY_TEXTS, ENTRY_WHOLES, TEXTS
from kshift_assets.chess.document_kernel import (
    ANALYSIS_AT,
    CLOCKS_AT,
    ENTRY_ROOT,
    LONGEST_WORD,
    N_CLOCKS,
    N_ENTRIES,
    N_PLIES,
    NONE,
    Spans,
    Wholes,
    clear,
    read_documents,
    read_object,
    words_at,
)
from kshift_assets.chess.evaluation import JUDGMENTS
from kshift_assets.chess.json_bytes import REFUSED, behind_blanks, whole_at
from kshift_assets.chess.pgn_bytes import Bytes, word_of
from plugins.chess_rules import compiled as compiling
from plugins.chess_rules.arrays import in_threads
from plugins.chess_rules.compiled import compiled, compiled_once, integer, stamp

NO_NUMBER = -(1 << 31)
"""Stands for a number that is not there."""

Numbers = npt.NDArray[np.int32]

_EVAL, _MATE, _JUDGED = (ENTRY_WHOLES[f"{ENTRY}.{name}"] for name in ("eval", "mate", "judgment"))
_BEST, _JUDGMENT = (ENTRY_TEXTS[f"{ENTRY}.{name}"] for name in ("best", "judgment.name"))
_JUDGMENT_LOW = np.array([word_of(name[:8]) for name in JUDGMENTS], np.int64)
_JUDGMENT_HIGH = np.array([word_of(name[8:]) for name in JUDGMENTS], np.int64)


@compiled
def _judgment(text: Bytes, row: int, spans: Spans, wholes: Wholes) -> int:
    """The number of the judgment of an entry, from 0; NONE for none, REFUSED for one that is unknown."""
    if wholes[row, _JUDGED] == NONE:
        return integer(NONE)
    begin, length = integer(spans[row, 2 * _JUDGMENT]), integer(spans[row, 2 * _JUDGMENT + 1])
    if length < 0 or length > LONGEST_WORD:
        return integer(REFUSED)
    low, high = words_at(text, begin, length)
    for number in range(_JUDGMENT_LOW.size):
        if _JUDGMENT_LOW[number] == low and _JUDGMENT_HIGH[number] == high:
            return integer(number)
    return integer(REFUSED)


_STAMP = stamp(str(module.__file__) for module in (compiling, pgn_bytes, json_bytes, document_kernel, evaluation))


def _clocks_kernel(stamp: int) -> Callable[..., None]:
    def read(start: int, stop: int, text: Bytes, wholes: Wholes, ends: Wholes, clocks: Numbers) -> None:
        for row in range(start, stop):
            begin = integer(0) if row == 0 else ends[row - 1]
            at, number = wholes[row, CLOCKS_AT], min(wholes[row, N_CLOCKS], ends[row] - begin)
            for place in range(begin, begin + number):
                at, clocks[place] = whole_at(text, at)
                at = behind_blanks(text, behind_blanks(text, at) + 1)
            for place in range(begin + number, ends[row] if stamp >= 0 else 0):
                clocks[place] = NO_NUMBER

    return read


def _analysis_kernel(stamp: int) -> Callable[..., None]:
    def read(  # noqa: PLR0913, PLR0917  # plain arrays: see replay_kernel
        start: int,
        stop: int,
        text: Bytes,
        wholes: Wholes,
        ends: Wholes,
        are_read: Bytes,
        spans: Spans,
        values: Wholes,
        numbers: Numbers,
    ) -> None:
        for row in range(start, stop):
            begin = integer(0) if row == 0 else ends[row - 1]
            at, end = wholes[row, ANALYSIS_AT], begin + min(wholes[row, N_ENTRIES], ends[row] - begin)
            for place in range(begin, ends[row] if stamp >= 0 else 0):
                for column in range(numbers.shape[0]):
                    numbers[column, place] = NO_NUMBER
                clear(place, spans, values)
                if place >= end:
                    continue
                at = read_object(text, at, ENTRY_ROOT, place, spans, values)
                judgment = _judgment(text, place, spans, values) if at >= 0 else integer(REFUSED)
                if judgment == REFUSED:
                    are_read[row], end = 0, integer(0)
                    continue
                for column, value in enumerate((values[place, _EVAL], values[place, _MATE], judgment)):
                    if value != NONE:
                        numbers[column, place] = value
                at = behind_blanks(text, behind_blanks(text, at) + 1)

    return read


_read_clocks_of_rows = compiled_once(_clocks_kernel(_STAMP), makes_arrays=False)
_read_analyses = compiled_once(_analysis_kernel(_STAMP), makes_arrays=False)


@dataclass(frozen=True)
class Analyses:
    """Entries one behind the other, one a ply: where those of each game end, and what they say."""

    ends: Wholes
    evals: Numbers
    mates: Numbers
    judgments: Numbers
    """By their number in JUDGMENTS."""
    best_at: Spans
    best_lengths: Spans


@dataclass(frozen=True)
class Found:
    """What documents say, a row each; `are_read` is 0 for those that were refused, whose rows say nothing."""

    text: Bytes
    spans: Spans
    wholes: Wholes
    are_read: Bytes

    @property
    def n_plies(self) -> Wholes:
        """Plies of each game."""
        return np.where(self.are_read > 0, self.wholes[:, N_PLIES], 0)

    def clocks(self) -> tuple[Wholes, Numbers]:
        """Where the clocks of each game end, one a ply in games that have any, and all of them."""
        ends = np.cumsum(np.where(self.wholes[:, N_CLOCKS] > 0, self.n_plies, 0))
        clocks = np.empty(ends[-1], np.int32)
        in_threads(_read_clocks_of_rows, len(ends), self.text, self.wholes, ends, clocks)
        return ends, clocks

    def analyses(self) -> Analyses:
        """The analyses of all games that have one; may refuse further documents, so ask for them first."""
        ends = np.cumsum(np.where(self.wholes[:, N_ENTRIES] > 0, self.n_plies, 0))
        spans = np.empty((ends[-1], 2 * len(ENTRY_TEXTS)), np.int32)
        values, numbers = np.empty((ends[-1], len(ENTRY_WHOLES)), np.int64), np.empty((3, ends[-1]), np.int32)
        in_threads(_read_analyses, len(ends), self.text, self.wholes, ends, self.are_read, spans, values, numbers)
        return Analyses(ends, numbers[0], numbers[1], numbers[2], spans[:, 2 * _BEST], spans[:, 2 * _BEST + 1])


def find_documents(text: Bytes, offsets: Wholes) -> Found:
    """What the documents, at least one, say that stand between the offsets; PADDING zero bytes stand behind them."""
    n_rows = len(offsets) - 1
    spans, wholes = np.empty((n_rows, 2 * len(TEXTS)), np.int32), np.empty((n_rows, N_ENTRIES + 1), np.int64)
    are_read = np.empty(n_rows, np.uint8)
    in_threads(read_documents, n_rows, text, offsets, spans, wholes, are_read)
    return Found(text, spans, wholes, are_read)
