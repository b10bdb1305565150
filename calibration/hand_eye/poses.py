"""Rigid poses as (4, 4) matrices: rotation vectors, small moves, and the arm's five numbers as a pose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.camera_model import F64

ARM_AXES = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")


def cross_matrix(v: F64) -> F64:
    """(3, 3): cross_matrix(v) @ w is v x w."""
    x, y, z = v
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def rotation(vector_rad: F64) -> F64:
    """(3, 3) of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(vector_rad))
    k = cross_matrix(np.asarray(vector_rad, np.float64))
    if angle < 1e-9:
        return np.asarray(np.eye(3) + k + 0.5 * k @ k, np.float64)
    return np.asarray(np.eye(3) + np.sin(angle) / angle * k + (1 - np.cos(angle)) / angle**2 * k @ k, np.float64)


def rotation_vector(turn: F64) -> F64:
    """(3,) rad, at most pi long."""
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    sine, cosine = float(np.linalg.norm(axis)), float((np.trace(turn) - 1) / 2)
    angle = np.arctan2(sine, cosine)
    if sine > 1e-9:
        return np.asarray(axis / sine * angle, np.float64)
    if cosine > 0:
        return np.asarray(axis, np.float64)
    column = int(np.argmax(np.diag(turn)))
    v = (turn[:, column] + np.eye(3)[:, column]) / np.sqrt(max(2 * (1 + turn[column, column]), 1e-300))
    return np.asarray(v * np.pi, np.float64)


def pose_of(vector_rad: F64, shift_mm: F64) -> F64:
    """(4, 4) from a rotation vector and a translation."""
    out = np.eye(4)
    out[:3, :3] = rotation(vector_rad)
    out[:3, 3] = shift_mm
    return out


def inverse(pose: F64) -> F64:
    out = np.eye(4)
    out[:3, :3] = pose[:3, :3].T
    out[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
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

    axes: x, y, z in mm, tilt and pan in degrees: at tilt t and pan p it looks along
    -(sin t cos p, sin t sin p, cos t), and down in its picture is (cos t cos p, cos t sin p, -sin t).
    """
    x, y, z, tilt, pan = axes
    t, p = np.radians([tilt, pan])
    ahead = -np.array([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)])
    down = np.array([np.cos(t) * np.cos(p), np.cos(t) * np.sin(p), -np.sin(t)])
    out = np.eye(4)
    out[:3, :3] = np.column_stack([cross_matrix(down) @ ahead, down, ahead])
    out[:3, 3] = (x, y, z)
    return out


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
