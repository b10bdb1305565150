"""Where to send the arm so that the camera stands as another one stood: by how each sits on its arm, and its lens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from calibration.camera_model import F64
from calibration.hand_eye.poses import arm_pose, inverse, rotation_vector


@dataclass(frozen=True)
class CameraOnArm:
    """`mount` (4, 4): the camera's frame in that in which the arm says it stands; pixels of the full sensor."""

    mount: F64
    focal_px: float
    center_px: tuple[float, float]

    def is_like(self, other: CameraOnArm) -> bool:
        """The same figures as far as records write them."""
        mine, theirs = (np.array([c.focal_px, *c.center_px]) for c in (self, other))
        return bool(np.allclose(mine, theirs, atol=1e-3) and np.allclose(self.mount, other.mount, atol=1e-6))


def aim(
    axes: tuple[float, ...], then: CameraOnArm, now: CameraOnArm, distance_mm: float
) -> tuple[float, float, float, float, float]:
    """The arm's x, y, z (mm), tilt, pan (degrees) at which `now` sees what `then` saw at `axes`.

    Tilt and pan turn the camera as near to the old one's orientation as five axes can. Then it is shifted so that
    the point on the old optical axis at `distance_mm` lies at the same pixel and at the same scale. What stays is a
    turn that no axis makes (up to the mount's own), which moves heights of h against each other by h times the angle.
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
    """(4, 4) from where the camera was found when the arm said `axes`."""
    return np.asarray(inverse(arm_pose(axes)) @ camera_to_station, np.float64)
