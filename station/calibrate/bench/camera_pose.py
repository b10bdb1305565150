"""Where the camera really is over the fixture: leads from the station's frame to the camera's axes.

A drivers' `Pose` is what the arm reports. A `CameraPose` is where the camera then is, with its mount on the arm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera_model import F64
from calibration.hand_eye.poses import arm_pose
from calibration.record import Calibration
from drivers.geometry.pose import Pose

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)  # straight above the target point
TARGET_MM = (0.0, 0.0, 8.0)  # station frame: the target point of a camera that stands as drawn
# rows: x right, y up, z toward the camera, of a camera frame with x right, y down, z ahead
_TURNED = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class CameraPose:
    """A camera's place and orientation in the station's frame.

    `pose` (4, 4) leads from the camera's frame (x right, y down, z ahead) to the station's. Results are in camera
    axes: x right, y up, z toward the camera, from the target point at `working_distance_mm` on the optical axis.
    """

    pose: F64
    working_distance_mm: float
    angle_spread_deg: float = 0.0  # one sigma per axis: of the pose, and of what a visit adds to it

    @classmethod
    def as_drawn(cls, pose: Pose, working_distance_mm: float) -> CameraPose:
        """The pose of a camera that sits on its arm exactly as the drawing says."""
        return cls(arm_pose(pose.as_tuple()), working_distance_mm)

    def in_camera_axes(self, station_mm: tuple[float, float, float]) -> F64:
        """(3,) mm: a point of the station's frame in camera axes."""
        inside = self.pose[:3, :3].T @ (np.asarray(station_mm) - self.pose[:3, 3])
        return np.asarray(_TURNED @ inside + [0.0, 0.0, self.working_distance_mm], np.float64)

    def normal(self) -> tuple[float, float, float]:
        """Unit normal of a plane that lies level in the fixture (the station's z), in camera axes."""
        x, y, z = _TURNED @ self.pose[2, :3]
        return (float(x), float(y), float(z))

    def plane_height_mm(self) -> float:
        """Signed distance from this camera's target point to the level plane through the drawing's target point."""
        return float(np.dot(self.normal(), self.in_camera_axes(TARGET_MM)))


def camera_pose_of(record: Calibration, name: str = "top") -> CameraPose:
    """The camera's pose at the record's viewpoint `name`; as drawn above the target point where it has none."""
    view = record.viewpoint(name)
    if view is None:
        return CameraPose.as_drawn(TOP, record.working_distance_mm)
    spread = float(np.degrees(np.sqrt(np.diag(np.array(view.covariance))[:2].mean())))
    visit = 0.0 if view.returns is None else view.returns.deg
    return CameraPose(view.pose(), record.working_distance_mm, float(np.hypot(spread, visit)))
