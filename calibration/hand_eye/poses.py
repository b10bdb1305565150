"""Rigid poses as (4, 4) matrices: small moves, means, and the arm's five numbers as a pose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.camera_model import F64
from drivers.geometry.pose import Pose
from drivers.geometry.rigid import camera_in_station, cross_matrix, inverse, rotation, rotation_vector

ARM_AXES = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")


def pose_of(vector_rad: F64, shift_mm: F64) -> F64:
    """(4, 4) from a rotation vector and a translation."""
    out = np.eye(4)
    out[:3, :3] = rotation(vector_rad)
    out[:3, 3] = shift_mm
    return out


def small_move(step: F64) -> F64:
    """(4, 4) from (6,): rotation vector in rad, then shift in mm; first order is all that callers need of it."""
    return pose_of(step[:3], step[3:])


def move_between(first: F64, second: F64) -> F64:
    """(6,): the rotation vector in rad and shift in mm, in the frame of `first`, that lead to `second`."""
    between = inverse(first) @ second
    return np.concatenate([rotation_vector(between[:3, :3]), between[:3, 3]])


def adjoint(pose: F64) -> F64:
    """(6, 6): a small move before `pose`, told as one after it: pose small_move(s) = small_move(adjoint s) pose."""
    out = np.zeros((6, 6))
    out[:3, :3] = out[3:, 3:] = pose[:3, :3]
    out[3:, :3] = cross_matrix(pose[:3, 3]) @ pose[:3, :3]
    return out


def arm_pose(axes: Sequence[float] | F64) -> F64:
    """(4, 4): camera frame (x right, y down, z ahead) to station frame of a camera that sits on the arm as drawn.

    axes: x, y, z in mm, tilt and pan in degrees; `Pose` has the formula.
    """
    x, y, z, tilt, pan = (float(value) for value in axes)
    return camera_in_station(Pose(x, y, z, tilt, pan))


def arm_slopes(axes: Sequence[float] | F64) -> F64:
    """(6, 5): the small move in the arm's camera frame per mm or degree of each axis."""
    pan = np.radians(axes[4])
    to_camera = arm_pose(axes)[:3, :3].T
    out = np.zeros((6, len(ARM_AXES)))
    out[3:, :3] = to_camera
    out[:3, 3] = np.radians(1.0) * (to_camera @ [-np.sin(pan), np.cos(pan), 0.0])  # tilt turns about this axis
    out[:3, 4] = np.radians(1.0) * to_camera[:, 2]  # and pan about the station's z
    return out


def mean_rotation(turns: Sequence[F64]) -> F64:
    """The rotation nearest to all of them (chordal)."""
    u, _, v = np.linalg.svd(np.sum(turns, axis=0))
    return np.asarray(u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v, np.float64)


def mean_pose(poses: Sequence[F64]) -> F64:
    out = np.eye(4)
    out[:3, :3] = mean_rotation([pose[:3, :3] for pose in poses])
    out[:3, 3] = np.mean([pose[:3, 3] for pose in poses], axis=0)
    return out
