"""What goes into a hand-eye calibration and what comes out: visits of the arm, and how the camera sits on it."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.camera.adjust import BoardView, Solution
from calibration.camera_model import F64, CameraModel


@dataclass(frozen=True)
class Visit:
    """One picture of the board, and what the arm reported. `placement` numbers the board's places."""

    view: BoardView
    axes: tuple[float, ...]  # x, y, z in mm, tilt and pan in degrees, as reported
    placement: int


@dataclass(frozen=True)
class Repeatability:
    """How an arm scatters about the pose that it reports: one sigma per axis."""

    mm: float
    deg: float


@dataclass(frozen=True)
class HandEye:
    """The camera, its mount on the arm, and the arm's errors, adjusted together.

    `mount` leads from the camera's frame to the arm's camera frame. A small move is (rotation in rad, shift in mm)
    in the camera's own frame and applies as mount @ small_move(s).
    """

    camera: CameraModel
    intrinsic: F64  # (4,) fx fy cx cy
    distortion: F64  # (5,)
    mount: F64  # (4, 4)
    boards: dict[int, F64]  # by placement: (4, 4) board to station
    deviations: F64  # (n, 5) mm and degrees: where the arm stood, less what it reported
    shape_mm: F64  # (3,) the board's bow
    pitch: float  # true pitch over the stated one
    pitch_spread: float
    repeatability: Repeatability
    rms_px: float
    noise_px: float  # of one coordinate
    covariance: F64  # (q, q) of intrinsics, free coefficients, then the mount's small move; see `mount_covariance`
    freedom: float  # degrees of freedom of the visits from which the arm's repeatability is estimated
    solution: Solution

    @property
    def mount_covariance(self) -> F64:
        """(6, 6) of the mount's small move in the camera's frame, rad and mm."""
        return self.covariance[-6:, -6:]

    @property
    def intrinsic_covariance(self) -> F64:
        """(4, 4) of fx fy cx cy, px."""
        return self.covariance[:4, :4]
