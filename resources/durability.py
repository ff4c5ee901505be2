"""Durability: what survives a power cut. Nothing is acknowledged before its bytes and the names of its files are."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

# Checkpoints come every 100 commits. Commits from before the last but one are older than any process that hangs.
LOOK_BACK = 100


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


def sync_commits(table: Path, after: int, last: int) -> None:
    """Sync the commits of a Delta table later than version `after`, up to `last`: data files, entries, folders.

    Commits of other processes are synced too: one that is not on the disk yet would take all later ones with it.
    """
    log = table / "_delta_log"
    folders = {table, log}
    for version in range(after + 1, last + 1):
        entry = log / f"{version:020d}.json"
        if not entry.exists():  # old entries are cleaned away, long after they went to the disk
            continue
        for file in _data_files(table, entry.read_bytes().splitlines()):
            if file.exists():  # a later commit may have replaced it, and a clean-up removed it
                sync(file)
            folders.add(file.parent)
        sync(entry)
    if (checkpoint := _last_checkpoint(table)) >= max(after, 0):
        for part in (*log.glob(f"{checkpoint:020d}.checkpoint*"), log / "_last_checkpoint"):
            sync(part)
    for folder in folders:
        if folder.exists():
            sync(folder)


def surely_durable(table: Path) -> int:
    """The version of a Delta table up to which nobody can still be at work syncing; -1 if there is none."""
    return max(_last_checkpoint(table) - LOOK_BACK, -1)


def _last_checkpoint(table: Path) -> int:
    try:
        return int(json.loads((table / "_delta_log" / "_last_checkpoint").read_bytes())["version"])
    except (FileNotFoundError, ValueError):  # none yet, or torn by a power cut: delta-rs then reads all entries
        return -1


def _data_files(table: Path, lines: Iterable[bytes]) -> list[Path]:
    actions = (json.loads(line) for line in lines)
    return [table / unquote(action["add"]["path"]) for action in actions if "add" in action]
