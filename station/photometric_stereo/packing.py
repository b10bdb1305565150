"""How the real planes of a normal map are written in 16 bits.

The compiled kernels, their numpy twin, the archive and picture files all use these formulas and constants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
UNIT, ORIGIN, TOP = 32767, 32768, 65535
ALBEDO_FULL_SCALE = 4.0  # an albedo above 1 means more light than a white surface under a lamp of strength 1
RESIDUAL_FULL_SCALE = 1.0  # of the frames' full scale
_BLOCK_ROWS = 256  # converted at a time: no full-size temporaries at 20 megapixels


def pack_normals(normals: NDArray[Any]) -> U16:
    """round(32767 n) + 32768 for components n in -1..1, in any shape; 32768 three times means not observable."""
    return np.asarray(np.round(UNIT * normals) + ORIGIN, np.uint16)


def pack_normal_planes(normals: F32) -> U16:
    """`pack_normals` of (3, H, W), a block of rows at a time."""
    packed = np.empty(normals.shape, np.uint16)
    for rows in _blocks(normals.shape[1]):
        packed[:, rows] = pack_normals(normals[:, rows])
    return packed


def unpack_normals(packed: U16) -> F32:
    """(3, H, W) of unit length, in arrays of its own; 0 0 0 where not observable."""
    normals = np.empty(packed.shape, np.float32)
    for rows in _blocks(packed.shape[1]):
        n = packed[:, rows].astype(np.float32) - ORIGIN  # whole numbers: exact
        length = np.sqrt((n * n).sum(axis=0))
        normals[:, rows] = n / np.where(length > 0, length, 1)
    return normals


def pack_levels(values: NDArray[Any], full_scale: float) -> U16:
    """0..full_scale as 0..65535; what lies outside is clipped."""
    return np.asarray(np.round(np.clip(values / full_scale, 0, 1) * TOP), np.uint16)


def full_step(values: F32) -> float:
    """maximum / 65535: the finest step that reaches the largest value, or 1 where none is positive."""
    return max(float(np.max(values, initial=0.0)), 0.0) / TOP or 1.0


def pack_by(values: F32, step: float) -> U16:
    """Values as whole steps; negative ones become 0, and what exceeds 65535 steps is 65535."""
    return np.asarray(np.clip(np.rint(values / np.float32(step)), 0.0, TOP), np.uint16)


def pack_scaled(values: F32) -> tuple[U16, float]:
    """(H, W) or (H, W, 3) in steps of `full_step`, and that step."""
    step = full_step(values)
    packed = np.empty(values.shape, np.uint16)
    for rows in _blocks(values.shape[0]):
        packed[rows] = pack_by(values[rows], step)
    return packed, step


def unpack_scaled(packed: U16, scale: float) -> F32:
    """value = scale * stored."""
    return packed.astype(np.float32) * np.float32(scale)


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK_ROWS) for start in range(0, rows, _BLOCK_ROWS))
