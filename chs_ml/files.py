"""Small files that appear under their name only when they are complete."""

import glob
import os
import secrets
from contextlib import suppress
from pathlib import Path

PART = ".part"
"""Ending of a file that is being written; one that is found later belongs to a write that was killed."""


def part_of(path: Path) -> Path:
    """A new name beside a file under which it is written until it is complete."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")


def remove_parts(path: Path) -> None:
    """Remove what killed writes of a file have left beside it; nobody may be writing it at the moment."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{PART}"):
        part.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, meets the old content or the new.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    content : bytes
        All of it.

    Raises
    ------
    OSError
        Where the disk refuses; nothing is left behind.
    """
    temporary = part_of(path)
    try:
        with temporary.open("xb") as raw:
            raw.write(content)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
