"""From pixels to lines of sight and back, with a calibrated camera or none.

Camera axes: x right, y up, z toward the camera, origin at the target point (on the optical axis at the working
distance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from calibration.camera_model import F64, pinhole_matrix


class LightCalibrationError(ValueError):
    """Pictures from which no light can be calibrated; the text names the picture, what was found, and the cure."""


class Rays(Protocol):
    """Lines of sight of one camera at one picture size."""

    @property
    def length_unit(self) -> str:
        """`mm` of a calibrated camera, `px` where only pixels are known."""
        ...

    @property
    def focal_px(self) -> float | None:
        """Focal length in pixels of the picture as it is (binned); None where all lines of sight are parallel."""
        ...

    def through(self, x_px: F64, y_px: F64) -> tuple[F64, F64]:
        """A point on each pixel's line of sight (N, 3), and its unit direction away from the camera (N, 3)."""
        ...

    def project(self, points: F64) -> F64:
        """(N, 2) pixels x, y of points (N, 3)."""
        ...


@dataclass(frozen=True)
class Orthographic:
    """A camera taken as infinitely far away: lengths are pixels, the origin is the centre of the first pixel."""

    length_unit: str = "px"
    focal_px: float | None = None

    def through(self, x_px: F64, y_px: F64) -> tuple[F64, F64]:
        x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
        points = np.stack([x, -y, np.zeros_like(x)], axis=-1)
        return points, np.broadcast_to(np.array([0.0, 0.0, -1.0]), points.shape)

    def project(self, points: F64) -> F64:
        return np.stack([points[..., 0], -points[..., 1]], axis=-1)


@dataclass(frozen=True)
class Pinhole:
    """A calibrated camera at the picture's own size; `distortion` in OpenCV's order."""

    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    working_distance_mm: float
    distortion: tuple[float, ...] = ()
    length_unit: str = "mm"

    @property
    def focal_px(self) -> float | None:
        return self.fx_px

    def through(self, x_px: F64, y_px: F64) -> tuple[F64, F64]:
        x, y = np.broadcast_arrays(np.asarray(x_px, np.float64), np.asarray(y_px, np.float64))
        u, v = (x - self.cx_px) / self.fx_px, (y - self.cy_px) / self.fy_px
        if any(self.distortion):
            points = np.stack([x.ravel(), y.ravel()], -1).reshape(-1, 1, 2)
            flat: F64 = np.array(
                cv2.undistortPoints(points, self._matrix(), np.array(self.distortion)), np.float64
            ).reshape(-1, 2)
            u, v = flat[:, 0].reshape(x.shape), flat[:, 1].reshape(x.shape)
        directions = np.stack([u, -v, -np.ones_like(u)], axis=-1)
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        return np.broadcast_to(np.array([0.0, 0.0, self.working_distance_mm]), directions.shape), directions

    def project(self, points: F64) -> F64:
        seen = np.asarray(points, np.float64).reshape(-1, 3)
        camera = np.stack([seen[:, 0], -seen[:, 1], self.working_distance_mm - seen[:, 2]], axis=-1)
        zero = np.zeros(3)
        pixels, _ = cv2.projectPoints(camera, zero, zero, self._matrix(), np.array(self.distortion or (0.0,) * 4))
        return np.asarray(pixels.reshape(*np.shape(points)[:-1], 2), np.float64)

    def _matrix(self) -> F64:
        return pinhole_matrix((self.fx_px, self.fy_px, self.cx_px, self.cy_px))


def unit(vectors: F64) -> F64:
    """The vectors (..., 3) scaled to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float64)


def angle_deg(a: F64, b: F64) -> F64:
    """Angles between unit vectors (..., 3), from the chord: exact for small angles too, unlike the arc cosine."""
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1))), np.float64)
