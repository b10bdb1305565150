"""The pinhole camera with OpenCV's lens distortion: the camera that every calibration file describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
DISTORTION_LENGTHS = (0, 4, 5, 8, 12, 14)


class CalibrationFileError(ValueError):
    """A calibration file that cannot be used; the text names file, line or field, what was found, and the cure."""


@dataclass(frozen=True)
class CameraModel:
    """Focal lengths, principal point and distortion of one camera at its full, unbinned size.

    Pixel centres lie at integers, the origin at the top left; distortion in OpenCV's order k1 k2 p1 p2 k3 k4..k6
    s1..s4.
    """

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, ...] = ()

    @property
    def matrix(self) -> F64:
        """K, (3, 3)."""
        return pinhole_matrix((self.fx_px, self.fy_px, self.cx_px, self.cy_px))

    @property
    def coefficients(self) -> F64:
        """The distortion, filled with zeros to the next length that OpenCV accepts (4, 5, 8, 12 or 14)."""
        length = next(n for n in DISTORTION_LENGTHS[1:] if n >= len(self.distortion))
        return np.array([*self.distortion, *([0.0] * (length - len(self.distortion)))], np.float64)

    def project(self, points_mm: F64) -> F64:
        """(N, 3) in the camera's frame (x right, y down, z ahead) to (N, 2) pixels."""
        seen, _ = cv2.projectPoints(_columns(points_mm, 3), np.zeros(3), np.zeros(3), self.matrix, self.coefficients)
        return np.asarray(seen.reshape(-1, 2), np.float64)

    def rays(self, pixels: F64) -> F64:
        """(N, 2) pixels to (N, 3) directions of unit depth in the camera's frame, distortion taken out."""
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
        flat = cv2.undistortPointsIter(_columns(pixels, 2), self.matrix, self.coefficients, np.eye(3), np.eye(3), stop)
        return np.column_stack([flat.reshape(-1, 2), np.ones(len(flat))]).astype(np.float64)

    def distortion_shift_px(self, steps: int = 33) -> F64:
        """(steps, steps, 2): how far the lens moves the pixels of a grid over the whole image."""
        x, y = np.meshgrid(np.linspace(0, self.width_px - 1, steps), np.linspace(0, self.height_px - 1, steps))
        return self.distortion_shift_at(np.column_stack([x.ravel(), y.ravel()])).reshape(steps, steps, 2)

    def distortion_shift_at(self, straight: F64) -> F64:
        """(N, 2): how far the lens moves what would lie at these pixels (N, 2) without distortion."""
        flat = (straight - [self.cx_px, self.cy_px]) / [self.fx_px, self.fy_px]
        bent = self.project(np.column_stack([flat, np.ones(len(flat))]))
        return np.asarray(bent - straight, np.float64)

    def has_center_inside(self) -> bool:
        """Whether the principal point lies within the image, borders of the outer pixels included."""
        return -0.5 <= self.cx_px <= self.width_px - 0.5 and -0.5 <= self.cy_px <= self.height_px - 0.5


def pinhole_matrix(intrinsic: Sequence[float] | F64) -> F64:
    """K, (3, 3), of fx, fy, cx, cy; without skew."""
    fx, fy, cx, cy = intrinsic
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _columns(values: F64, width: int) -> F64:
    return np.ascontiguousarray(np.asarray(values, np.float64).reshape(-1, 1, width))


def model_warnings(camera: CameraModel) -> tuple[str, ...]:
    """Reasons to doubt these figures, from whatever file they came; none for a plausible camera."""
    warnings = []
    aspect = camera.fx_px / camera.fy_px - 1
    if abs(aspect) > 0.005:
        warnings.append(f"fx/fy differs from 1 by {aspect:+.1%}: square pixels cannot; more than 0.5 % is not a lens")
    if not camera.has_center_inside():
        warnings.append(
            f"principal point ({camera.cx_px:.0f}, {camera.cy_px:.0f}) lies outside the image of "
            f"{camera.width_px} x {camera.height_px} px"
        )
    shift = np.linalg.norm(camera.distortion_shift_px(), axis=2)
    if not np.isfinite(shift).all() or shift.max() > 0.02 * camera.width_px:
        warnings.append(f"distortion moves pixels by {shift.mean():.0f} px in the mean and up to {shift.max():.0f} px")
    return tuple(warnings)
