"""Pieces of a dump that are not in the dumps' own form: read with care, and nothing of them is lost.

A piece is what stands between two `[Event` at the start of a line: a game, several, or none. What cannot be read is a
row as well: with the reason in `val_error`, and the text in `val_text`. Moves are taken as written; whether they are
legal is for others to judge.
"""

import itertools
import re
from collections.abc import Iterator

from kshift_assets.chess.pgn_foreign import Game, Scanner
from kshift_assets.chess.pgn_frames import COMMENT_BEFORE_MOVES, PerPly, Row

MAX_GAME_BYTES = 4 << 20
"""A longer game is damaged: the longest legal game with every annotation stays far below."""
KEPT_BYTES = 64 << 10
"""So much of a game that is too long goes into its row."""
STEP_BYTES = 256 << 10
"""Pieces that are too long are looked at in such steps from their beginning."""

_GAME_ID = re.compile(r"[A-Za-z0-9]{8}")
_SITE = re.compile(r"https?://(?:www\.)?lichess\.org/([A-Za-z0-9]{8})(?:/white|/black)?")


class Pieces:
    """Reads one piece after the other; `is_open` while tags of one are held for the next."""

    def __init__(self) -> None:
        """No piece was read yet."""
        self._carry = ""  # tags that stand before the Event of the next piece
        self._rest = b""  # of a piece whose end has not come yet
        self._too_long: Row | None = None  # head of the game that is being passed over
        self._n_passed = 0

    @property
    def is_open(self) -> bool:
        """Whether the next piece goes on with what the last one ended with, and so must be read here."""
        return bool(self._carry)

    def feed(self, part: bytes) -> Iterator[Row]:
        """The next bytes of a piece that goes on: a multiple of STEP_BYTES, or all that `end` was to get."""
        for begin in range(0, len(part), STEP_BYTES):
            step = part[begin : begin + STEP_BYTES]
            if self._too_long is not None:
                self._n_passed += len(step)
                continue
            self._rest += step
            if len(self._rest) > MAX_GAME_BYTES:
                yield from self._relieve()

    def end(self, part: bytes, *, is_last: bool = False, is_cut: bool = False) -> Iterator[Row]:
        """The last bytes of a piece, or a whole one. `is_cut`: it is the last, but the file should have gone on."""
        yield from self.feed(part)
        if self._too_long is not None:
            row, self._too_long = self._too_long, None
            row.error = (
                f"longer than {MAX_GAME_BYTES:,} bytes: {self._n_passed:,}, of which the first {KEPT_BYTES:,} are kept"
            )
            yield row
            return
        rest, self._rest = self._rest, b""
        rows = list(self._read(rest, is_last=is_last))
        if is_cut and rows and rows[-1].error is not None:
            rows[-1].error += "; the file is damaged here"
        yield from rows

    def _read(self, piece: bytes, *, is_last: bool) -> Iterator[Row]:
        text = self._carry + _decode(piece)
        self._carry = ""
        scanner = Scanner(text)
        for game in scanner.games():
            yield _row(game)
        # Tags right before an [Event line are that game's; after a blank line they would be a game without moves.
        if scanner.is_open and not is_last and text.rpartition("\n")[2].strip():
            self._carry = f"{scanner.rest}\n"
        else:
            for game in scanner.last():
                yield _row(game)

    def _relieve(self) -> Iterator[Row]:
        """Games without Event tags have no border: read those that are whole. One that is too long is passed over."""
        end = self._rest.rfind(b"\n") + 1
        scanner = Scanner(self._carry + _decode(self._rest[:end]))
        self._carry = ""
        for game in scanner.games():
            yield _row(game)
        self._rest = scanner.rest.encode() + self._rest[end:]
        if len(self._rest) > MAX_GAME_BYTES:
            begin = Scanner(_decode(self._rest[:KEPT_BYTES]))
            self._too_long = _row(next(itertools.chain(begin.games(), begin.last()), Game()))
            self._n_passed = len(self._rest)
            self._rest = b""


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(_decode_line(line) for line in data.splitlines(keepends=True))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _game_id(tags: dict[str, str]) -> str | None:
    """The id that Lichess gave the game: its GameId, or what its Site ends with."""
    if _GAME_ID.fullmatch(given := tags.get("GameId", "")):
        return given
    site = _SITE.fullmatch(tags.get("Site", ""))
    return site[1] if site else None


def _row(game: Game) -> Row:
    """A game that the scanner read, with everything that keeps it from being sound as its error."""
    tags, plies, result = game.tags, game.plies, game.result
    if not game.in_movetext:
        game.fail("no movetext")
    elif result is None and not game.unreadable:
        game.fail("the movetext ends without a result")
    id_game = _game_id(tags)
    if not tags:
        game.fail("no tags")
    else:
        if "Result" not in tags:
            game.fail("no tag Result")
        elif result not in (None, tags["Result"]):
            game.fail(f"the movetext ends with {result}, but tag Result says {tags['Result'][:80]}")
        if id_game is None:
            game.fail("no game id in Site or GameId")
    if game.opening_comments:
        tags[COMMENT_BEFORE_MOVES] = " ".join(game.opening_comments)
    row = Row(tags, id_game)
    if game.errors:
        row.error, row.text = "; ".join(game.errors), game.text
    if game.in_movetext and not game.unreadable:
        row.sans = [ply.san for ply in plies]
        row.clocks = _some([ply.clock_cs for ply in plies])
        row.evals = _some([ply.eval_cp for ply in plies])
        row.mates = _some([ply.eval_mate for ply in plies])
        row.glyphs = _some([ply.glyph for ply in plies])
        row.offers = _some([ply.draw_offer for ply in plies])
        row.comments = _some([" ".join(ply.other) or None for ply in plies])
    return row


def _some(values: PerPly) -> PerPly:
    return None if values is None or all(value is None for value in values) else values
