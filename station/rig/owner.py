"""One owner a rig: whoever opens its devices holds a lock beside the rig file until it ends.

Serial ports are opened exclusively by their drivers as well. This lock comes before any device is asked, and it names
who has the rig.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from station.documents.lock import FileLock, LockHeld
from station.errors import StationFault

SUFFIX = ".lock"


class RigInUse(StationFault):
    """Another process owns the rig; the text names it and says how to work with it."""


@contextmanager
def owned_rig(rig_file: Path, purpose: str) -> Iterator[None]:
    """Own the rig of that file as long as the context lasts; `purpose` is what others read of the owner.

    Raises RigInUse, and StationFault where the lock file cannot be made.
    """
    file = lock_file(rig_file)
    try:
        lock = FileLock.take(file, purpose)
    except LockHeld as held:
        cure = "end it; or attach to it if it is `station run`: station console --attach, station ctl status"
        raise RigInUse(f"{rig_file}: {held} owns this rig; {cure}") from held
    except OSError as error:
        cure = "give this user the right to write there"
        raise StationFault(f"{file}: cannot be locked: {error.strerror or error}; {cure}") from error
    try:
        yield
    finally:
        lock.release()


def lock_file(rig_file: Path) -> Path:
    """`rig.yaml.lock` beside the rig file; among the temporary files where that folder cannot be written."""
    place = rig_file.resolve()
    beside = place.with_name(place.name + SUFFIX)
    if beside.exists() or _is_writable(place.parent):
        return beside
    key = hashlib.sha256(str(place).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"facet-rig-{key}{SUFFIX}"


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
