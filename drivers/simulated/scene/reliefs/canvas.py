"""A height field while it is drawn: height and both slopes, exact at every sample, so that any grid may be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Relief:
    """A finished height field at the samples of one grid; rows run down, x right, y up, z toward the camera."""

    height_mm: F64  # (H, W)
    normals: NDArray[np.float32]  # (3, H, W) unit vectors
    albedo: NDArray[np.float32]  # (3, H, W) RGB, 0..1
    under_mm: F64  # (H, W) underside of what bridges a gap; NaN where the body is solid
    floor_mm: F64  # (H, W) what lies below the gap; NaN where the body is solid
    sample_mm: float
    gloss: float  # share of the light that is reflected as a highlight


class Canvas:
    """Shapes are laid over it, carved into it, or added to it. Lengths in mm, the origin in the middle."""

    def __init__(self, samples: int, sample_mm: float, albedo: Rgb) -> None:
        at = (np.arange(samples) - (samples - 1) / 2) * sample_mm
        self.x = np.broadcast_to(at[None, :], (samples, samples))
        self.y = np.broadcast_to(-at[:, None], (samples, samples))
        self.sample_mm = sample_mm
        self.z, self.zx, self.zy = (np.zeros((samples, samples)) for _ in range(3))
        self._albedo = np.broadcast_to(np.array(albedo)[:, None, None], (3, samples, samples)).copy()
        self._under, self._floor = (np.full((samples, samples), np.nan) for _ in range(2))

    def add(self, z: F64, zx: F64, zy: F64) -> None:
        """Sum: a tilt, a scratch, a texture. All (H, W): height, and its slopes to the right and up.

        The underside of a bridge and what lies below it go along.
        """
        self.z, self.zx, self.zy = self.z + z, self.zx + zx, self.zy + zy
        self._under, self._floor = self._under + z, self._floor + z

    def lay(self, inside: Bools, z: F64, zx: F64, zy: F64, colour: Rgb | None) -> None:
        """A body that stands on what is there: it shows where it is the higher one."""
        self._replace(inside & (z > self.z), z, zx, zy, colour)

    def carve(self, inside: Bools, z: F64, zx: F64, zy: F64, colour: Rgb | None) -> None:
        """A hollow with this floor: it shows where it is the lower one. It goes through a bridge and its gap."""
        self._replace(inside & (z < self.z), z, zx, zy, colour)

    def bridge(self, inside: Bools, top_mm: float, thickness_mm: float, colour: Rgb | None) -> None:
        """A level plate that hangs in the air, over a gap that light enters from the sides."""
        shown = inside & (top_mm - thickness_mm > self.z)
        under, floor = np.where(shown, top_mm - thickness_mm, self._under), np.where(shown, self.z, self._floor)
        flat = np.zeros_like(self.z)
        self._replace(shown, flat + top_mm, flat, flat, colour)
        self._under, self._floor = under, floor

    def paint(self, inside: Bools, colour: Rgb) -> None:
        """Colour alone: an edge in the picture that is none in depth."""
        self._albedo[:, inside] = np.array(colour)[:, None]

    def shade(self, factor: F64) -> None:
        """Multiply the albedo (H, W): mottle and stains."""
        self._albedo = np.clip(self._albedo * factor, 0.02, 0.95)

    def finished(self, gloss: float) -> Relief:
        """The height field as it is now."""
        normals = np.stack([-self.zx, -self.zy, np.ones_like(self.z)])
        normals /= np.linalg.norm(normals, axis=0)
        return Relief(
            self.z, normals.astype(np.float32), self._albedo.astype(np.float32), self._under, self._floor,
            self.sample_mm, gloss,
        )  # fmt: skip

    def _replace(self, where: Bools, z: F64, zx: F64, zy: F64, colour: Rgb | None) -> None:
        self.z, self.zx, self.zy = (
            np.where(where, new, old) for new, old in ((z, self.z), (zx, self.zx), (zy, self.zy))
        )
        self._under, self._floor = np.where(where, np.nan, self._under), np.where(where, np.nan, self._floor)
        if colour is not None:
            self.paint(where, colour)
