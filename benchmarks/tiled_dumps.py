"""Makes dumps of any size to measure on: real games where they are, else the sample's, again and again.

`python benchmarks/tiled_dumps.py N TARGET.pgn.zst` writes N games the way Lichess packs its months: independent
Zstandard frames, each after a skippable frame that holds its size. Ids, players and times are new; all else stays.
"""

import argparse
import calendar
import gzip
import hashlib
import re
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import zstandard

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "lichess" / "dumps"
"""Private recordings beside the checkout; the sample takes their place where they are not."""
SAMPLE = ROOT / "data" / "sample"
KEPT = ROOT / "data" / "bench"
"""Where dumps are kept for the next benchmark."""
MONTH = "2024-01"
FRAME_BYTES = 32 << 20
"""What pzstd packs into a frame at Lichess's level 19."""
GAMES_PER_PLAYER = 10
"""So many players are there for N games: N divided by it, each side of a game by one of them."""

_BLOCK_GAMES = 10_000
# The window is shorter than all games once, so that a game is never packed as a repetition of itself.
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(3, window_log=21, write_checksum=True)
_THREADS = 2
_SKIPPABLE = 0x184D2A50

_MONTH_IN_NAME = re.compile(r"_(\d{4}-\d{2})\.pgn\.zst$")
_GAME = re.compile(rb'(?:\[\w+ "[^"\n]*"\]\n)+\n[^\n]*(?:1-0|0-1|1/2-1/2|\*)\n')
_FIELD = re.compile(
    rb'\[(?:Site "https://lichess\.org/|(?:GameId|Date|UTCDate|UTCTime|White|Black) ")([^"/\n]+)(?:/[^"\n]*)?"\]'
)
_NAMES = (b"Site", b"GameId", b"Date", b"UTCDate", b"UTCTime", b"White", b"Black")
# Each name's place in a game's new values: id, day, time, White, Black.
_PLACES = dict(zip(_NAMES, (0, 0, 1, 1, 2, 3, 4), strict=True))

_LETTERS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
_POWERS = 62 ** np.arange(4, dtype=np.uint64)[::-1]
_HALF = np.uint64(62**4)
_ROUND_KEYS = (2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263)
_GAMES_A_MONTH = 10**9
_ADJECTIVES = ("Quiet", "Bold", "Crooked", "Plaid", "Brave", "Sleepy", "Rapid", "Solid", "Wild", "Patient", "Golden")
_NOUNS = ("Knight", "Bishop", "Rook", "Queen", "King", "Pawn", "Gambit", "Zugzwang", "Castle", "Tempo", "Fork", "Pin")


@dataclass(frozen=True)
class Template:
    """A game without what changes: `pieces` of text, and between them the `places` of the new values."""

    pieces: tuple[bytes, ...]
    places: tuple[int, ...]

    def filled(self, values: tuple[bytes, ...]) -> bytes:
        """The game with other values."""
        parts = [self.pieces[0]]
        for place, piece in zip(self.places, self.pieces[1:], strict=True):
            parts += (values[place], piece)
        return b"".join(parts)


@cache
def templates() -> tuple[Template, ...]:
    """Every sound game of the recorded dumps of standard chess, or of the sample, in their order."""
    texts = [gzip.decompress(path.read_bytes()) for path in sorted(REAL.glob("lichess_db_standard_rated_*.pgn.gz"))]
    if not texts:
        for path in sorted(SAMPLE.glob("lichess_db_standard_rated_*.pgn.zst")):
            with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
                texts.append(reader.read())
    games = [game for text in texts for game in _GAME.findall(text)]
    return tuple(_template(game) for game in games if _is_sound(game))


def _is_sound(game: bytes) -> bool:
    result = re.search(rb'\[Result "([^"]*)"\]', game)
    ends = result and tuple(space + result[1] + b"\n" for space in (b" ", b"\n"))
    return bool(ends) and game.startswith(b"[Event ") and game.endswith(ends)


def _template(game: bytes) -> Template:
    pieces, places, end = [], [], 0
    for field in _FIELD.finditer(game):
        pieces.append(game[end : field.start(1)])
        places.append(_PLACES[re.match(rb"\[(\w+)", field[0])[1]])  # type: ignore[index]  # the pattern starts so
        end = field.end(1)
    return Template((*pieces, game[end:] + b"\n"), tuple(places))


def games(number: int, month: str = MONTH) -> Iterator[bytes]:
    """`number` games of a month, ordered by time; the same ones at every call."""
    forms = templates()
    year, month_of_year = map(int, month.split("-"))
    day_names = [f"{year}.{month_of_year:02}.{day:02}".encode() for day in range(1, 32)]
    clock_names = [f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}".encode() for s in range(86_400)]
    length_s = 86_400 * calendar.monthrange(year, month_of_year)[1]
    first_id = ((year - 2013) * 12 + month_of_year) * _GAMES_A_MONTH
    players = player_names(max(2, number // GAMES_PER_PLAYER))
    chance = np.random.default_rng(first_id)
    for start in range(0, number, _BLOCK_GAMES):
        rows = np.arange(start, min(start + _BLOCK_GAMES, number))
        seconds = rows * length_s // number
        white, black = (_drawn(chance, rows.size, len(players)) for _ in range(2))
        black = np.where(black == white, (black + 1) % len(players), black)
        values = zip(
            game_ids(rows + first_id),
            map(day_names.__getitem__, (seconds // 86_400).tolist()),
            map(clock_names.__getitem__, (seconds % 86_400).tolist()),
            map(players.__getitem__, white.tolist()),
            map(players.__getitem__, black.tolist()),
            strict=True,
        )
        for row, new in zip(rows.tolist(), values, strict=True):
            yield forms[row % len(forms)].filled(new)


def game_ids(numbers: np.ndarray) -> list[bytes]:
    """Ids of eight letters that look drawn by lot; different numbers below 62^8 have different ids."""
    high, low = np.divmod(numbers.astype(np.uint64), _HALF)
    for key in _ROUND_KEYS:  # a Feistel network: every round can be undone, so no two numbers meet
        product = low * np.uint64(key)
        high, low = low, (high + (product ^ (product >> np.uint64(17)))) % _HALF
    digits = np.stack([high, low], axis=1)[:, :, None] // _POWERS % np.uint64(62)
    text = _LETTERS[digits.astype(np.intp)].tobytes()
    return [text[at : at + 8] for at in range(0, len(text), 8)]


def player_names(number: int) -> list[bytes]:
    """Different names that Lichess would accept."""
    pairs = [first + second for second in _NOUNS for first in _ADJECTIVES]
    return [f"{pairs[n % len(pairs)]}{n // len(pairs) or ''}".encode() for n in range(number)]


def _drawn(chance: np.random.Generator, size: int, number: int) -> np.ndarray:
    """Players by number: a few play a lot, most play little."""
    return (chance.random(size) ** 2 * number).astype(np.int64)


def write(number: int, target: Path, month: str = MONTH, frame_bytes: int | None = FRAME_BYTES) -> int:
    """Write a dump, all in one frame if `frame_bytes` is None; tells how many bytes of PGN it holds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    text = games(number, month)
    with partial.open("wb") as file:
        n_bytes = _write_one_frame(file, text) if frame_bytes is None else _write_frames(file, text, frame_bytes)
    partial.replace(target)
    return n_bytes


def kept_dump(number: int) -> Path:
    """A folder with a dump of so many games, made when it is asked for first."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    folder = KEPT / version / str(number)
    target = folder / f"lichess_db_standard_rated_{MONTH}.pgn.zst"
    if not target.exists():
        write(number, target)
    return folder


def kept_lakehouse(number: int) -> Path:
    """Where the lakehouse with so many games is that was published last."""
    return KEPT / f"lakehouse_{number}"


def _write_one_frame(file: BinaryIO, text: Iterator[bytes]) -> int:
    n_bytes = 0
    with zstandard.ZstdCompressor(compression_params=_PARAMETERS).stream_writer(file, closefd=False) as writer:
        for block in _blocks(text, 1 << 20):
            n_bytes += writer.write(block)
    return n_bytes


def _write_frames(file: BinaryIO, text: Iterator[bytes], frame_bytes: int) -> int:
    n_bytes = 0
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(_THREADS) as threads:
        for block in _blocks(text, frame_bytes):
            n_bytes += len(block)
            waiting.append(threads.submit(_packed, block))
            while len(waiting) > _THREADS:
                file.write(waiting.popleft().result())
        file.writelines(frame.result() for frame in waiting)
    return n_bytes


def _packed(block: bytes) -> bytes:
    frame = zstandard.ZstdCompressor(compression_params=_PARAMETERS).compress(block)
    return struct.pack("<III", _SKIPPABLE, 4, len(frame)) + frame


def _blocks(text: Iterator[bytes], n_bytes: int) -> Iterator[bytes]:
    """The same bytes, so many at a time: like pzstd's, their ends fall into games."""
    held = bytearray()
    for game in text:
        held += game
        if len(held) >= n_bytes:
            yield bytes(held[:n_bytes])
            del held[:n_bytes]
    yield bytes(held)


def main() -> None:
    """Write the dump that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", type=int, help="how many games")
    parser.add_argument("target", type=Path, help="a folder, or a file lichess_db_standard_rated_YYYY-MM.pgn.zst")
    parser.add_argument("--month", help=f"month of the games; without it that of the file's name, else {MONTH}")
    parser.add_argument("--single-frame", action="store_true", help="all games in one frame, as zstd packs a stream")
    parser.add_argument("--frame-mib", type=int, default=FRAME_BYTES >> 20, help="MiB of PGN in each frame")
    wanted = parser.parse_args()
    named = _MONTH_IN_NAME.search(wanted.target.name)
    month = wanted.month or (named[1] if named else MONTH)
    is_file = wanted.target.name.endswith(".zst")
    target = wanted.target if is_file else wanted.target / f"lichess_db_standard_rated_{month}.pgn.zst"
    n_bytes = write(wanted.games, target, month, None if wanted.single_frame else wanted.frame_mib << 20)
    packed = target.stat().st_size
    print(f"{target}: {wanted.games:,} games, {n_bytes / 1e6:,.1f} MB of PGN, {packed / 1e6:,.1f} MB packed")


if __name__ == "__main__":
    main()
