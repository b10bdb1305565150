"""How normals, albedo and residual are written in 16 bits; the compiled kernels use the same constants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
UNIT, ORIGIN, TOP = 32767, 32768, 65535
ALBEDO_FULL_SCALE = 4.0  # an albedo above 1 means more light than a white surface under a lamp of strength 1
RESIDUAL_FULL_SCALE = 1.0  # of the frames' full scale


def pack_normals(normals: NDArray[Any]) -> U16:
    """Of any shape, components -1..1."""
    return np.asarray(np.round(UNIT * normals) + ORIGIN, np.uint16)


def unpack_normals(packed: U16) -> F32:
    """(3, ...) of unit length, 0 0 0 where not observable."""
    n = packed.astype(np.float32) - ORIGIN  # whole numbers: exact
    length = np.sqrt((n * n).sum(axis=0))
    return np.asarray(n / np.where(length > 0, length, 1), np.float32)


def pack_levels(values: NDArray[Any], full_scale: float) -> U16:
    """0..full_scale as 0..65535, clipped."""
    return np.asarray(np.round(np.clip(values / full_scale, 0, 1) * TOP), np.uint16)


def unpack_levels(packed: U16, full_scale: float) -> F32:
    return packed.astype(np.float32) * np.float32(full_scale / TOP)
