"""One writer an archive: a lock file that the operating system releases when its holder ends, however it ends.

The file names its holder. It stays where it is when the lock is given back: only the lock on it counts.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from station.archive.errors import ArchiveError, ArchiveInUse

LOCK_FILE = "archive.lock"
COLLECTION_LOCK_FILE = "collection.lock"
IN_ORDER = "in order"
_LOCKED_BYTE = 1 << 30  # far behind the text: Windows keeps others from reading the bytes that are locked


class WriterLock:
    """The right to write to an archive, held until `release` or until the process ends."""

    def __init__(self, descriptor: int, was_left_in_order: bool) -> None:
        self._descriptor: int | None = descriptor
        self.was_left_in_order = was_left_in_order  # by the last holder, as far as the file says

    @classmethod
    def take(cls, root: Path, purpose: str, file: str = LOCK_FILE) -> WriterLock:
        """Take the lock of the archive in `root`, or of what else is written there, by its lock `file`.

        Raises ArchiveInUse naming the process that holds it, and ArchiveError where the file cannot be locked.
        """
        path, what = root / file, file.removesuffix(".lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            text = f"{path}: cannot be opened for writing: {error.strerror or error}; give this user the right to write"
            raise ArchiveError(text) from error
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            other = "use another --out" if file == LOCK_FILE else "name another one"
            text = f"{root}: {_holder(path)} writes to this {what}; end it, or {other}"
            raise ArchiveInUse(text) from error
        except OSError as error:
            os.close(descriptor)
            text = f"{path}: cannot be locked: {error.strerror or error}; keep the {what} on a file system with locks"
            raise ArchiveError(text) from error
        was_left_in_order = _is_in_order(path)
        with contextlib.suppress(OSError):  # for others to read: a full disk is found by what writes more than this
            _write_holder(descriptor, purpose)
        return cls(descriptor, was_left_in_order)

    def release(self, *, is_in_order: bool = False) -> None:
        """Give the lock back; a second call does nothing. `is_in_order` leaves word of it for the next holder."""
        if self._descriptor is not None:
            if is_in_order:
                with contextlib.suppress(OSError):  # then the next holder looks at everything
                    _write(self._descriptor, {"left": IN_ORDER})
            os.close(self._descriptor)
            self._descriptor = None


def _write_holder(descriptor: int, purpose: str) -> None:
    _write(descriptor, {"pid": os.getpid(), "purpose": purpose})


def _write(descriptor: int, content: dict[str, object]) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(content).encode())


def _is_in_order(path: Path) -> bool:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):  # a new file is empty
        return False
    return isinstance(found, dict) and found.get("left") == IN_ORDER


def _holder(path: Path) -> str:
    """Who holds the lock, as far as the file says."""
    try:
        found = json.loads(path.read_text())
        return f"process {int(found['pid'])} ({str(found['purpose'])[:80]})"
    except (OSError, ValueError, KeyError, TypeError):  # its holder is about to write it
        return "another process"


if os.name == "nt":
    import errno
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                raise BlockingIOError(error.errno, error.strerror) from error
            raise

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
