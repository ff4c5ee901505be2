"""A power cut, as a model: of a folder only that is left which was synced, bytes and names each for themselves."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class _Name:
    """What a folder's entry points to; a link's target lies in the folder's own block."""

    inode: int
    is_folder: bool
    link: str | None


class Disk:
    """Watches `os.fsync`, and knows what the disk holds each time that it returned."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = folder.stat().st_ino
        self._names: dict[int, dict[str, _Name]] = {}
        self._bytes: dict[int, bytes] = {}
        self._sync = os.fsync
        monkeypatch.setattr(os, "fsync", self._observe)

    def _observe(self, descriptor: int) -> None:
        self._sync(descriptor)
        status = os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode):
            self._bytes[status.st_ino] = os.pread(descriptor, status.st_size, 0)
            return
        with os.scandir(descriptor) as entries:
            self._names[status.st_ino] = {
                entry.name: _Name(
                    entry.inode(),
                    entry.is_dir(follow_symlinks=False),
                    os.readlink(entry.name, dir_fd=descriptor) if entry.is_symlink() else None,
                )
                for entry in entries
            }

    def after_power_cut(self, target: Path) -> Path:
        """Lay out what is left: an unsynced folder is empty, an unsynced file has no bytes."""
        self._lay_out(self._root, target)
        return target

    def _lay_out(self, folder: int, target: Path) -> None:
        target.mkdir()
        for name, entry in self._names.get(folder, {}).items():
            if entry.link is not None:
                (target / name).symlink_to(entry.link)
            elif entry.is_folder:
                self._lay_out(entry.inode, target / name)
            else:
                (target / name).write_bytes(self._bytes.get(entry.inode, b""))
