"""Grey pictures of many lights, in memory or, where they are too many, in a file that is never seen in the folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.radiometry import SATURATED

IN_MEMORY_BYTES = 256 << 20  # beyond, the pictures wait in a file; its pages are the system's to drop


class GreyPictures:
    """K pictures of one size: values, and where a colour was clipped. `put` each once, then read rows or samples."""

    def __init__(
        self, count: int, shape: tuple[int, int], dtype: np.dtype[Any], *, clips: bool, folder: Path | None = None
    ) -> None:
        """`clips`: pictures have colours that may be clipped. A file, if one is needed, is made in `folder`."""
        self.count, self.shape, self.dtype = count, shape, dtype
        self._values = _array((count, *shape), dtype, folder)
        self._clipped = _array((count, shape[0], -(-shape[1] // 8)), np.dtype(np.uint8), folder) if clips else None

    def put(self, k: int, top: int, values: NDArray[Any], clipped: NDArray[np.bool_] | None) -> None:
        """Rows of picture k from `top` on."""
        rows = slice(top, top + len(values))
        self._values[k, rows] = values
        if self._clipped is not None and clipped is not None:
            self._clipped[k, rows] = np.packbits(clipped, axis=1)

    def frame(self, k: int, first: int, last: int) -> Frame:
        """Rows first..last (exclusive) of picture k as the solver takes them."""
        return self._frame(self._values[k, first:last], k)

    def clipped(self, k: int, first: int, last: int) -> NDArray[np.bool_] | None:
        """(last - first, W) where a colour was clipped; None where none can be."""
        if self._clipped is None:
            return None
        return np.unpackbits(self._clipped[k, first:last], axis=1, count=self.shape[1]).view(np.bool_)

    def sampled(self, y: NDArray[np.intp], x: NDArray[np.intp], *, marked: bool = True) -> tuple[Frame, ...]:
        """Frames of (1, n): the pixels y, x (n,) of every picture; `marked` puts clipped ones at full scale."""
        found = []
        for k in range(self.count):
            values = self._values[k][y, x]
            if marked and self._clipped is not None:
                bits = (self._clipped[k][y, x // 8] >> (7 - x % 8).astype(np.uint8)) & 1
                values = np.where(bits > 0, SATURATED, values)
            found.append(self._frame(values[None, :], k))
        return tuple(found)

    def _frame(self, pixels: NDArray[Any], k: int) -> Frame:
        bits = 8 * self.dtype.itemsize
        return Frame(pixels, f"Mono{bits}", bits, 0.0, 1.0, 0.0, 0, k)


def _array(shape: tuple[int, ...], dtype: np.dtype[Any], folder: Path | None) -> NDArray[Any]:
    """Zeros, in a file without a name where they are large."""
    size = int(np.prod(shape)) * dtype.itemsize
    if size <= IN_MEMORY_BYTES:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and not a signal in the midst of a write
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)
