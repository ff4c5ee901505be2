"""Where backups lie, a folder or s3://…: parts of files by the hash of their bytes, and a manifest for each backup.

Written here since no library fits: Borg and duplicity come as sources only and want a folder or tools of the system,
Replicat walks a local folder, DVC versions what a user edits. None takes a list of files of a table's version.
"""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import obstore
import orjson
import zstandard
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from resources.durability import make_folder, sync
from resources.errors import UserError

FORMAT = 1
PART_BYTES = 8 << 20
"""Files are cut into parts of this size: what changed in a database is stored, not the whole of it once more."""
THREADS = 4
_MANIFEST = re.compile(r"backups/([0-9]{8}T[0-9]{6}[0-9]{6}Z)\.([0-9a-f]{64})\.json\.zst")
_PART = re.compile(r"objects/[0-9a-f]{2}/([0-9a-f]{64})(?:\.zst)?")


class Damaged(Exception):
    """Something in a backup is missing, or not what was stored; the message names it."""


@dataclass(frozen=True)
class Part:
    """A piece of a file as it is stored: the name of its object, which is the hash of its bytes, and their number."""

    name: str
    n_bytes: int


@dataclass(frozen=True)
class Entry:
    """A file of a backup, or a link."""

    area: str
    """What its path begins at: `lake`, `home`, `dagster` or `postgres`."""
    path: str
    n_bytes: int = 0
    sha256: str = ""
    """Of the whole file."""
    parts: tuple[Part, ...] = ()
    stamp: str = ""
    """How the file looked: with the same one it is not read again. Empty if it may change unseen."""
    link: str = ""
    """Where a link points to."""

    @property
    def name(self) -> str:
        """Area and path."""
        return f"{self.area}/{self.path}"


@dataclass(frozen=True)
class Manifest:
    """A backup: what it holds, and what it was made of."""

    id: str
    home: str
    lake_uri: str
    tables: dict[str, int]
    """Table → version."""
    snapshot: str
    """The latest snapshot; empty if there is none."""
    settings: dict[str, str]
    """Settings that were given, without secrets."""
    secrets: list[str]
    """Names of the settings that were given and are secret."""
    entries: tuple[Entry, ...]
    format: int = FORMAT

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.n_bytes for entry in self.entries)


@dataclass
class BackupStore:
    """A folder or bucket with backups. `present` are the objects that are there, with their sizes."""

    target: str
    store: ObjectStore
    folder: Path | None
    """None in an object store, which answers only when the object is durable."""
    present: dict[str, int] = field(default_factory=dict)
    n_new: int = 0
    n_new_bytes: int = 0
    _counting: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, target: str, *, make: bool = False) -> "BackupStore":
        """The backups at a folder or address; UserError if there can be none."""
        store, folder = object_store(target, make=make)
        return cls(target, store, folder)

    def look(self) -> None:
        """Find out which objects are there."""
        self.present = {
            found[0].rpartition("/")[2]: size
            for path, size in self._listed("objects")
            if (found := _PART.fullmatch(path))
        }

    def put(self, chunks: Iterable[bytes], *, packed: bool) -> tuple[int, str, tuple[Part, ...]]:
        """Store what is not there yet of a file: its size, its hash and its parts."""
        digest, size, parts = sha256(), 0, list[Part]()
        for plain in cut(chunks):
            digest.update(plain)
            size += len(plain)
            stored = zstandard.ZstdCompressor(level=3).compress(plain) if packed else plain
            name = sha256(stored).hexdigest() + (".zst" if packed else "")
            if self.present.get(name) != len(stored):
                self._write(_key(name), stored)
                with self._counting:
                    self.present[name] = len(stored)
                    self.n_new, self.n_new_bytes = self.n_new + 1, self.n_new_bytes + len(stored)
            parts.append(Part(name, len(stored)))
        return size, digest.hexdigest(), tuple(parts)

    def read(self, part: Part) -> bytes:
        """A part of a file as it was. Raises Damaged."""
        try:
            stored = obstore.get(self.store, _key(part.name)).bytes().to_bytes()
        except FileNotFoundError as error:
            raise Damaged(f"{_key(part.name)} is missing") from error
        if sha256(stored).hexdigest() != part.name.removesuffix(".zst"):
            raise Damaged(f"{_key(part.name)} is not what was stored")
        return _unpacked(stored, part.name) if part.name.endswith(".zst") else stored

    def contents(self, entry: Entry) -> Iterator[bytes]:
        """A file part by part. Raises Damaged, at the latest at its end."""
        digest, size = sha256(), 0
        for part in entry.parts:
            plain = self.read(part)
            digest.update(plain)
            size += len(plain)
            yield plain
        if (size, digest.hexdigest()) != (entry.n_bytes, entry.sha256):
            raise Damaged("its parts do not make the file that it was")

    def add(self, manifest: Manifest) -> None:
        """Make a backup exist: last of all, once everything that it names is durable."""
        self._settle()
        stored = zstandard.ZstdCompressor(level=9).compress(orjson.dumps(asdict(manifest)))
        self._write(f"backups/{manifest.id}.{sha256(stored).hexdigest()}.json.zst", stored)
        if self.folder:
            sync(self.folder / "backups")
            sync(self.folder)

    def ids(self) -> list[str]:
        """The backups that are here, oldest first."""
        return sorted(self._manifests())

    def manifest(self, backup_id: str) -> Manifest:
        """What a backup holds. Raises Damaged, or UserError for one of another version of KnightShift."""
        path, digest = self._manifests()[backup_id]
        stored = obstore.get(self.store, path).bytes().to_bytes()
        if sha256(stored).hexdigest() != digest:
            raise Damaged(f"{path} is not what was stored")
        found: dict[str, Any] = orjson.loads(zstandard.ZstdDecompressor().decompressobj().decompress(stored))
        if found["format"] != FORMAT:
            raise UserError(f"{path} was made by another version of KnightShift: restore it with that one")
        entries = tuple(
            Entry(**entry | {"parts": tuple(Part(**part) for part in entry["parts"])}) for entry in found["entries"]
        )
        return Manifest(**found | {"entries": entries})

    def prune(self, forget: Iterable[str]) -> tuple[int, int]:
        """Remove backups, then the objects that no other one names: how many objects, and their bytes.

        Only for who holds the lock. Nothing is removed where a manifest cannot be read. Raises Damaged then.
        """
        gone = set(forget)
        kept = [self.manifest(one) for one in self.ids() if one not in gone]
        named = {part.name for manifest in kept for entry in manifest.entries for part in entry.parts}
        manifests = self._manifests()
        for one in sorted(gone):
            obstore.delete(self.store, manifests[one][0])
        if self.folder:
            sync(self.folder / "backups")
            for torn in self.folder.glob("objects/*/*#*"):  # of who was killed while writing it
                torn.unlink()
        left = {name: size for name, size in self.present.items() if name not in named}
        for name in left:
            obstore.delete(self.store, _key(name))
            del self.present[name]
        return len(left), sum(left.values())

    def _manifests(self) -> dict[str, tuple[str, str]]:
        found = (_MANIFEST.fullmatch(path) for path, _ in self._listed("backups"))
        return {one[1]: (one[0], one[2]) for one in found if one}

    def _listed(self, folder: str) -> Iterator[tuple[str, int]]:
        for batch in obstore.list(self.store, folder, chunk_size=1_000):
            for one in batch:
                yield one["path"], one["size"]

    def _write(self, key: str, stored: bytes) -> None:
        obstore.put(self.store, key, stored)
        if self.folder:
            sync(self.folder / key)

    def _settle(self) -> None:
        """Wait until the names of all objects are on the disk; their bytes are."""
        if self.folder:
            make_folder(self.folder / "objects")
            make_folder(self.folder / "backups")
            with ThreadPoolExecutor(THREADS) as threads:
                list(threads.map(sync, [*(self.folder / "objects").iterdir(), self.folder / "objects"]))


def object_store(target: str, *, make: bool = False) -> tuple[ObjectStore, Path | None]:
    """The store behind a folder or an address, and the folder if it is one; UserError if there is none."""
    if target.startswith("s3://"):
        try:
            return from_url(target), None
        except (BaseError, ValueError) as error:
            raise UserError(f"{target} is not usable: write s3://bucket/prefix, and set AWS_… for it") from error
    if "://" in target:
        raise UserError(f"{target} must be a folder or an address such as s3://bucket/prefix")
    folder = Path(target).expanduser().absolute()
    try:
        if make:
            make_folder(folder)
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}: name the one that `kshift backup` wrote to")
    except OSError as error:
        raise UserError(f"the folder {folder} is not usable ({error.strerror}): choose another") from error
    return LocalStore(folder), folder


def cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of PART_BYTES, the last one shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)


def _key(name: str) -> str:
    return f"objects/{name[:2]}/{name}"


def _unpacked(stored: bytes, name: str) -> bytes:
    try:
        if zstandard.get_frame_parameters(stored).content_size > PART_BYTES:  # also where that is not told
            raise Damaged(f"{_key(name)} would unpack to more than a part")
        return zstandard.ZstdDecompressor().decompress(stored)
    except zstandard.ZstdError as error:
        raise Damaged(f"{_key(name)} cannot be unpacked: {error}") from error
