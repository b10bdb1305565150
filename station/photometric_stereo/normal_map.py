"""The result of photometric stereo for one view, as float32 planes or in 16 bits as solver and archive pack it.

All planes of a map lie on the capture's pixel grid, or on that of the region that was solved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.packing import (
    ALBEDO_FULL_SCALE,
    RESIDUAL_FULL_SCALE,
    TOP,
    pack_normal_planes,
    pack_scaled,
    unpack_normals,
    unpack_scaled,
)

MOST_COUNTED = 255  # lights that lit_count can tell apart: more are shown as 255
F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
Index = NDArray[np.intp]
PLANES = ("normals", "albedo", "lit_count", "residual", "observable", "saturated")
M = TypeVar("M", "NormalMap", "PackedNormalMap")


@dataclass(frozen=True, slots=True)
class NormalMap:
    """What photometric stereo found at one viewpoint, in float32: 23 bytes per pixel."""

    normals: F32  # (3, H, W) unit length, x right, y up, z to the camera; 0 0 0 where unobservable
    albedo: F32  # (H, W) relative, >= 0
    lit_count: NDArray[np.uint8]  # (H, W) how many lights counted (not in shadow, not saturated), 255 at most
    residual: F32  # (H, W) rms of I - L g over the lights that counted, same unit as I (0..1)
    observable: NDArray[np.bool_]  # (H, W) three usable lights or more, in a geometry that decides the normal
    saturated: NDArray[np.bool_]  # (H, W) at least one light saturated here

    @property
    def observable_share(self) -> float:
        """Of all pixels, 0..1."""
        return float(np.mean(self.observable))

    def unit_normals(self, rows: slice = slice(None)) -> F32:
        """The normals of these rows, (3, rows, W) float32: the map's own array."""
        return self.normals[:, rows]

    def packed(self) -> PackedNormalMap:
        """The same in 16 bits, with the finest steps that reach the largest albedo and residual.

        The planes that are no real numbers are shared with this map.
        """
        albedo, albedo_scale = pack_scaled(self.albedo)
        residual, residual_scale = pack_scaled(self.residual)
        return PackedNormalMap(
            pack_normal_planes(self.normals),
            albedo,
            self.lit_count,
            residual,
            self.observable,
            self.saturated,
            albedo_scale,
            residual_scale,
        )

    def unpacked(self) -> NormalMap:
        """This map itself."""
        return self

    def at(self, y: Index, x: Index) -> tuple[F32, F32]:
        """Unit normals (3, n) and albedo (n,) of the pixels y, x (n,)."""
        return self.normals[:, y, x], self.albedo[y, x]

    def thinned(self, step: int) -> NormalMap:
        """Every `step`-th pixel of every `step`-th row: the map's own memory."""
        return _thinned(self, step)


@dataclass(frozen=True, slots=True)
class PackedNormalMap:
    """A NormalMap whose real planes are 16-bit integers, 13 bytes per pixel; otherwise the same planes.

    A component of the normal is round(32767 n) + 32768 (good to 0.0015 degrees; 32768 three times is not observable).
    Albedo and residual are stored * scale; what exceeds 65535 steps is 65535. The solver writes with the fixed full
    scales of `packing`, which stand as defaults here.
    """

    normals: U16  # (3, H, W)
    albedo: U16  # (H, W)
    lit_count: NDArray[np.uint8]  # (H, W)
    residual: U16  # (H, W)
    observable: NDArray[np.bool_]  # (H, W)
    saturated: NDArray[np.bool_]  # (H, W)
    albedo_scale: float = ALBEDO_FULL_SCALE / TOP
    residual_scale: float = RESIDUAL_FULL_SCALE / TOP

    @property
    def observable_share(self) -> float:
        """Of all pixels, 0..1."""
        return float(np.mean(self.observable))

    def unit_normals(self, rows: slice = slice(None)) -> F32:
        """The normals of these rows, (3, rows, W) float32 of unit length, unpacked into an array of their own."""
        return unpack_normals(self.normals[:, rows])

    def packed(self) -> PackedNormalMap:
        """This map itself."""
        return self

    def at(self, y: Index, x: Index) -> tuple[F32, F32]:
        """Unit normals (3, n) and albedo (n,) of the pixels y, x (n,), unpacked."""
        return unpack_normals(self.normals[:, None, y, x])[:, 0], unpack_scaled(self.albedo[y, x], self.albedo_scale)

    def thinned(self, step: int) -> PackedNormalMap:
        """Every `step`-th pixel of every `step`-th row: the map's own memory."""
        return _thinned(self, step)

    def unpacked(self) -> NormalMap:
        """The same in float32, in arrays of its own; normals of unit length."""
        return NormalMap(
            unpack_normals(self.normals),
            unpack_scaled(self.albedo, self.albedo_scale),
            self.lit_count.copy(),
            unpack_scaled(self.residual, self.residual_scale),
            self.observable.copy(),
            self.saturated.copy(),
        )


def _thinned(found: M, step: int) -> M:
    few = (..., slice(None, None, step), slice(None, None, step))
    planes: dict[str, Any] = {name: getattr(found, name)[few] for name in PLANES}
    return replace(found, **planes)
