"""One writer an archive, by the lock of `station.documents.lock`."""

from __future__ import annotations

from pathlib import Path

from station.archive.errors import ArchiveError, ArchiveInUse
from station.documents.lock import FileLock, LockHeld

LOCK_FILE = "archive.lock"
COLLECTION_LOCK_FILE = "collection.lock"


class WriterLock:
    """The right to write to an archive, held until `release` or until the process ends."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    @classmethod
    def take(cls, root: Path, purpose: str, file: str = LOCK_FILE) -> WriterLock:
        """Take the lock of the archive in `root`, or of what else is written there, by its lock `file`.

        Raises ArchiveInUse naming the process that holds it, and ArchiveError where the file cannot be locked.
        """
        path, what = root / file, file.removesuffix(".lock")
        try:
            return cls(FileLock.take(path, purpose))
        except LockHeld as held:
            other = "use another --out" if file == LOCK_FILE else "name another one"
            raise ArchiveInUse(f"{root}: {held} writes to this {what}; end it, or {other}") from held
        except PermissionError as error:
            text = f"{path}: cannot be opened for writing: {error.strerror or error}; give this user the right to write"
            raise ArchiveError(text) from error
        except OSError as error:
            text = f"{path}: cannot be locked: {error.strerror or error}; keep the {what} on a disk that can be written"
            raise ArchiveError(f"{text} and has locks") from error

    @property
    def may_be_torn(self) -> bool:
        """Whether a power cut may have torn what is guarded: the last holder did not end in order, nor was it killed
        while the machine ran on."""
        return not (self._lock.was_left_in_order or self._lock.was_sound_since_boot)

    def vouch(self) -> None:
        """Leave word that what is guarded was found sound."""
        self._lock.vouch()

    def release(self, *, is_in_order: bool = False) -> None:
        """Give the lock back; a second call does nothing. `is_in_order` leaves word of it for the next holder."""
        self._lock.release(is_in_order=is_in_order)
