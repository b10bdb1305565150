"""A file lock that the operating system releases when its holder ends, however it ends.

The file names its holder. It stays where it is when the lock is given back: only the lock on it counts.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

IN_ORDER = "in order"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux: another one after each start of the machine
_LOCKED_BYTE = 1 << 30  # far behind the text: Windows keeps others from reading the bytes that are locked


class LockHeld(Exception):
    """Another process, or another part of this one, holds the lock; the text says who, as far as the file does."""


class FileLock:
    """The lock on one file, held until `release` or until the process ends."""

    def __init__(self, descriptor: int, purpose: str, left: dict[str, object]) -> None:
        """`left` is what the last holder wrote."""
        self._descriptor: int | None = descriptor
        self._purpose = purpose
        self.was_left_in_order = left.get("left") == IN_ORDER
        # Its holder vouched for what the lock guards, in this very file, and the machine has not been started since: it
        # was killed then, and the system has written whatever it had been given.
        self.was_sound_since_boot = left.get("sound_in") == _this_boot(descriptor) is not None

    @classmethod
    def take(cls, path: Path, purpose: str) -> FileLock:
        """Take the lock; `purpose` is what others read of its holder.

        Raises LockHeld. Raises OSError for a file that cannot be opened for writing, or a file system without locks.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LockHeld(_holder(path)) from error
        except OSError:
            os.close(descriptor)
            raise
        lock = cls(descriptor, purpose, _left(path))
        lock._say({})
        return lock

    def vouch(self) -> None:
        """Leave word that what the lock guards was found sound: see `was_sound_since_boot`."""
        if self._descriptor is not None and (boot := _this_boot(self._descriptor)) is not None:
            self._say({"sound_in": boot})

    def release(self, *, is_in_order: bool = False) -> None:
        """Give the lock back; a second call does nothing. `is_in_order` leaves word of it for the next holder."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # then the next holder looks at everything
                _write(self._descriptor, {"left": IN_ORDER} if is_in_order else {})
            os.close(self._descriptor)
            self._descriptor = None

    def _say(self, more: dict[str, object]) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # for others to read: a full disk is found by what writes more than this
                _write(self._descriptor, {"pid": os.getpid(), "purpose": self._purpose, **more})


def _write(descriptor: int, content: dict[str, object]) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(content).encode())
    os.fsync(descriptor)  # a power cut must not bring back what an earlier holder wrote


def _left(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):  # a new file is empty
        return {}
    return found if isinstance(found, dict) else {}


def _this_boot(descriptor: int) -> str | None:
    """This run of the machine, and this very file, which a copy is not; None where the system has no word for it."""
    try:
        boot, file = BOOT_ID.read_text().strip(), os.fstat(descriptor)
    except OSError:
        return None
    return f"{boot} {file.st_dev} {file.st_ino}"


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
