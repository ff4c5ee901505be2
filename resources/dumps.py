"""Monthly dumps of games: finds their files in a folder or on the database's server, and reads their bytes."""

import bz2
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from pathlib import Path

import dagster as dg
import httpx

from resources.downloads import Download, Progress, fetch_sums, read_sums, sha256_of
from resources.dump_units import Unit, games_of, units_of
from resources.errors import UserError
from resources.names import month as checked_month
from resources.source_errors import NotThere
from resources.zstd_frames import FrameBroken, borders, unpack

SUMS = "sha256sums.txt"
CHUNK_BYTES = 1 << 20

# As Lichess packs a dump, unpacked, and as it and others packed it in earlier years; `part1` may follow the month.
_DUMP = re.compile(r"lichess_db_(?:\w+_)?(\d{4}-\d{2})(?:_[\w-]+)?\.pgn(?:\.zst|\.gz|\.bz2)?", re.ASCII)


class DumpDamaged(Exception):
    """A dump file is cut off or not intact: what it still held has been read, what followed is lost."""


@dataclass(frozen=True)
class DumpFile:
    """One file of a month; `source` is where it came from, a folder or an address."""

    path: Path
    sha256: str
    n_bytes: int
    source: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name


class Dumps(dg.ConfigurableResource["Dumps"]):
    """Files of the monthly dumps, from `folder` if that is set, else downloaded from `url` into `cache`.

    `url` is the base address, such as https://database.lichess.org; `user_agent` tells its keepers who asks.
    """

    folder: str | None = None
    url: str | None = None
    cache: str = "downloads"
    user_agent: str = "KnightShift"
    timeout_seconds: float = 60.0

    def find(self, month: str, progress: Progress | None = None) -> list[DumpFile]:
        """All files of a month, standard chess first: the folder may hold several variants, or a month in parts.

        Downloads what is to be downloaded. Raises UserError if there is no such file, or the same one twice;
        SourceError if it could not be fetched.
        """
        checked_month(month)
        if self.folder:
            return _in_folder(Path(self.folder), month)
        if self.url:
            return [self._downloaded(self.url.rstrip("/"), month, progress)]
        raise UserError(
            f"there is nowhere to take the dump of {month} from: set KSHIFT_DUMP_DIR to a folder with dump files, or "
            "KSHIFT_LICHESS_DUMP_URL to https://database.lichess.org"
        )

    def units(self, file: DumpFile) -> list[Unit]:
        """The parts of a file that can be read each by itself: several if pzstd packed it, else one.

        Raises DumpDamaged if the file is shorter than its frames promise.
        """
        if not file.name.endswith(".zst"):
            return [Unit(0, 0, file.n_bytes)]
        try:
            with file.path.open("rb") as raw:
                return units_of(borders(raw) or [0, file.n_bytes])
        except FrameBroken as error:
            raise _damaged(file, error) from error

    def chunks(
        self, file: DumpFile, unit: Unit | None = None, progress: Callable[[int], object] | None = None
    ) -> Iterator[bytes]:
        """The unpacked bytes of a file, or of a unit's games, about 1 MiB at a time: no file can fill the memory.

        `progress` hears how many bytes of the file or unit, packed, were read so far. Raises DumpDamaged, after the
        last byte that could be read, if the file is cut off or not intact.
        """
        try:
            with file.path.open("rb") as raw:
                for chunk in _unpacked(file, unit or Unit(0, 0, file.n_bytes), raw):
                    yield chunk
                    if progress:
                        progress(raw.tell() - (unit.begin if unit else 0))
        except (FrameBroken, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(file, error) from error
        except OSError as error:
            if error.errno is not None:  # bz2 has no error of its own for bad data
                raise
            raise _damaged(file, error) from error

    def _downloaded(self, url: str, month: str, progress: Progress | None) -> DumpFile:
        name = _name(month)
        address = f"{url}/standard/{name}"
        target = Path(self.cache) / name
        proof = target.with_name(f"{name}.sha256")
        if target.is_file() and _listed(proof, name) == (sha256 := sha256_of(target)):
            return DumpFile(target, sha256, target.stat().st_size, address)
        with httpx.Client(
            headers={"User-Agent": self.user_agent}, timeout=self.timeout_seconds, follow_redirects=True
        ) as client:
            expected = fetch_sums(client, f"{url}/standard/{SUMS}").get(name)
            if target.is_file() and sha256_of(target) != expected:
                target.replace(target.with_name(f"{name}.damaged"))  # the disk changed it, or a stranger put it there
            try:
                Download(client, address, target, expected).run(progress)
            except NotThere as error:
                raise UserError(
                    f"{address} is not there: a month's dump appears in the first days of the next month; check the "
                    "month and KSHIFT_LICHESS_DUMP_URL"
                ) from error
        sha256 = expected or sha256_of(target)
        proof.write_text(f"{sha256}  {name}\n")
        return DumpFile(target, sha256, target.stat().st_size, address)


def _in_folder(folder: Path, month: str) -> list[DumpFile]:
    if not folder.is_dir():
        raise UserError(f"the dump folder {folder} is not there: set KSHIFT_DUMP_DIR to the folder of your dumps")
    # One level down too: the server keeps each variant in a folder of its own.
    every = [path for pattern in ("lichess_db_*", "*/lichess_db_*") for path in folder.glob(pattern)]
    months = {path: dump[1] for path in every if (dump := _DUMP.fullmatch(path.name)) and path.is_file()}
    paths = sorted(
        (path for path, found in months.items() if found == month),
        key=lambda path: ("_standard_" not in path.name, path.name, path),
    )
    if not paths:
        there = ", ".join(sorted(set(months.values()))) or "none"
        raise UserError(
            f"the dump folder {folder} has no file of {month} (months there: {there}): put {_name(month)} there, or "
            "unset KSHIFT_DUMP_DIR to download it"
        )
    stems: dict[str, Path] = {}
    for path in paths:
        twin = stems.setdefault(path.name.partition(".pgn")[0], path)
        if twin != path:
            raise UserError(f"{twin} and {path} are the same dump twice: remove one of them")
    return [_local(path) for path in paths]


def _local(path: Path) -> DumpFile:
    sums, sha256 = path.with_name(SUMS), sha256_of(path)
    if _listed(sums, path.name) not in (None, sha256):
        raise UserError(f"{path} has not the checksum that {sums} states: it is damaged, download it again")
    return DumpFile(path, sha256, path.stat().st_size, str(path.parent))


def _listed(sums: Path, name: str) -> str | None:
    return read_sums(sums.read_text(errors="replace")).get(name) if sums.is_file() else None


def _name(month: str) -> str:
    return f"lichess_db_standard_rated_{month}.pgn.zst"


def _unpacked(file: DumpFile, unit: Unit, raw: BufferedReader) -> Iterator[bytes]:
    if not file.name.endswith(".zst"):
        yield from _pieces(_opened(file.name, raw))
    elif (unit.begin, unit.end) == (0, file.n_bytes):
        yield from unpack(raw)
    else:
        raw.seek(unit.begin)
        with file.path.open("rb") as following:
            following.seek(unit.end)
            beyond = unpack(following) if unit.end < file.n_bytes else iter(())
            yield from games_of(unpack(raw, unit.end - unit.begin), beyond, is_first=unit.begin == 0)


def _opened(name: str, raw: BufferedReader) -> BufferedIOBase:
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)
    if name.endswith(".bz2"):
        return bz2.BZ2File(raw)
    return raw


def _pieces(file: BufferedIOBase) -> Iterator[bytes]:
    while chunk := file.read1(CHUNK_BYTES):  # read would withhold what it already has when the rest is damaged
        yield chunk


def _damaged(file: DumpFile, error: Exception) -> DumpDamaged:
    return DumpDamaged(f"the dump {file.path} is damaged: {error}; get it anew")
