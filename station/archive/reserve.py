"""A file that is given up where the disk is full: removing frames takes a little room first, for marks and rows.

It is made at the first watermark, while there is room, and again after a thinning has made some.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from station.archive.outlook import free_of
from station.documents.atomic import write_synced

log = logging.getLogger(__name__)

RESERVE = "archive.reserve"
RESERVE_BYTES = 1_000_000
LEAST_FREE_BYTES = 4 * RESERVE_BYTES  # with less, it would take the room that the next record needs


def keep_reserve(root: Path) -> None:
    """Make the file where it is missing and there is room. A disk that does not take it is reported in the log."""
    path = root / RESERVE
    try:
        if not path.exists() and free_of(root)[0] >= LEAST_FREE_BYTES:
            write_synced(path, os.urandom(RESERVE_BYTES))  # no file system makes less of it
    except OSError as error:
        path.unlink(missing_ok=True)
        log.warning("%s: cannot be made: %s; a full disk could not be thinned then", path, error)


def give_up_reserve(root: Path) -> None:
    """Remove it where the disk has less free than it holds."""
    if free_of(root)[0] < RESERVE_BYTES:
        (root / RESERVE).unlink(missing_ok=True)
