"""Any PGN text, token by token: what Lichess's own form does not cover, damaged text included.

Not python-chess, for three reasons: its parser skips in silence what it does not understand, hands out moves without
their `+` and `#`, and stops a game at the first illegal move. Here nothing is skipped: what cannot be read is an
error of that game. Legality is not judged. The tests hold both readers against each other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kshift_assets.chess.pgn_annotations import Ply

_MOST_REASONS = 8  # a long piece of garbage has as many as it has words
_NAME = r"[A-Za-z0-9][A-Za-z0-9_+#=:-]{0,254}"
_SAN = (
    r"(?:[KQRBNP]?[a-h]?[1-8]?[x-]?[a-h][1-8](?:=?[KQRBNkqrbn])?"
    r"|O-O(?:-O)?|0-0(?:-0)?|[KQRBNP]?@[a-h][1-8]|--|Z0|0000|@@@@)[+#]{0,2}"
)
_END = r"(?=[\s{}()\[\];$!?*]|\Z)"
_TOKEN = re.compile(
    rf"""
    (?P<space>[\s\ufeff]+)
    |(?P<escape>^%[^\r\n]*)
    |(?P<line_comment>;[^\r\n]*)
    |(?P<tag>\[\s*({_NAME})\s+"((?:[^"\\\r\n]|\\[^\r\n])*)"\s*\])
    |(?P<loose_tag>(?<![^\s\ufeff])\[({_NAME})\s+"([^\r\n]{{0,65535}})"\][ \t\r]*$)
    |(?P<broken_tag>\[(?=[A-Za-z0-9])[^\r\n]*)
    |(?P<comment>\{{)
    |(?P<variation>\()
    |(?P<result>(?:1-0|0-1|1/2-1/2|\*){_END})
    |(?P<nag>\$\d{{1,9}})
    |(?P<ply>({_SAN})([!?]{{0,2}}){_END})
    |(?P<glyph>[!?]+)
    |(?P<number>\d{{1,9}}(?:\.+|…|(?=\s|\Z))|\.+|…)
    |(?P<garbage>[^\s{{}}()\[\];]{{1,80}}|.)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
# A comment or variation that reaches as far as this was never closed: a new game begins here.
_NEXT_GAME = re.compile(rf'^[ \t\ufeff]*\[Event\s+"|^[ \t]*\r?\n[ \t\ufeff]*\[{_NAME}\s+"', re.MULTILINE)
_VARIATION = re.compile(r"[(){};]")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n|\r[ \t]*\r")
_TAG_KINDS = ("tag", "loose_tag", "broken_tag")
_ESCAPED = re.compile(r'\\(["\\])')


@dataclass(slots=True)
class Game:
    """One game as written: tags in order, plies, what stood before the first move, and what is wrong with it."""

    tags: dict[str, str] = field(default_factory=dict)
    plies: list[Ply] = field(default_factory=list)
    opening_comments: list[str] = field(default_factory=list)
    result: str | None = None
    errors: list[str] = field(default_factory=list)
    unreadable: bool = False
    in_movetext: bool = False
    text: str = ""

    def fail(self, reason: str) -> None:
        """Note one more thing that is wrong, once."""
        if reason not in self.errors and len(self.errors) < _MOST_REASONS:
            self.errors.append(reason)

    def lose_moves(self, reason: str) -> None:
        """Note something after which the moves cannot be trusted."""
        self.unreadable = True
        self.fail(reason)


class Scanner:
    """Cuts a text into games and reads each; `rest` is what may go on in the text that follows."""

    def __init__(self, text: str) -> None:
        """`text` begins where a game may begin."""
        self._text = text
        self._at = 0
        self._next_game = -1
        self._start = 0
        self._game = Game()
        self._after_blank = False

    def games(self) -> Iterator[Game]:
        """Every game of the text but the last, which `last` has."""
        while found := _TOKEN.match(self._text, self._at):
            if self._begins_game(found):
                yield from self._finish(found.start())
            self._at = found.end()
            self._take(found)

    @property
    def rest(self) -> str:
        """The text of the last game."""
        return self._text[self._start :]

    @property
    def is_open(self) -> bool:
        """Whether the last game is nothing but tags without Event, so that it may go on with the text that follows."""
        return not (self._game.in_movetext or self._game.errors or "Event" in self._game.tags)

    def last(self) -> Iterator[Game]:
        """The last game, if the text holds any."""
        yield from self._finish(len(self._text))

    def _finish(self, end: int) -> Iterator[Game]:
        game, self._game = self._game, Game()
        game.text = self._text[self._start : end].strip("\r\n\ufeff")
        self._start = end
        self._after_blank = False
        if game.in_movetext or game.tags or game.errors:
            yield game

    def _begins_game(self, found: re.Match[str]) -> bool:
        game, kind = self._game, found.lastgroup
        if kind in ("tag", "loose_tag"):
            name = _parts(found)[0]
            return game.in_movetext or (name in game.tags and (self._after_blank or name == "Event"))
        if kind == "broken_tag":
            return game.in_movetext
        if kind in ("space", "escape") or not self._after_blank or not game.in_movetext:
            return False
        # A blank line ends a game whose result was seen; without one, the next game must begin with move 1.
        return game.result is not None or (found[0] in ("1", "1.") and bool(game.plies))

    def _take(self, found: re.Match[str]) -> None:
        kind, game = str(found.lastgroup), self._game
        if kind == "space":
            self._after_blank = self._after_blank or _BLANK_LINE.search(found[0]) is not None
            return
        if kind == "escape":  # private to whoever wrote it: the standard (6) has readers leave it out
            return
        self._after_blank = False
        if kind in _TAG_KINDS:
            self._take_tag(kind, found)
            return
        game.in_movetext = True
        if kind == "comment":
            self._take_comment(found.end())
        elif kind == "line_comment":
            self._add_comment(found[0][1:])
        elif kind == "variation":
            self._take_variation(found.start())
        elif game.result is not None:
            game.lose_moves("something follows the result")
        else:
            self._take_move(kind, found)

    def _take_tag(self, kind: str, found: re.Match[str]) -> None:
        if kind == "broken_tag":
            self._game.fail(f"a broken tag line: {found[0][:80]}")
            return
        name, value = _parts(found)
        value = _ESCAPED.sub(r"\1", value)
        if self._game.tags.setdefault(name, value) != value:
            self._game.fail(f"tag {name} stands twice, with different values")

    def _take_move(self, kind: str, found: re.Match[str]) -> None:
        game = self._game
        if kind == "result":
            game.result = found[0]
        elif kind == "ply":
            san, glyph = _parts(found)
            game.plies.append(Ply(san))
            if glyph:
                game.plies[-1].add_glyph(glyph)
        elif kind in ("nag", "glyph") and game.plies:
            game.plies[-1].add_glyph(found[0])
        elif kind != "number":
            game.lose_moves(f"{found[0][:80]!r} is not a move")

    def _bound(self) -> int:
        if self._next_game < self._at:
            found = _NEXT_GAME.search(self._text, self._at)
            self._next_game = found.start() if found else len(self._text)
        return self._next_game

    def _take_comment(self, begin: int) -> None:
        end = self._text.find("}", begin, self._bound())
        if end < 0:
            self._game.lose_moves("a comment is never closed")
            self._at = self._bound()
        else:
            self._add_comment(self._text[begin:end])
            self._at = end + 1

    def _add_comment(self, comment: str) -> None:
        if self._game.plies:
            self._game.plies[-1].add_comment(comment)
        elif comment := comment.strip():
            self._game.opening_comments.append(comment)

    def _take_variation(self, begin: int) -> None:
        at, bound, depth = begin, self._bound(), 0
        while found := _VARIATION.search(self._text, at, bound):
            at = found.end()
            if found[0] == "{":
                at = self._text.find("}", at, bound) + 1
            elif found[0] == ";":
                at = self._text.find("\n", at, bound) + 1
            elif found[0] in "()":
                depth += 1 if found[0] == "(" else -1
            if at <= 0 or not depth:
                break
        self._at = at
        if depth or at <= 0:
            self._game.lose_moves("a variation is never closed")
            self._at = bound
        elif self._game.plies:
            self._game.plies[-1].other.append(self._text[begin:at])
        else:
            self._game.opening_comments.append(self._text[begin:at])


def _parts(found: re.Match[str]) -> tuple[str, str]:
    """The two groups inside a token's group: a tag's name and value, a ply's SAN and glyph."""
    first = found.re.groupindex[str(found.lastgroup)]
    return found[first + 1], found[first + 2]
