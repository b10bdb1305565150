"""The camera as it was really built and screwed to the arm: its lens, and how it sits against the drawing.

Pose and rotation are worked out here anew, not taken from `drivers/geometry/rigid.py`: the Scene is the truth by which
the drivers and the calibration are tested, so an error in theirs must not be in it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene.sensor import HEIGHT_PX, WIDTH_PX

F64 = NDArray[np.float64]
Vector = tuple[float, float, float]

FOCAL_PX = 24429.0  # 56 mm field at 250 mm
CENTER_PX = ((WIDTH_PX - 1) / 2, (HEIGHT_PX - 1) / 2)


@dataclass(frozen=True, slots=True)
class MountedCamera:
    """Focal length and principal point in pixels of the full sensor; shift and turn (a rotation vector) of the camera.

    Both are in the arm's camera frame, where the arm reports the camera: x right, y down, z ahead, origin at the
    nominal entrance pupil.
    """

    focal_px: float = FOCAL_PX
    center_px: tuple[float, float] = CENTER_PX
    shift_mm: Vector = (0.0, 0.0, 0.0)
    turn_deg: Vector = (0.0, 0.0, 0.0)

    @classmethod
    def toleranced(
        cls, seed: int, focal_percent: float, center_px: float, mount_mm: float, mount_deg: float
    ) -> MountedCamera:
        """As built: each figure off by a normal draw of that spread, mount_mm and mount_deg per axis."""
        draw = np.random.default_rng([seed, 67]).standard_normal(9)
        cx, cy = CENTER_PX
        shift, turn = draw[3:6] * mount_mm, draw[6:9] * mount_deg
        return cls(
            FOCAL_PX * (1.0 + 0.01 * focal_percent * float(draw[0])),
            (cx + center_px * float(draw[1]), cy + center_px * float(draw[2])),
            (float(shift[0]), float(shift[1]), float(shift[2])),
            (float(turn[0]), float(turn[1]), float(turn[2])),
        )

    def moved(self, shift_mm: Vector, turn_deg: Vector) -> MountedCamera:
        """The same camera after a knock: shift and turn added to what was."""
        shift, turn = (np.add(a, b) for a, b in ((self.shift_mm, shift_mm), (self.turn_deg, turn_deg)))
        return MountedCamera(
            self.focal_px, self.center_px, (float(shift[0]), float(shift[1]), float(shift[2])),
            (float(turn[0]), float(turn[1]), float(turn[2])),
        )  # fmt: skip

    def mount(self) -> F64:
        """(4, 4): from the camera's frame into the arm's camera frame."""
        out = np.eye(4)
        out[:3, :3] = rotation(np.radians(self.turn_deg))
        out[:3, 3] = self.shift_mm
        return out

    def standing(self, pose: Pose) -> tuple[F64, F64]:
        """Entrance pupil (3,) in mm and rows right, up, ahead, station frame, when the arm stands at `pose`."""
        place = arm_frame(pose) @ self.mount()
        return place[:3, 3], np.array([place[:3, 0], -place[:3, 1], place[:3, 2]])


def axes_of(tilt_deg: float, pan_deg: float) -> F64:
    """Rows right, up, ahead of a camera, station frame (see `drivers/geometry/pose.py`)."""
    t, p = math.radians(tilt_deg), math.radians(pan_deg)
    ahead = np.array([-math.sin(t) * math.cos(p), -math.sin(t) * math.sin(p), -math.cos(t)])
    up = np.array([-math.cos(t) * math.cos(p), -math.cos(t) * math.sin(p), math.sin(t)])
    return np.array([np.cross(ahead, up), up, ahead])


def arm_frame(pose: Pose) -> F64:
    """(4, 4): from the arm's camera frame (x right, y down, z ahead) into the station frame."""
    right, up, ahead = axes_of(pose.tilt_deg, pose.pan_deg)
    out = np.eye(4)
    out[:3, :3] = np.column_stack([right, -up, ahead])
    out[:3, 3] = (pose.x_mm, pose.y_mm, pose.z_mm)
    return out


def rotation(vector_rad: F64) -> F64:
    """(3, 3) rotation matrix of a rotation vector in radians (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector_rad))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = np.asarray(vector_rad) / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross, np.float64)
