"""Where a record waits that its archive could not take: a folder of the user's, on another disk where there is one.

It holds whole records in the archive's own form. The next station that writes to the archive brings them home, so that
a process that dies meanwhile loses nothing. One part waits at a time: no other one is started before it is stored.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from station.archive.ahead import PARTIAL_PREFIX, Ahead
from station.archive.errors import ArchiveError
from station.archive.file_jobs import ArchivedFrame
from station.archive.folder import (
    folder_of,
    read_record,
    verify_record,
    write_record,
)
from station.archive.ids import is_inspection_id
from station.documents.atomic import sync_folder, write_synced
from station.inspection.result import Inspection

VARIABLE = "FACET_SPOOL"  # names another folder for all spools


def spool_of(root: Path) -> Spool:
    """The spool of the archive in `root`; nothing is created yet."""
    name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Spool(_spools() / name)


def _spools() -> Path:
    """`FACET_SPOOL`, else the user's folder for a program's state."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    home = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_STATE_HOME")
    return Path(home or Path.home() / ".local/state") / "facet" / "spool"


class Spool:
    """The spool of one archive. Its methods belong to the holder of that archive's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, inspection: Inspection, frames: Sequence[ArchivedFrame], ahead: Ahead | None = None) -> Path:
        """Write the record, replacing an earlier copy; what was written ahead is copied.

        Raises ArchiveError; then nothing of it is left.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"{self._folder}: cannot be created: {error.strerror or error}") from error
        self.drop(inspection)
        return write_record(self._folder, inspection, frames, ahead).folder

    def drop(self, inspection: Inspection) -> None:
        """Remove the inspection's copy where there is one."""
        shutil.rmtree(folder_of(self._folder, inspection), ignore_errors=True)

    def records(self) -> list[Path]:
        """The whole records that wait."""
        return sorted(path for path in self._folder.glob("*/*") if is_inspection_id(path.name))

    def drop_unfinished(self) -> None:
        """Remove what a process left that died while it wrote here: its inspection is in no archive."""
        for unfinished in self._folder.glob(f"*/{PARTIAL_PREFIX}*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def drop_all(self, stored: set[str]) -> None:
        """Remove the copies of inspections that are stored."""
        for kept in self.records():
            if kept.name in stored:
                shutil.rmtree(kept, ignore_errors=True)

    def copy_home(self, kept: Path, root: Path) -> None:
        """Copy the record to its place in the archive, where it is missing there; the copy here stays.

        Raises ArchiveError for a damaged record, OSError where it cannot be written.
        """
        problems = verify_record(kept, read_record(kept).manifest_sha256)
        if problems:
            raise ArchiveError(f"{kept}: {problems[0]}")
        target = root / kept.parent.name / kept.name
        if target.exists():
            return
        unfinished = target.with_name(f"{PARTIAL_PREFIX}{target.name}")
        try:
            shutil.copytree(kept, unfinished, copy_function=_copy_synced)
            for below in (unfinished, *(path for path in unfinished.rglob("*") if path.is_dir())):
                sync_folder(below)
            unfinished.rename(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def _copy_synced(source: str, target: str) -> None:
    write_synced(Path(target), Path(source).read_bytes())
