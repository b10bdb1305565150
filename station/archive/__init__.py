"""Every inspection as a row in a data base and a folder of files with their SHA-256 sums."""

from station.archive.errors import ArchiveError, ArchiveInUse, ArchiveNotFound
from station.archive.folder import ArchivedFrame
from station.archive.ids import new_inspection_id
from station.archive.store import Archive

__all__ = ["Archive", "ArchiveError", "ArchiveInUse", "ArchiveNotFound", "ArchivedFrame", "new_inspection_id"]
