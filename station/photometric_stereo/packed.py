"""Normal maps in 16 bits: what the solver writes on request, at 13 bytes per pixel instead of 23."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from station.inspection.result import NormalMap

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
UNIT, ORIGIN, TOP = 32767, 32768, 65535
ALBEDO_FULL_SCALE = 4.0  # an albedo above 1 means more light than a white surface under a lamp of strength 1
RESIDUAL_FULL_SCALE = 1.0  # of the frames' full scale


@dataclass(frozen=True, slots=True)
class PackedNormalMap:
    """A NormalMap whose real planes are 16-bit integers; otherwise the same planes on the same grid.

    A component of the normal is round(32767 n) + 32768 (good to 0.0015 degrees; 32768 three times is not observable).
    Albedo and residual are 0..65535 for 0..ALBEDO_FULL_SCALE and 0..RESIDUAL_FULL_SCALE; what is more is 65535.
    """

    normals: U16  # (3, H, W)
    albedo: U16  # (H, W)
    lit_count: NDArray[np.uint8]  # (H, W)
    residual: U16  # (H, W)
    observable: NDArray[np.bool_]  # (H, W)
    saturated: NDArray[np.bool_]  # (H, W)

    @property
    def observable_share(self) -> float:
        return float(np.mean(self.observable))

    def unpacked(self) -> NormalMap:
        """The same in float32, in arrays of its own; normals of unit length."""
        return NormalMap(
            unpack_normals(self.normals),
            unpack_levels(self.albedo, ALBEDO_FULL_SCALE),
            self.lit_count.copy(),
            unpack_levels(self.residual, RESIDUAL_FULL_SCALE),
            self.observable.copy(),
            self.saturated.copy(),
        )


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
