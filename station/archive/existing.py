"""Whether a folder holds an archive: asked before one is opened for reading, since opening makes what is missing."""

from __future__ import annotations

from pathlib import Path

from station.archive.store import DATABASE
from station.errors import BadInput


class NoArchiveThere(BadInput):
    """A folder that was named as an archive and is none."""


def check_is_archive(folder: Path) -> None:
    """Raises NoArchiveThere, saying what to name instead; looks only, and makes nothing."""
    if (folder / DATABASE).is_file():
        return
    found = f"it holds no {DATABASE}" if folder.is_dir() else "there is no such folder"
    raise NoArchiveThere(
        f"{folder}: {found}, so it is no archive; name the folder `archive` below the --out of `station inspect`"
    )
