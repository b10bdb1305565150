"""Copies of the files that inspections name by their SHA-256: recipes, calibrations, models."""

from __future__ import annotations

import hashlib
from pathlib import Path

from station.archive.errors import ArchiveError
from station.archive.folder import read_bytes
from station.documents.atomic import write_atomic


def keep_document(kept: Path, path: Path, sha256: str) -> Path:
    """Copy `path`, whose content must have that hash, to `kept` unless it is there; returns `kept`. See `Archive`."""
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ArchiveError(f"{path}: changed while it was being read; prepare the recipe again")
        if not kept.is_file() or kept.read_bytes() != data:
            kept.parent.mkdir(exist_ok=True)
            write_atomic(kept, data)
    except OSError as error:
        raise ArchiveError(f"{path}: could not be kept as {kept}: {error.strerror or error}") from error
    return kept


def checked_document(kept: Path, sha256: str) -> Path:
    """The kept copy, once its content was found to have that hash. Raises ArchiveError."""
    if not kept.is_file():
        raise ArchiveError(f"{kept}: not archived: earlier versions stored the calibration record only")
    if hashlib.sha256(read_bytes(kept)).hexdigest() != sha256:
        raise ArchiveError(f"{kept}: its content no longer has this SHA-256; restore it from a backup")
    return kept
