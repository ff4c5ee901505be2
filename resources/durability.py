"""Durability: what survives a power cut. Nothing is acknowledged before its bytes and the names of its files are."""

import json
import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from urllib.parse import unquote

# The kernel writes back by itself what is older than half a minute.
WRITTEN_BACK_SECONDS = 600


def sync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Sync a folder, all that lies in it, and its own name."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        sync(path)


def make_folder(folder: Path) -> None:
    """Make a folder with those above it, each of which is synced: a file is lost if a folder above it is."""
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync_commits(table: Path, after: int, last: int, already: Collection[Path] = ()) -> None:
    """Sync the commits of a Delta table later than version `after`, up to `last`: data files, entries, folders.

    Commits of other processes too: one that is not on the disk yet would take all later ones with it. Files in
    `already` are on the disk, names included.
    """
    log = table / "_delta_log"
    folders = {log}
    for version in range(last, after, -1):
        entry = log / f"{version:020d}.json"
        if version < last and not _is_young(entry):
            break
        for file in _data_files(table, entry.read_bytes().splitlines()):
            # A later commit may have replaced it, and a clean-up removed it.
            if file not in already and file.exists():
                sync(file)
                folders |= {file.parent, table}
        sync(entry)
    for path in (*log.glob("*.checkpoint*.parquet"), log / "_last_checkpoint"):
        if _is_young(path):
            sync(path)
    for folder in folders:
        sync(folder)


def _is_young(path: Path) -> bool:
    try:
        return path.stat().st_mtime > time.time() - WRITTEN_BACK_SECONDS
    except FileNotFoundError:
        return False


def _data_files(table: Path, lines: Iterable[bytes]) -> list[Path]:
    actions = (json.loads(line) for line in lines)
    return [table / unquote(action["add"]["path"]) for action in actions if "add" in action]
