"""What follows from a folder's normals: slope, curvature, predicted error and, on request, height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.blocks import SolvedPhotographs, UncertaintyLevel
from station.photometric_stereo.surfaces import height_mm, mean_curvature_per_mm, slope_deg


@dataclass(frozen=True)
class Products:
    """What follows from the normals; (H, W), NaN where nothing is known."""

    slope_deg: NDArray[np.float32]
    curvature: NDArray[np.float32]  # per unit
    uncertainty_deg: NDArray[np.float32]
    uncertainty_level: UncertaintyLevel
    height: NDArray[np.float32] | None  # in the unit
    unit: str

    @property
    def height_range(self) -> tuple[float, float] | None:
        """Least and greatest height in the unit; None without any known height."""
        if self.height is None or not np.isfinite(self.height).any():
            return None
        return float(np.nanmin(self.height)), float(np.nanmax(self.height))


def products_of(solved: SolvedPhotographs, height: bool, mm_per_px: float | None) -> Products:
    """Slope and curvature of every pixel, and the height if it is wanted.

    Lengths are in mm where `mm_per_px` is given, else in pixels.
    """
    normals, scale = solved.normal_map.normals, 1.0 if mm_per_px is None else mm_per_px
    return Products(
        slope_deg(normals),
        mean_curvature_per_mm(normals, scale),
        solved.uncertainty_deg,
        solved.level,
        height_mm(normals, scale) if height else None,
        "px" if mm_per_px is None else "mm",
    )
