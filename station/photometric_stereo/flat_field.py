"""Flat field: how each light's strength varies over the picture, measured on a white plane.

It holds what the light model leaves out: the lamp's pattern, fall-off and vignetting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.lights import LightGeometryError, LightModel, light_vectors, mosaic_intensities
from station.photometric_stereo.radiometry import grey_frame, reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.settings import PhotometricStereoError

LEAST_COSINE = 0.2  # of a light on the plane: under it the plane's own error becomes the light's


@dataclass(frozen=True)
class FlatField:
    """Factor per light on a coarse grid, by which the light is stronger than its model says; linear between.

    Node (j, i) lies at pixel (x, y) = (i, j) * step_px. The mean of all factors is 1: the plane's own albedo
    and what all lights share, as vignetting, go into the albedo's scale and leave the normals alone.
    """

    factors: NDArray[np.float64]  # (K, Y, X), > 0
    step_px: int

    def __post_init__(self) -> None:
        if self.factors.ndim != 3 or min(self.factors.shape) < 2:
            raise PhotometricStereoError(f"flat field has shape {self.factors.shape}, expected (K, Y, X), each >= 2")
        if not (np.isfinite(self.factors).all() and (self.factors > 0).all()):
            raise PhotometricStereoError("flat field holds factors that are not finite and above 0")

    def at(self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., K) factors at pixels of shape (...), bilinear between nodes and extrapolated beyond the last."""
        x, y = np.broadcast_arrays(x_px / self.step_px, y_px / self.step_px)
        left = np.clip(x.astype(int), 0, self.factors.shape[2] - 2)
        top = np.clip(y.astype(int), 0, self.factors.shape[1] - 2)
        right, down = x - left, y - top
        f = self.factors
        above = f[:, top, left] * (1 - right) + f[:, top, left + 1] * right
        below = f[:, top + 1, left] * (1 - right) + f[:, top + 1, left + 1] * right
        return np.moveaxis(above * (1 - down) + below * down, 0, -1)


def flat_field_from_plane(
    frames: Sequence[Frame],
    lights: LightModel,
    plane_normal: tuple[float, float, float] = (0.0, 0.0, 1.0),
    step_px: int = 64,
) -> FlatField:
    """The flat field of frames (one per light, in the lights' order) of a matte white plane filling the view.

    The grid is smoothed over its step, so that the plane's texture does not appear on parts. A tilt of the plane
    that is not in `plane_normal` goes one to one into all normals. Raises LightGeometryError for a light
    that only grazes the plane, PhotometricStereoError for saturated or dark frames.
    """
    if len(frames) != len(lights.names):
        raise PhotometricStereoError(f"{len(frames)} flat-field frames for {len(lights.names)} lights")
    normal = np.asarray(plane_normal, np.float64) / np.linalg.norm(plane_normal)
    grey = [grey_frame(f) for f in frames]
    signals, intensities = reciprocal_signals(grey), mosaic_intensities(lights)
    height, width = grey[0].pixels.shape
    y, x = (np.arange(0, size + step_px, step_px, dtype=np.float64) for size in (height, width))
    directions, strengths = light_vectors(lights, x[None, :], y[:, None])
    expected = np.moveaxis(strengths * (directions @ normal), -1, 0)
    factors = []
    for k, (name, frame) in enumerate(zip(lights.names, grey, strict=True)):
        if expected[k].min() < LEAST_COSINE * strengths[..., k].max():
            raise LightGeometryError(f"light {name!r} grazes the plane: cosine under {LEAST_COSINE}")
        _check_level(name, frame)
        phases = np.tile(intensities[k], (height // 2 + 1, width // 2 + 1))[:height, :width]
        measured = (frame.pixels - frame.black_level_dn) * signals[k] / phases
        factors.append(_on_grid(measured.astype(np.float32), len(y), len(x), step_px) / expected[k])
    stacked = np.stack(factors)
    return FlatField(stacked / stacked.mean(), step_px)


def _check_level(name: str, frame: Frame) -> None:
    limit = saturation_limit_dn(frame, 0.99)
    if (frame.pixels >= limit).mean() > 0.001:
        raise PhotometricStereoError(f"flat-field frame of light {name!r} is saturated; expose less")
    if float(np.median(frame.pixels)) < frame.black_level_dn + 0.05 * limit:
        raise PhotometricStereoError(f"flat-field frame of light {name!r} is dark; expose more, or check the light")


def _on_grid(values: NDArray[np.float32], rows: int, columns: int, step_px: int) -> NDArray[np.float64]:
    """(rows, columns) of local linear fits at the nodes; a mean would be biased where the edge cuts the window."""
    window = (2 * step_px + 1, 2 * step_px + 1)
    ones = np.ones_like(values)
    x = np.broadcast_to(np.arange(values.shape[1], dtype=np.float32), values.shape)
    y = np.broadcast_to(np.arange(values.shape[0], dtype=np.float32)[:, None], values.shape)

    def mean(a: NDArray[np.float32]) -> NDArray[np.float64]:
        box = cv2.boxFilter(a, cv2.CV_64F, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
        count = cv2.boxFilter(ones, cv2.CV_64F, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(box / count, np.float64)

    node_y = np.arange(rows)[:, None] * step_px
    node_x = np.arange(columns)[None, :] * step_px
    at = np.minimum(node_y, values.shape[0] - 1), np.minimum(node_x, values.shape[1] - 1)
    center, mean_x, mean_y = mean(values), mean(x), mean(y)
    slope_x = _slope(mean(values * x), center, mean_x, mean(x * x))
    slope_y = _slope(mean(values * y), center, mean_y, mean(y * y))
    return np.asarray(center[at] + slope_x[at] * (node_x - mean_x[at]) + slope_y[at] * (node_y - mean_y[at]))


def _slope(
    product: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], square: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray((product - a * b) / np.maximum(square - b * b, 1e-9))
