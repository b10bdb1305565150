"""Fingerprint of all source files that the compiled kernels are made of; numba's cache looks at one file only."""

from __future__ import annotations

import zlib
from pathlib import Path

_FROM_ABOVE = ("network.py", "normal_map.py", "packing.py")  # constants and networks that the kernels are built from


def fingerprint() -> int:
    """A number that changes with the text of any of them.

    The entry point closes over it, so that a cached kernel is found again only if no source has changed.
    """
    folder = Path(__file__).parent
    files = [*sorted(folder.glob("*.py")), *(folder.parent / name for name in _FROM_ABOVE)]
    return zlib.crc32(b"".join(file.read_bytes() for file in files))
