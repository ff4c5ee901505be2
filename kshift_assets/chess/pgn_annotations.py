"""What a move in a PGN carries beside its SAN: clock, evaluation, glyph, draw offer, and whatever else is written."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

GLYPHS = {"$1": "!", "$2": "?", "$3": "!!", "$4": "??", "$5": "!?", "$6": "?!"}
"""The six numeric glyphs that have a sign of their own (PGN standard, 8.2.4 and 10)."""

_DECIMALS = 2  # of an evaluation in whole centipawns
_INT32 = 2**31 - 1
_INT16 = 2**15 - 1
_CLOCK = re.compile(r"\[%clk\s+(\d{1,9}):(\d{1,9}):(\d{1,9})(?:\.(\d{0,20}))?\s*\]")
_EVAL = re.compile(r"\[%eval\s+(?:#([+-]?\d{1,9})|([+-]?)(\d{0,9})(?:\.(\d{0,20}))?)(,\d+)?\s*\]")
_DRAW_OFFER = re.compile(r"\s*(white|black)\s+offers\s+draw\.?\s*", re.IGNORECASE)


@dataclass(slots=True)
class Ply:
    """One move of the main line with what was written about it.

    Whatever the typed fields cannot hold to the last digit stays in `other` as it was written: comments, further
    glyphs such as `$14`, variations, the depth of an evaluation, clocks below zero or finer than a hundredth.
    """

    san: str
    clock_cs: int | None = None
    eval_cp: int | None = None
    eval_mate: int | None = None
    glyph: str | None = None
    draw_offer: str | None = None
    other: list[str] = field(default_factory=list)

    def add_glyph(self, text: str) -> None:
        """Take a glyph, as a sign or as `$n`."""
        glyph = GLYPHS.get(text, text)
        if self.glyph is None and glyph in GLYPHS.values():
            self.glyph = glyph
        else:
            self.other.append(text)

    def add_comment(self, comment: str) -> None:
        """Take a comment: its first clock and evaluation, or the draw offer that it is; the rest stays text."""
        if self.draw_offer is None and (offer := _DRAW_OFFER.fullmatch(comment)):
            self.draw_offer = offer[1].lower()
            return
        comment = self._without(comment, _CLOCK, self._take_clock)
        comment = self._without(comment, _EVAL, self._take_eval)
        if comment := comment.strip():
            self.other.append(comment)

    @staticmethod
    def _without(comment: str, pattern: re.Pattern[str], take: Callable[[re.Match[str]], bool]) -> str:
        found = pattern.search(comment)
        if found is None or not take(found):
            return comment
        return f"{comment[: found.start()].rstrip()} {comment[found.end() :].lstrip()}"

    def _take_clock(self, found: re.Match[str]) -> bool:
        hours, minutes, seconds, fraction = found.groups()
        fraction = fraction or ""
        clock = (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 100 + int(fraction[:2].ljust(2, "0"))
        if self.clock_cs is not None or clock > _INT32:
            return False
        self.clock_cs = clock
        return not fraction[2:].strip("0")

    def _take_eval(self, found: re.Match[str]) -> bool:
        mate, sign, whole, fraction, depth = found.groups()
        if self.eval_cp is not None or self.eval_mate is not None:
            return False
        if mate is not None:
            if abs(int(mate)) > _INT16:
                return False
            self.eval_mate = int(mate)
            return depth is None and mate != "-0"
        fraction = (fraction or "").rstrip("0")
        if len(fraction) > _DECIMALS or not (whole or found[4]):  # finer than a centipawn, or no digit at all
            return False
        centipawns = int(whole or "0") * 100 + int(fraction.ljust(2, "0"))
        if centipawns > _INT32:
            return False
        self.eval_cp = -centipawns if sign == "-" else centipawns
        return depth is None
