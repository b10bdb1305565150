"""Where to send the arm so that a camera sees what another one saw, from both cameras' mounts and lenses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from calibration.camera_model import F64
from calibration.hand_eye.poses import arm_pose
from drivers.geometry.rigid import inverse, rotation_vector


@dataclass(frozen=True)
class CameraOnArm:
    """A camera with its mount: `mount` (4, 4) leads from the camera's frame to the arm's camera frame.

    Pixels are those of the full sensor.
    """

    mount: F64
    focal_px: float
    center_px: tuple[float, float]

    def is_like(self, other: CameraOnArm) -> bool:
        """Whether both have the same figures, to the precision with which records write them."""
        mine, theirs = (np.array([c.focal_px, *c.center_px]) for c in (self, other))
        return bool(np.allclose(mine, theirs, atol=1e-3) and np.allclose(self.mount, other.mount, atol=1e-6))


def aim(
    axes: tuple[float, ...], then: CameraOnArm, now: CameraOnArm, distance_mm: float
) -> tuple[float, float, float, float, float]:
    """The arm's x, y, z (mm), tilt, pan (degrees) at which `now` sees what `then` saw at `axes`.

    Tilt and pan turn the camera as close to the old one's orientation as five axes can. Then the camera is shifted so
    that the point on the old optical axis at `distance_mm` lies at the same pixel and at the same scale. The turn that
    no axis can make remains, at most as large as the mount's own: it displaces a height of h by h times the angle.
    """
    old = arm_pose(axes) @ then.mount

    def turned(angles: F64) -> F64:
        return np.asarray(arm_pose((0.0, 0.0, 0.0, *angles)) @ now.mount, np.float64)

    def off(angles: F64) -> F64:
        return rotation_vector(old[:3, :3].T @ turned(angles)[:3, :3])

    least = 0.0 if axes[3] >= 0 else -np.inf  # gantries tilt to one side alone
    start = (max(axes[3], 1e-6), axes[4]) if axes[3] >= 0 else axes[3:]
    bounds = ([least, -np.inf], [np.inf, np.inf])
    tilt, pan = least_squares(off, start, bounds=bounds, x_scale=0.1, xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    point = old @ [0.0, 0.0, distance_mm, 1.0]
    ray = [*((t - n) / now.focal_px for t, n in zip(then.center_px, now.center_px, strict=True)), 1.0]
    away = distance_mm * now.focal_px / then.focal_px
    x, y, z = (point - turned(np.array([tilt, pan])) @ np.append(np.multiply(ray, away), 1.0))[:3]
    return float(x), float(y), float(z), float(tilt), float(pan)


def mount_of(axes: tuple[float, ...], camera_to_station: F64) -> F64:
    """(4, 4) the mount of a camera that was found at `camera_to_station` (4, 4) while the arm reported `axes`."""
    return np.asarray(inverse(arm_pose(axes)) @ camera_to_station, np.float64)
