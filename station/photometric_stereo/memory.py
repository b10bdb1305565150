"""How rings and maps lie in memory: rows with elements to spare, planes that do not share lines of the first cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.recycled import Bytes, RecycledMemory

PACKED_BYTES = 13  # of a pixel of a packed map
CACHE_WAY = 4096  # bytes after which addresses fall into the same lines of a first-level cache
MOST_SPARE_ROWS = 32  # of a ring's plane, to shift the next
SPARE_PX = 32  # of a ring's row beyond the picture: kernels read whole groups of pixels
Ring = NDArray[np.uint8] | NDArray[np.uint16]  # (K, H, W + SPARE_PX or more), C-contiguous
DarkFrame = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


def padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with SPARE_PX or more at the end of each row, which is a multiple of 64."""
    return (*shape[:-1], (shape[-1] + SPARE_PX + 63) // 64 * 64)


def empty_ring(count: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> Ring:
    """Zeros of `ring_shape`."""
    return np.zeros(ring_shape(count, shape, dtype), dtype)


def ring_shape(count: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> tuple[int, int, int]:
    """(count, H or more, W + SPARE_PX or more).

    The same pixel of two lights does not lie a whole number of CACHE_WAY apart: a first-level cache keeps just eight
    such lines, and a picture of 5472 x 3648 would have as many as there are lights.
    """
    height, width = padded(shape)
    rows = max(range(height, height + MOST_SPARE_ROWS), key=lambda h: _spread(h * width * dtype.itemsize, count))
    return count, rows, width


def _spread(step_bytes: int, count: int) -> int:
    """The least distance, within CACHE_WAY, between any two of `count` addresses `step_bytes` apart."""
    places = sorted(k * step_bytes % CACHE_WAY for k in range(count))
    return min(b - a for a, b in zip(places, [*places[1:], places[0] + CACHE_WAY], strict=True))


def empty_map(shape: tuple[int, int]) -> NormalMap:
    """A map to be written, uninitialised; its planes begin at different places of CACHE_WAY (see `empty_ring`)."""
    return NormalMap(*_planes(shape, np.float32))


def empty_packed_map(shape: tuple[int, int], memory: RecycledMemory | None = None) -> PackedNormalMap:
    """As `empty_map`, in 16 bits; all of its planes in one piece of `memory`, which is lent until none is read."""
    lent = None if memory is None else memory.lend(PACKED_BYTES * shape[0] * shape[1] + 6 * CACHE_WAY)
    normals, albedo, lit_count, residual, observable, saturated = _planes(shape, np.uint16, lent)
    return PackedNormalMap(normals, albedo, lit_count, residual, observable, saturated)


def _planes(shape: tuple[int, int], dtype: type[np.generic], memory: Bytes | None = None) -> list[NDArray[Any]]:
    """Normals, albedo, lit count, residual, observable, saturated, one behind the other in `memory` if there is any.

    Uninitialised, C-contiguous, the first byte of each at a place of its own within CACHE_WAY.
    """
    planes: list[NDArray[Any]] = []
    of_plane: tuple[tuple[tuple[int, ...], type[np.generic], int], ...] = (
        ((3, *shape), dtype, 0), (shape, dtype, 1024), (shape, np.uint8, 3072),
        (shape, dtype, 2048), (shape, np.bool_, 3584), (shape, np.bool_, 512),
    )  # fmt: skip
    for its_shape, its_dtype, place in of_plane:
        size = int(np.prod(its_shape)) * np.dtype(its_dtype).itemsize
        room = np.empty(size + CACHE_WAY, np.uint8) if memory is None else memory
        start = (place - room.ctypes.data) % CACHE_WAY
        planes.append(room[start : start + size].view(its_dtype).reshape(its_shape))
        memory = None if memory is None else memory[start + size :]
    return planes
