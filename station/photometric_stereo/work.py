"""The work that one view is for either engine: counts, light, corrections, and the maps to be written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel, PointLights, light_vectors, mosaic_intensities
from station.photometric_stereo.memory import DarkFrame, Ring
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.radiometry import reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings

F64 = NDArray[np.float64]
Maps = NormalMap | PackedNormalMap
Rows = Callable[[int, int], None]  # solves rows first..last (exclusive) of the region
Band = Callable[[int, int, Maps], None]  # the same into maps of just these rows; `first` is a multiple of `step_px`


@dataclass(frozen=True)
class Region:
    """A rectangle of the picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def check(self, shape: tuple[int, int]) -> None:
        """Raises PhotometricStereoError unless the region holds a pixel and lies within a picture of `shape`."""
        inside = self.top >= 0 and self.left >= 0
        inside = inside and self.top + self.height <= shape[0] and self.left + self.width <= shape[1]
        if not (inside and self.height > 0 and self.width > 0):
            raise PhotometricStereoError(
                f"region of rows {self.top}..{self.top + self.height} and columns "
                f"{self.left}..{self.left + self.width} does not lie within a picture of {shape}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), the shape of its maps."""
        return self.height, self.width


@dataclass(frozen=True)
class Radiometry:
    """What turns raw counts into light."""

    black_dn: F64  # (K,)
    scale: F64  # (K, 2, 2) per DN and phase of the mosaic
    limit_dn: int  # of saturation


@dataclass(frozen=True)
class Work:
    """One view, or a region of it, with all that either engine needs."""

    lights: LightModel
    settings: SolverSettings
    radiometry: Radiometry
    ring: Ring
    region: Region
    result: Maps
    flat_field: FlatField | None
    dark: DarkFrame | None  # (H, W + SPARE_PX or more): what to subtract instead of black_dn
    step_px: int  # between knots, where light is near

    @property
    def is_near(self) -> bool:
        """Whether direction or strength of the lights change over the picture."""
        return isinstance(self.lights, PointLights) or self.flat_field is not None

    def light_at(self, x_px: F64, y_px: F64) -> tuple[F64, F64]:
        """Unit directions (..., K, 3) and strengths (..., K), flat field included."""
        directions, strengths = light_vectors(self.lights, x_px, y_px)
        return directions, strengths if self.flat_field is None else strengths * self.flat_field.at(x_px, y_px)


def radiometry_of(frames: Sequence[Frame], lights: LightModel, settings: SolverSettings) -> Radiometry:
    """From one frame per light, in the lights' order; their pixels are not looked at."""
    scale = reciprocal_signals(frames)[:, None, None] / mosaic_intensities(lights)
    black = np.array([f.black_level_dn for f in frames], np.float64)
    return Radiometry(black, scale, saturation_limit_dn(frames[0], settings.saturation_fraction))
