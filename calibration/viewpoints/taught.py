"""Taught viewpoints: where the camera truly is at each, how surely, how well it returns, and what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from calibration.camera.adjust import BoardView, Solution, fit_pose
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.poses import arm_pose, inverse, move_between, pose_of
from calibration.hand_eye.result import HandEye

FEWEST_RETURNS = 2
# On the normal interval. Over 40 simulated calibrations 90 to 100 % per quantity held without it, 95 % on average;
# the rest pays for what the adjustment does not know: corners that err alike in neighbouring pictures.
# The mount's angles have an allowance of their own besides: see `hand_eye`.
MARGIN = 1.2


@dataclass(frozen=True)
class Returns:
    """How n visits to one viewpoint scatter, one sigma; measured on a board that lay still."""

    count: int
    mm: float  # per axis
    deg: float
    px: float  # of the picture's middle, per coordinate
    worst_px: float  # farthest from the mean


@dataclass(frozen=True)
class Viewpoint:
    """`pose`: camera frame (x right, y down, z ahead) to station frame where the arm comes to stand on average.

    `covariance` (6, 6): of a small move in the camera's frame, rotation in rad, then shift in mm; of the taught
    pose, to which each visit adds the arm's own repeatability.
    """

    name: str
    axes: tuple[float, ...]  # of the arm: x, y, z in mm, tilt and pan in degrees
    pose: F64
    covariance: F64
    factor95: float  # half width of the 95 % interval over one sigma
    returns: Returns | None = None

    @property
    def position_mm(self) -> F64:
        return self.pose[:3, 3]

    @property
    def position_interval95_mm(self) -> F64:
        """(3,) half widths along the station's axes."""
        turn = self.pose[:3, :3]
        return np.asarray(self.factor95 * np.sqrt(np.diag(turn @ self.covariance[3:, 3:] @ turn.T)), np.float64)

    @property
    def angle_interval95_deg(self) -> F64:
        """(3,) half widths of a turn about the camera's right, down and ahead."""
        return np.asarray(np.degrees(self.factor95 * np.sqrt(np.diag(self.covariance)[:3])), np.float64)

    def errors(self, truth: F64) -> tuple[F64, F64]:
        """Position off the true pose (3,) mm along the station's axes, and turn (3,) degrees about the camera's."""
        turn = move_between(self.pose, truth)[:3]
        return np.asarray(self.pose[:3, 3] - truth[:3, 3], np.float64), np.degrees(-turn)


def viewpoint_of(hand_eye: HandEye, name: str, axes: Sequence[float], returns: Returns | None = None) -> Viewpoint:
    """The camera's pose where the arm says `axes`."""
    pose = arm_pose(axes) @ hand_eye.mount
    factor = MARGIN * float(student.ppf(0.975, max(hand_eye.freedom, 1.0)))
    return Viewpoint(name, tuple(axes), pose, hand_eye.mount_covariance, factor, returns)


def camera_in_board(view: BoardView, camera: Solution) -> F64:
    """(4, 4): camera to board, from one picture with the camera known. Raises AdjustmentError."""
    pose, _ = fit_pose(view, camera)
    return inverse(pose_of(pose[:3], pose[3:]))


def study_returns(poses: Sequence[F64], focal_px: float, distance_mm: float) -> Returns:
    """poses (4, 4): camera to board at each visit. Raises ValueError for fewer than FEWEST_RETURNS."""
    if len(poses) < FEWEST_RETURNS:
        raise ValueError(f"{len(poses)} visits, at least {FEWEST_RETURNS} are needed to see how they scatter")
    moves = np.array([move_between(poses[0], pose) for pose in poses])
    moves -= moves.mean(axis=0)
    spread = np.sqrt((moves**2).sum(axis=0) / (len(poses) - 1))
    # how far the picture's middle moves: the camera's turn about right and down, and its shift across
    across = np.column_stack([moves[:, 1], -moves[:, 0]]) + moves[:, 3:5] / distance_mm
    seen = focal_px * across
    return Returns(
        len(poses), float(np.sqrt((spread[3:] ** 2).mean())), float(np.degrees(np.sqrt((spread[:3] ** 2).mean()))),
        float(np.sqrt((seen**2).sum() / (2 * (len(poses) - 1)))), float(np.linalg.norm(seen, axis=1).max()),
    )  # fmt: skip


def station_ray(viewpoint: Viewpoint, camera: CameraModel, pixels: F64) -> tuple[F64, F64]:
    """Entrance pupil (3,) mm and unit directions (N, 3), station frame, of pixels (N, 2) of the full sensor."""
    rays = camera.rays(pixels) @ viewpoint.pose[:3, :3].T
    return viewpoint.position_mm, np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), np.float64)


def pixels_of(viewpoint: Viewpoint, camera: CameraModel, points_mm: F64) -> F64:
    """(N, 2) pixels where points (N, 3) of the station frame are seen; nan for points behind the camera."""
    seen = (points_mm - viewpoint.position_mm) @ viewpoint.pose[:3, :3]
    pixels = camera.project(np.where(seen[:, 2:] > 0, seen, [0.0, 0.0, 1.0]))
    return np.where(seen[:, 2:] > 0, pixels, np.nan)


def on_plane(
    viewpoint: Viewpoint, camera: CameraModel, pixels: F64, point_mm: F64, normal: F64
) -> F64:  # fmt: skip
    """(N, 3) station points where the pixels' rays meet a plane; nan where they do not, ahead of the camera."""
    origin, rays = station_ray(viewpoint, camera, pixels)
    fall = rays @ normal
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(np.abs(fall) > 1e-12, ((point_mm - origin) @ normal) / fall, np.nan)
    return np.where((reach > 0)[:, None], origin + reach[:, None] * rays, np.nan)


def transfer(pixels: F64, first: Viewpoint, second: Viewpoint, camera: CameraModel, point_mm: F64, normal: F64) -> F64:
    """(N, 2): where what `first` sees at these pixels is seen from `second`, if it lies on that plane of the station.

    For a surface that is not a plane give each pixel's own point through `station_ray` and a depth.
    """
    points = on_plane(first, camera, pixels, point_mm, normal)
    known = np.isfinite(points).all(axis=1)
    out = np.full((len(pixels), 2), np.nan)
    out[known] = pixels_of(second, camera, points[known])
    return out
