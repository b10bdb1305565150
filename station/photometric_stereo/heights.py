"""How high the part stands over the target point, as near lights must know: 10 mm are half a degree at 250 mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.lights import PointLights
from station.photometric_stereo.settings import PhotometricStereoError

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class HeightPlane:
    """z = slope_x * x + slope_y * y + height_mm, all in mm, x right, y up, from the target point."""

    slope_x: float
    slope_y: float
    height_mm: float

    def at(self, lights: PointLights, x_px: F64, y_px: F64) -> F64:
        x_mm = (x_px - lights.center_px[0]) * lights.mm_per_px
        y_mm = (lights.center_px[1] - y_px) * lights.mm_per_px
        return np.asarray(self.slope_x * x_mm + self.slope_y * y_mm + self.height_mm)


@dataclass(frozen=True)
class HeightMap:
    """A height for every pixel, as from `surfaces.height_mm` or a drawing; beyond the edge that of the edge.

    The compiled solver looks at it only at its knots (32 to 256 pixels apart), and is linear between them.
    """

    heights_mm: NDArray[np.floating]  # (H, W)

    def __post_init__(self) -> None:
        if self.heights_mm.ndim != 2 or not np.isfinite(self.heights_mm).all():
            raise PhotometricStereoError(f"height map of {self.heights_mm.shape} must be (H, W), and finite")

    def at(self, _: PointLights, x_px: F64, y_px: F64) -> F64:
        rows, columns = self.heights_mm.shape
        y, x = np.clip(np.rint(y_px), 0, rows - 1).astype(int), np.clip(np.rint(x_px), 0, columns - 1).astype(int)
        return np.asarray(self.heights_mm[y, x], np.float64)


Height = HeightPlane | HeightMap
