"""What the stage reads of a view's frames: signals over the lights' intensities, saturation, noise, and the lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import DirectionalLights, LightModel, directions_at_target, mosaic_intensities
from station.photometric_stereo.radiometry import grey_frame, reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings
from station.photometric_stereo.uncertainty import SensorNoise

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Lens = tuple[float, float, float, float, float, bool]


@dataclass(frozen=True)
class Signals:
    """Of one view under K lights."""

    values: F32  # (H, W, K) over each light's intensity, not yet over its fall-off
    usable: NDArray[np.bool_]  # (H, W, K) False where saturated
    noise: F64  # (2, K) constant variance of a value, and variance per value
    sources: F64  # (K, 3) positions in mm, or unit directions of far lights
    lens: Lens  # mm per pixel, centre x, centre y, reciprocal distance of the camera, lobe exponent, near

    def every(self, apart: int) -> Signals:
        """Of one pixel in each whole square of `apart` pixels, its middle one."""
        if apart == 1:
            return self
        height, width = (n // apart * apart for n in self.values.shape[:2])
        picked = slice(apart // 2, height, apart), slice(apart // 2, width, apart)
        mm, x, y, nearer, lobe, is_near = self.lens
        lens = (mm * apart, (x - apart // 2) / apart, (y - apart // 2) / apart, nearer, lobe, is_near)
        return Signals(
            np.ascontiguousarray(self.values[picked]), np.ascontiguousarray(self.usable[picked]), self.noise,
            self.sources, lens,
        )  # fmt: skip


def signals_of(
    frames: Sequence[Frame],
    lights: LightModel,
    settings: SolverSettings,
    noise: SensorNoise,
    flat_field: FlatField | None,
    camera_mm: float | None,
) -> Signals:
    """Raises PhotometricStereoError where frames and lights differ in number, or the frames in size."""
    if len(frames) != len(lights.names):
        raise PhotometricStereoError(f"{len(frames)} frames for {len(lights.names)} lights; give one for each")
    grey = [grey_frame(f) for f in frames]
    shapes = {f.pixels.shape for f in grey}
    if len(shapes) != 1:
        raise PhotometricStereoError(f"the frames differ in size: {sorted(shapes)}; give those of one view")
    height, width = shapes.pop()
    values = np.empty((height, width, len(grey)), np.float32)
    usable = np.empty(values.shape, np.bool_)
    limit, scales = saturation_limit_dn(grey[0], settings.saturation_fraction), reciprocal_signals(grey)
    intensities, phases = mosaic_intensities(lights), np.ix_(np.arange(height) & 1, np.arange(width) & 1)
    flat = None
    if flat_field is not None:
        flat = flat_field.at(np.arange(width, dtype=np.float64)[None, :], np.arange(height, dtype=np.float64)[:, None])
    for k, frame in enumerate(grey):
        factor = scales[k] / intensities[k][phases]
        if flat is not None:
            factor = factor / flat[..., k]
        values[..., k] = (frame.pixels - np.float32(frame.black_level_dn)) * factor.astype(np.float32)
        usable[..., k] = frame.pixels < limit
    steps = scales / intensities.reshape(len(grey), -1).mean(axis=1)
    spread = np.stack([steps**2 * noise.variance_dn2(np.zeros(len(grey))), steps * noise.system_gain_dn_per_e])
    return Signals(values, usable, spread, *_lens(lights, camera_mm))


def _lens(lights: LightModel, camera_mm: float | None) -> tuple[F64, Lens]:
    if isinstance(lights, DirectionalLights):
        return directions_at_target(lights), (1.0, 0.0, 0.0, 0.0, 0.0, False)
    nearer = 0.0 if camera_mm is None else 1 / camera_mm
    centre_x, centre_y = lights.center_px
    positions = np.ascontiguousarray(lights.positions_mm, np.float64)
    return positions, (float(lights.mm_per_px), float(centre_x), float(centre_y), nearer, lights.lobe_exponent, True)
