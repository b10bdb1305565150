"""Rigid transforms, (4, 4) float64 in millimetres: a camera's Pose and an arm's coordinates as one thing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Pose

Transform = NDArray[np.float64]  # (4, 4); maps points of the inner frame to the outer one

UPRIGHT = 1e-9  # sine below which a direction counts as an axis


def from_coordinates(x_mm: float, y_mm: float, z_mm: float, rx_deg: float, ry_deg: float, rz_deg: float) -> Transform:
    """Position and Euler angles as robot makers write them: R = Rz(rz) Ry(ry) Rx(rx), about fixed x, then y, then z."""
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
    """x, y, z, rx, ry, rz with ry in -90..90; where ry is +-90 only rz -+ rx is defined, and rz is 0."""
    r = transform
    ry = math.atan2(-r[2, 0], math.hypot(r[0, 0], r[1, 0]))
    if math.hypot(r[0, 0], r[1, 0]) > UPRIGHT:
        rx, rz = math.atan2(r[2, 1], r[2, 2]), math.atan2(r[1, 0], r[0, 0])
    else:
        rx, rz = math.copysign(1.0, ry) * math.atan2(r[0, 1], r[1, 1]), 0.0
    place = (float(r[0, 3]), float(r[1, 3]), float(r[2, 3]))
    return (*place, math.degrees(rx), math.degrees(ry), math.degrees(rz))


def inverse(transform: Transform) -> Transform:
    turned = transform[:3, :3].T
    result = np.eye(4)
    result[:3, :3] = turned
    result[:3, 3] = -turned @ transform[:3, 3]
    return result


def camera_in_station(pose: Pose) -> Transform:
    """The camera's own frame is x right, y down, z forward (`drivers/protocols.py` has forward and up)."""
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
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3]))


def angle_between_deg(a: Transform, b: Transform) -> float:
    """The one rotation that turns `a` into `b`; accurate for small angles."""
    relative = a[:3, :3].T @ b[:3, :3]
    axis = [relative[2, 1] - relative[1, 2], relative[0, 2] - relative[2, 0], relative[1, 0] - relative[0, 1]]
    return math.degrees(math.atan2(math.hypot(*axis), float(np.trace(relative)) - 1.0))


def rigid_from_rows(rows: Sequence[Sequence[float]]) -> Transform:
    """A 4x4 matrix as written in a file; raises ValueError unless it is a rotation and a translation."""
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
