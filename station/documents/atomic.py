"""Files that after a crash or power cut are either the old ones or the new ones, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Write under a temporary name beside `path`, fsync, rename over it, fsync the folder.

    After any OSError (disk full, no permission) the old file stands as it was and nothing is left behind.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        write_synced(temporary, data)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_synced(path: Path, data: bytes | memoryview | Iterator[bytes | memoryview]) -> None:
    """Write a new file, whole or part by part, and return once the disk has it.

    Raises FileExistsError for one that is there.
    """
    with open(path, "xb") as file:
        for part in (data,) if isinstance(data, bytes | memoryview) else data:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut; does nothing on Windows, which cannot fsync a folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
