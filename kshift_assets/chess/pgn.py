"""PGN, the way monthly dumps write it: a stream of bytes becomes frames of games, and no game is lost on the way.

Lichess's own form (tag lines, a blank line, one line of movetext) is read by two regular expressions. Text that they
do not match to the last character goes to `pgn_foreign`. What neither can read is a row as well: with the reason in
`val_error`, and the text in `val_text`. Moves are taken as written; whether they are legal is for others to judge.
"""

import itertools
import re
from collections.abc import Iterable, Iterator

import polars as pl

from kshift_assets.chess.pgn_annotations import CENTIPAWNS, CLOCKS, MATES
from kshift_assets.chess.pgn_foreign import Game, Scanner
from kshift_assets.chess.pgn_frames import COMMENT_BEFORE_MOVES, Batch, PerPly, Row
from resources.dumps import DumpDamaged

MAX_GAME_BYTES = 4 << 20
"""A longer game is damaged: the longest legal game with every annotation stays far below."""
KEPT_BYTES = 64 << 10
"""So much of a game that is too long goes into its row."""
BATCH_BYTES = 64 << 20
"""A frame ends early at so many bytes of PGN, so that rows full of text cannot fill the memory."""
_BLOCK_BYTES = 256 << 10
_EVENT = b"[Event "
_BORDER = b"\n" + _EVENT

_GAME_ID = re.compile(r"[A-Za-z0-9]{8}")
_SITE = re.compile(r"https?://(?:www\.)?lichess\.org/([A-Za-z0-9]{8})(?:/white|/black)?")
_SAN = r"(?:[KQRBN]?[a-h]?[1-8]?x?[a-h][1-8](?:=[QRBNK])?|O-O(?:-O)?|[PQRBNK]?@[a-h][1-8])[+#]?"
_EVAL = r"-?\d{1,5}(?:\.\d\d?)?|#(?:-?[1-9]\d{0,3}|0)"


def _ply(group: str) -> str:
    """Pattern of a move as dumps write it; `group` opens each of its five parts: `(` to get them, `(?:` not to."""
    return (
        rf"(?:\d{{1,4}}\.(?:\.\.)? )?{group}{_SAN}){group}[?!]{{1,2}})? "
        rf"(?:\{{ {group}White|Black) offers draw \}} )?"
        rf"(?:\{{ (?:\[%eval {group}{_EVAL})\] )?(?:\[%clk {group}\d{{1,3}}:\d\d:\d\d)\] )?\}} )?"
    )


_PLY = re.compile(_ply("("), re.ASCII)
_GAME = re.compile(
    rf'((?:\[[A-Za-z0-9]\w{{0,254}} "[^"\\\r\n]*"\]\n)++)\n ?((?:{_ply("(?:")})*+)(1-0|0-1|1/2-1/2|\*)\n*', re.ASCII
)
_TAG = re.compile(r'\[(\w+) "(.*)"\]', re.ASCII)
_OFFERS = {"": None, "White": "white", "Black": "black"}


def read_games(chunks: Iterable[bytes], rows_per_batch: int = 20_000) -> Iterator[pl.DataFrame]:
    """Frames of games from the bytes of an unpacked PGN file, in its order, with the columns of `pgn_frames.SCHEMA`.

    Memory stays flat however long the file, a line or a game is, and chunks may end anywhere. Bytes that are not
    UTF-8 are read as Latin-1, the character set of the PGN standard (4.1). DumpDamaged, raised by `chunks`, is raised
    again after the last frame: by then every game before the damage has been yielded, and the one that it cuts as a
    damaged row.
    """
    damages: list[DumpDamaged] = []
    batch = Batch(1)
    for row in _rows(chunks, damages):
        batch.add(row)
        if batch.n_rows >= rows_per_batch or batch.n_bytes >= BATCH_BYTES:
            yield batch.frame()
            batch = Batch(batch.first + batch.n_rows)
    if batch.n_rows:
        yield batch.frame()
    if damages:
        raise damages[0]


def _rows(chunks: Iterable[bytes], damages: list[DumpDamaged]) -> Iterator[Row]:
    pieces = _Pieces()
    try:
        for block in _blocks(chunks):
            yield from pieces.feed(block)
    except DumpDamaged as damage:
        damages.append(damage)
    yield from pieces.finish(is_cut=bool(damages))


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of one size, so that what is read does not depend on where chunks end."""
    held = bytearray()
    try:
        for chunk in chunks:
            held += chunk
            while len(held) >= _BLOCK_BYTES:
                yield bytes(held[:_BLOCK_BYTES])
                del held[:_BLOCK_BYTES]
    except DumpDamaged:
        yield bytes(held)
        raise
    yield bytes(held)


class _Pieces:
    """Cuts a stream before every `[Event` at the start of a line, and reads the pieces."""

    def __init__(self) -> None:
        self._n_fed = 0
        self._rest = b""  # the piece whose end has not come yet
        self._carry = ""  # tags that stand before the Event of the next piece
        self._too_long: tuple[int, Row] | None = None  # offset and head of the game that is being passed over

    def feed(self, block: bytes) -> Iterator[Row]:
        self._n_fed += len(block)
        data = self._rest + block
        if self._too_long is not None:
            border = data.find(_BORDER)
            if border < 0:
                self._rest = data[1 - len(_BORDER) :]
                return
            yield from self._end_of_too_long(self._n_fed - len(data) + border)
            data = data[border + 1 :]
        first, *others = data.split(_BORDER)
        if others:
            yield from self._read(first)
            for piece in others[:-1]:
                yield from self._read(_EVENT + piece)
            self._rest = _EVENT + others[-1]
        else:
            self._rest = data
        if len(self._rest) > MAX_GAME_BYTES:
            yield from self._relieve()

    def finish(self, *, is_cut: bool) -> Iterator[Row]:
        """What is left at the end of the stream; `is_cut` if the stream should have gone on."""
        if self._too_long is not None:
            yield from self._end_of_too_long(self._n_fed)
            return
        rows = list(self._read(self._rest, is_last=True))
        if is_cut and rows and rows[-1].error is not None:
            rows[-1].error += "; the file is damaged here"
        yield from rows

    def _read(self, piece: bytes, *, is_last: bool = False) -> Iterator[Row]:
        text = self._carry + _decode(piece)
        self._carry = ""
        row = _read_lichess(text.replace("\r\n", "\n") if "\r" in text else text)
        if row is not None:
            yield row
            return
        scanner = Scanner(text)
        for game in scanner.games():
            yield _row(game)
        # Tags right before an [Event line are that game's; after a blank line they would be a game without moves.
        if scanner.is_open and not is_last and not text.removesuffix("\r").endswith("\n"):
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
            head = _row(next(itertools.chain(begin.games(), begin.last()), Game()))
            self._too_long = (self._n_fed - len(self._rest), head)
            self._rest = self._rest[1 - len(_BORDER) :]

    def _end_of_too_long(self, end: int) -> Iterator[Row]:
        if self._too_long is None:
            return
        offset, row = self._too_long
        self._too_long = None
        n_bytes = end - offset
        row.error = f"longer than {MAX_GAME_BYTES:,} bytes: {n_bytes:,}, of which the first {KEPT_BYTES:,} are kept"
        yield row


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


def _read_lichess(text: str) -> Row | None:
    """A sound game in Lichess's own form; None if it is not that, to the last character."""
    game = _GAME.fullmatch(text)
    if game is None:
        return None
    found = _TAG.findall(game[1])
    tags = dict(found)
    id_game = _game_id(tags)
    if len(tags) < len(found) or tags.get("Result") != game[3] or id_game is None:
        return None
    row = Row(tags, len(text), id_game, sans=())
    if plies := _PLY.findall(game[2]):
        row.sans, glyphs, offers, evals, clocks = zip(*plies, strict=True)
        if any(clocks):
            row.clocks = list(map(CLOCKS.__getitem__, clocks))
        if any(evals):
            row.evals = _some(list(map(CENTIPAWNS.__getitem__, evals)))
            row.mates = _some(list(map(MATES.__getitem__, evals)))
        if any(glyphs):
            row.glyphs = [glyph or None for glyph in glyphs]
        if any(offers):
            row.offers = list(map(_OFFERS.__getitem__, offers))
    return row


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
    row = Row(tags, len(game.text), id_game)
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
