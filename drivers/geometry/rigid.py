"""Rigid transforms: rotation vectors, a camera's Pose and an arm's coordinates as (4, 4) float64 in millimetres.

The camera's frame is x right, y down, z forward (OpenCV). Angles are degrees, except in rotation vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose

F64 = NDArray[np.float64]
Transform = F64  # (4, 4); maps points of the inner frame to the outer one

UPRIGHT = 1e-9  # sine below which a direction counts as an axis


def from_coordinates(x_mm: float, y_mm: float, z_mm: float, rx_deg: float, ry_deg: float, rz_deg: float) -> Transform:
    """From position and Euler angles as robot makers write them: R = Rz(rz) Ry(ry) Rx(rx), about fixed x, then y, z."""
    (cx, sx), (cy, sy), (cz, sz) = (_cos_sin(a) for a in (rx_deg, ry_deg, rz_deg))
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx, x_mm],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx, y_mm],
            [-sy, cy * sx, cy * cx, z_mm],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def to_coordinates(transform: Transform) -> tuple[float, float, float, float, float, float]:
    """x, y, z, rx, ry, rz; ry in -90..90. Where ry is +-90 only rz -+ rx is defined, and rz is set to 0."""
    r = transform
    ry = math.atan2(-r[2, 0], math.hypot(r[0, 0], r[1, 0]))
    if math.hypot(r[0, 0], r[1, 0]) > UPRIGHT:
        rx, rz = math.atan2(r[2, 1], r[2, 2]), math.atan2(r[1, 0], r[0, 0])
    else:
        rx, rz = math.copysign(1.0, ry) * math.atan2(r[0, 1], r[1, 1]), 0.0
    place = (float(r[0, 3]), float(r[1, 3]), float(r[2, 3]))
    return (*place, math.degrees(rx), math.degrees(ry), math.degrees(rz))


def cross_matrix(v: F64) -> F64:
    """(3, 3): `cross_matrix(v) @ w` is v x w."""
    x, y, z = v
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def rotation(vector_rad: F64) -> F64:
    """(3, 3) of a rotation vector (3,), by Rodrigues' formula; to second order below 1e-9 rad."""
    angle = float(np.linalg.norm(vector_rad))
    k = cross_matrix(np.asarray(vector_rad, np.float64))
    if angle < 1e-9:
        return np.asarray(np.eye(3) + k + 0.5 * k @ k, np.float64)
    return np.asarray(np.eye(3) + np.sin(angle) / angle * k + (1 - np.cos(angle)) / angle**2 * k @ k, np.float64)


def rotation_vector(turn: F64) -> F64:
    """(3,) in rad of a rotation (3, 3), at most pi long: the inverse of `rotation`."""
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    sine, cosine = float(np.linalg.norm(axis)), float((np.trace(turn) - 1) / 2)
    angle = np.arctan2(sine, cosine)
    if sine > 1e-9:
        return np.asarray(axis / sine * angle, np.float64)
    if cosine > 0:
        return np.asarray(axis, np.float64)
    column = int(np.argmax(np.diag(turn)))  # half a turn: the axis from the largest column of (turn + 1) / 2
    v = (turn[:, column] + np.eye(3)[:, column]) / np.sqrt(max(2 * (1 + turn[column, column]), 1e-300))
    return np.asarray(v * np.pi, np.float64)


def inverse(transform: Transform) -> Transform:
    """The way back: `inverse(a) @ a` is the identity. For rigid transforms only."""
    turned = transform[:3, :3].T
    result = np.eye(4)
    result[:3, :3] = turned
    result[:3, 3] = -turned @ transform[:3, 3]
    return result


def camera_in_station(pose: Pose) -> Transform:
    """Maps points of the camera's frame into the station frame (`Pose` has the formula of forward and up)."""
    (ct, st), (cp, sp) = _cos_sin(pose.tilt_deg), _cos_sin(pose.pan_deg)
    forward = np.array([-st * cp, -st * sp, -ct])
    up = np.array([-ct * cp, -ct * sp, st])
    result = np.eye(4)
    result[:3, 0] = np.cross(forward, up)
    result[:3, 1] = -up
    result[:3, 2] = forward
    result[:3, 3] = (pose.x_mm, pose.y_mm, pose.z_mm)
    return result


def pose_of_camera(transform: Transform, near_pan_deg: float = 0.0) -> Pose:
    """The inverse of `camera_in_station`; pan within 180 degrees of `near_pan_deg`. A roll is ignored."""
    forward, up = transform[:3, 2], -transform[:3, 1]
    tilt = math.atan2(up[2], -forward[2])
    level = -(up * math.cos(tilt) + forward * math.sin(tilt))  # (cos pan, sin pan, 0) for a camera without roll
    pan_deg = math.degrees(math.atan2(level[1], level[0]))
    pan_deg += 360.0 * round((near_pan_deg - pan_deg) / 360.0)
    x, y, z = (float(v) for v in transform[:3, 3])
    return Pose(x, y, z, math.degrees(tilt), pan_deg)


def distance_mm(a: Transform, b: Transform) -> float:
    """Between the two origins."""
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3]))


def angle_between_deg(a: Transform, b: Transform) -> float:
    """The angle of the one rotation that turns `a` into `b`, 0..180; accurate for small angles."""
    relative = a[:3, :3].T @ b[:3, :3]
    axis = [relative[2, 1] - relative[1, 2], relative[0, 2] - relative[2, 0], relative[1, 0] - relative[0, 1]]
    return math.degrees(math.atan2(math.hypot(*axis), float(np.trace(relative)) - 1.0))


def rigid_from_rows(rows: Sequence[Sequence[float]]) -> Transform:
    """A 4x4 matrix as written in a file. Raises ValueError unless it is a rotation (to 1e-3) and a translation."""
    matrix = np.array(rows, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
        raise ValueError("a transform is 4 rows of 4 finite numbers")
    turn = matrix[:3, :3]
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) or np.linalg.det(turn) < 0:
        raise ValueError("the upper left 3x3 is no rotation")
    if not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        raise ValueError("the last row must be 0 0 0 1")
    return matrix


def _cos_sin(angle_deg: float) -> tuple[float, float]:
    angle = math.radians(angle_deg)
    return math.cos(angle), math.sin(angle)
