"""What follows from a folder's normals: slope, curvature, predicted error and, on request, height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.photographs import Photographs
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.surfaces import height_mm, mean_curvature_per_mm, slope_deg
from station.photometric_stereo.uncertainty import predicted_uncertainty, usual_noise


@dataclass(frozen=True)
class Products:
    """What follows from the normals; (H, W), NaN where nothing is known."""

    slope_deg: NDArray[np.float32]
    curvature: NDArray[np.float32]  # per unit
    uncertainty_deg: NDArray[np.float32]
    height: NDArray[np.float32] | None  # in the unit
    unit: str

    @property
    def height_range(self) -> tuple[float, float] | None:
        """Least and greatest height in the unit; None without any known height."""
        if self.height is None or not np.isfinite(self.height).any():
            return None
        return float(np.nanmin(self.height)), float(np.nanmax(self.height))


def products_of(
    result: NormalMap, photographs: Photographs, settings: SolverSettings, height: bool, mm_per_px: float | None
) -> Products:
    """Slope, curvature and predicted error of every pixel, and the height if it is wanted.

    Lengths are in mm where `mm_per_px` is given, else in pixels. The noise is that of a usual sensor.
    """
    frames = photographs.frames
    noise = usual_noise(frames[0])
    uncertainty = predicted_uncertainty(frames, photographs.lights, result, noise, settings, stride=1)
    scale = 1.0 if mm_per_px is None else mm_per_px
    return Products(
        slope_deg(result.normals),
        mean_curvature_per_mm(result.normals, scale),
        uncertainty.rms_deg,
        height_mm(result.normals, scale) if height else None,
        "px" if mm_per_px is None else "mm",
    )
