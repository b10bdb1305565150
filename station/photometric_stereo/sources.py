"""What the compiled kernels are made of: numba's cache on disk looks at one file, and they come from several."""

from __future__ import annotations

import zlib
from pathlib import Path

_FILES = ("kernels.py", "network.py", "packing.py", "projection.py", "vectors.py")


def fingerprint() -> int:
    """A number that changes with the text of any of them."""
    folder = Path(__file__).parent
    return zlib.crc32(b"".join((folder / name).read_bytes() for name in _FILES))
