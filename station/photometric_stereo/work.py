"""What one view is solved from, whichever engine does it: frames, light, corrections, and where the maps go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.heights import Height
from station.photometric_stereo.lights import LightModel, PointLights, light_vectors, mosaic_intensities
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.radiometry import reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings

CACHE_WAY = 4096  # bytes after which addresses fall into the same lines of a first-level cache
MOST_SPARE_ROWS = 32  # of a ring's plane, to shift the next
SPARE_PX = 32  # of a ring's row beyond the picture: kernels read whole groups of pixels
F64 = NDArray[np.float64]
Ring = NDArray[np.uint8] | NDArray[np.uint16]  # (K, H, W + SPARE_PX or more), C-contiguous
DarkFrame = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
Maps = NormalMap | PackedNormalMap
Rows = Callable[[int, int], None]  # solves rows first..last (exclusive) of the region


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
        return self.height, self.width


@dataclass(frozen=True)
class Radiometry:
    """What turns raw counts into light."""

    black_dn: F64  # (K,)
    scale: F64  # (K, 2, 2) per DN and phase of the mosaic
    limit_dn: int  # of saturation


@dataclass(frozen=True)
class Work:
    """One view of one region."""

    lights: LightModel
    settings: SolverSettings
    radiometry: Radiometry
    ring: Ring
    region: Region
    result: Maps
    flat_field: FlatField | None
    dark: DarkFrame | None  # (H, W + SPARE_PX or more): what to subtract instead of black_dn
    step_px: int  # between knots, where light is near
    height: Height | None  # of the part, where the lights' own plane does not do

    @property
    def is_near(self) -> bool:
        """Whether direction or strength of the lights change over the picture."""
        return isinstance(self.lights, PointLights) or self.flat_field is not None

    def light_at(self, x_px: F64, y_px: F64) -> tuple[F64, F64]:
        """Unit directions (..., K, 3) and strengths (..., K), flat field included."""
        height_mm = None
        if self.height is not None and isinstance(self.lights, PointLights):
            height_mm = self.height.at(self.lights, x_px, y_px)
        directions, strengths = light_vectors(self.lights, x_px, y_px, height_mm)
        return directions, strengths if self.flat_field is None else strengths * self.flat_field.at(x_px, y_px)


def radiometry_of(frames: Sequence[Frame], lights: LightModel, settings: SolverSettings) -> Radiometry:
    scale = reciprocal_signals(frames)[:, None, None] / mosaic_intensities(lights)
    black = np.array([f.black_level_dn for f in frames], np.float64)
    return Radiometry(black, scale, saturation_limit_dn(frames[0], settings.saturation_fraction))


def padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with SPARE_PX or more at the end of each row, which is a multiple of 64."""
    return (*shape[:-1], (shape[-1] + SPARE_PX + 63) // 64 * 64)


def empty_ring(count: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> Ring:
    """Zeros (count, H or more, W + SPARE_PX or more).

    The same pixel of two lights does not lie a whole number of CACHE_WAY apart: a first-level cache keeps just eight
    such lines, and a picture of 5472 x 3648 would have as many as there are lights.
    """
    height, width = padded(shape)
    rows = max(range(height, height + MOST_SPARE_ROWS), key=lambda h: _spread(h * width * dtype.itemsize, count))
    return np.zeros((count, rows, width), dtype)


def _spread(step_bytes: int, count: int) -> int:
    """The least distance, within CACHE_WAY, between any two of `count` addresses `step_bytes` apart."""
    places = sorted(k * step_bytes % CACHE_WAY for k in range(count))
    return min(b - a for a, b in zip(places, [*places[1:], places[0] + CACHE_WAY], strict=True))


def empty_map(shape: tuple[int, int]) -> NormalMap:
    """A map to be written; its planes begin at different places of CACHE_WAY (see `empty_ring`)."""
    return NormalMap(*_planes(shape, np.float32))


def empty_packed_map(shape: tuple[int, int]) -> PackedNormalMap:
    """The same in 16 bits."""
    return PackedNormalMap(*_planes(shape, np.uint16))


def _planes(shape: tuple[int, int], dtype: type[np.generic]) -> tuple[NDArray[Any], ...]:
    """Normals, albedo, lit count, residual, observable, saturated."""
    return (
        _empty((3, *shape), dtype, 0), _empty(shape, dtype, 1024), _empty(shape, np.uint8, 3072),
        _empty(shape, dtype, 2048), _empty(shape, np.bool_, 3584), _empty(shape, np.bool_, 512),
    )  # fmt: skip


def _empty(shape: tuple[int, ...], dtype: type[np.generic], place: int) -> NDArray[Any]:
    """Uninitialised, C-contiguous, its first byte at `place` within CACHE_WAY."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + CACHE_WAY, np.uint8)
    start = (place - memory.ctypes.data) % CACHE_WAY
    return memory[start : start + size].view(dtype).reshape(shape)
