"""Every inspection as a row in a data base and a folder of files with their SHA-256 sums."""

from station.archive.ahead import Ahead, ViewToWrite
from station.archive.errors import ArchiveError, ArchiveInUse, ArchiveNotFound
from station.archive.file_jobs import ArchivedFrame
from station.archive.ids import new_inspection_id
from station.archive.store import Archive

__all__ = [
    "Ahead", "Archive", "ArchiveError", "ArchiveInUse", "ArchiveNotFound", "ArchivedFrame", "ViewToWrite",
    "new_inspection_id",
]  # fmt: skip
