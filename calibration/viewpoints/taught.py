"""Taught viewpoints: where the camera truly is at each, how certain that is, how well it returns, and what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from calibration.camera.adjust import BoardView, Solution, fit_pose
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.poses import arm_pose, move_between, pose_of
from calibration.hand_eye.result import HandEye
from drivers.geometry.rigid import inverse

FEWEST_RETURNS = 2
# Factor on the normal 95 % interval. Over 40 simulated calibrations 90 to 100 % of the truths per quantity lay inside
# without it, 95 % on average. It pays for corners that err alike in neighbouring pictures, which the adjustment takes
# for independent. The mount's angles have an allowance of their own besides: see `hand_eye.adjust`.
MARGIN = 1.2


@dataclass(frozen=True)
class Returns:
    """How repeated visits to one viewpoint scatter, one sigma; measured on a board that lay still."""

    count: int
    mm: float  # per axis
    deg: float
    px: float  # of the picture's middle, per coordinate
    worst_px: float  # farthest from the mean


@dataclass(frozen=True)
class Viewpoint:
    """Where the camera is, on average, when the arm reports `axes`.

    `pose` (4, 4) leads from the camera's frame (x right, y down, z ahead) to the station's. `covariance` (6, 6) is that
    of a small move in the camera's frame, rotation in rad, then shift in mm. It belongs to the average pose; each visit
    adds the arm's own repeatability.
    """

    name: str
    axes: tuple[float, ...]  # of the arm: x, y, z in mm, tilt and pan in degrees
    pose: F64
    covariance: F64
    factor95: float  # half width of the 95 % interval over one sigma
    returns: Returns | None = None

    @property
    def position_mm(self) -> F64:
        """(3,) the camera's entrance pupil in the station's frame."""
        return self.pose[:3, 3]

    @property
    def position_interval95_mm(self) -> F64:
        """(3,) half widths of the 95 % interval along the station's axes."""
        turn = self.pose[:3, :3]
        return np.asarray(self.factor95 * np.sqrt(np.diag(turn @ self.covariance[3:, 3:] @ turn.T)), np.float64)

    @property
    def angle_interval95_deg(self) -> F64:
        """(3,) half widths of the 95 % interval of a turn about the camera's right, down and ahead."""
        return np.asarray(np.degrees(self.factor95 * np.sqrt(np.diag(self.covariance)[:3])), np.float64)

    def errors(self, truth: F64) -> tuple[F64, F64]:
        """How far this pose is off the true one: (3,) mm along the station's axes, (3,) degrees about the camera's."""
        turn = move_between(self.pose, truth)[:3]
        return np.asarray(self.pose[:3, 3] - truth[:3, 3], np.float64), np.degrees(-turn)


def viewpoint_of(hand_eye: HandEye, name: str, axes: Sequence[float], returns: Returns | None = None) -> Viewpoint:
    """The viewpoint at which the arm reports `axes`, with the uncertainty of the mount."""
    pose = arm_pose(axes) @ hand_eye.mount
    factor = MARGIN * float(student.ppf(0.975, max(hand_eye.freedom, 1.0)))
    return Viewpoint(name, tuple(axes), pose, hand_eye.mount_covariance, factor, returns)


def camera_in_board(view: BoardView, camera: Solution) -> F64:
    """(4, 4) camera to board, from one picture with a known camera. Raises AdjustmentError where no pose fits."""
    pose, _ = fit_pose(view, camera)
    return inverse(pose_of(pose[:3], pose[3:]))


def study_returns(poses: Sequence[F64], focal_px: float, distance_mm: float) -> Returns:
    """The scatter of visits, from the camera's pose to the board (4, 4) at each.

    `distance_mm` is that of the board. Raises ValueError for fewer than FEWEST_RETURNS visits.
    """
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
    """(N, 3) station points where the pixels' rays meet a plane; nan where they do not meet it ahead of the camera."""
    origin, rays = station_ray(viewpoint, camera, pixels)
    fall = rays @ normal
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(np.abs(fall) > 1e-12, ((point_mm - origin) @ normal) / fall, np.nan)
    return np.where((reach > 0)[:, None], origin + reach[:, None] * rays, np.nan)


def transfer(pixels: F64, first: Viewpoint, second: Viewpoint, camera: CameraModel, point_mm: F64, normal: F64) -> F64:
    """(N, 2) pixels at which `second` sees what `first` sees at `pixels`, for points on a plane of the station.

    For another surface, find each pixel's own point by `station_ray` and a depth, then use `pixels_of`. nan where a ray
    misses the plane.
    """
    points = on_plane(first, camera, pixels, point_mm, normal)
    known = np.isfinite(points).all(axis=1)
    out = np.full((len(pixels), 2), np.nan)
    out[known] = pixels_of(second, camera, points[known])
    return out
