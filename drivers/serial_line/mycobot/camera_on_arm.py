"""The camera on a myCobot's flange: poses as flange and joints, what is within reach, how long a move may take."""

from __future__ import annotations

import math
from collections.abc import Sequence

from drivers.errors import OutOfTravel
from drivers.geometry.mycobot_kinematics import GEOMETRIES, Joints
from drivers.geometry.pose import POSE_FIELDS, Pose
from drivers.geometry.rigid import (
    Transform,
    angle_between_deg,
    camera_in_station,
    distance_mm,
    inverse,
    pose_of_camera,
)
from drivers.serial_line.mycobot.settings import MyCobotSettings, transform_of

DEVICE = "arm"
FULL_SPEED_DEG_PER_S = 120.0  # at 100 percent, for the timeouts
FULL_SPEED_MM_PER_S = 150.0
SLACK = 2.0  # between way over full speed and the time that a move may take: ramps, and what the firmware makes of it


class CameraOnArm:
    """`settings.base` is the arm's base in the station; `settings.mount` the camera in the flange.

    The camera's frame is x right, y down, z forward, its origin the entrance pupil. Nothing here talks to the arm.
    """

    def __init__(self, settings: MyCobotSettings) -> None:
        self.joint_limits_deg = settings.limits()
        self._geometry = GEOMETRIES[settings.model]
        self._travel = settings.travel()
        self._base, self._mount = transform_of(settings.base), transform_of(settings.mount)
        self._from_station, self._from_camera = inverse(self._base), inverse(self._mount)
        self._is_straight = settings.straight
        self._deg_per_s = FULL_SPEED_DEG_PER_S * settings.speed_percent / 100.0
        self._mm_per_s = FULL_SPEED_MM_PER_S * settings.speed_percent / 100.0
        self._tolerance_mm, self._tolerance_deg = settings.tolerance_mm, settings.tolerance_deg

    def flange_for(self, pose: Pose) -> Transform:
        """The flange in the arm's base when the camera stands at `pose`."""
        return self._from_station @ camera_in_station(pose) @ self._from_camera

    def flange_at(self, joints_deg: Sequence[float]) -> Transform:
        """The flange in the arm's base at these joint angles."""
        return self._geometry.flange(joints_deg)

    def pose_of(self, flange: Transform, near_pan_deg: float = 0.0) -> Pose:
        """The camera's pose; pan within 180 degrees of `near_pan_deg`."""
        return pose_of_camera(self._base @ flange @ self._mount, near_pan_deg)

    def check_reachable(self, pose: Pose) -> None:
        """Raise OutOfTravel unless every field is inside the travel, and the joints can bring the camera there."""
        for name, value in zip(POSE_FIELDS, pose.as_tuple(), strict=True):
            low, high = self._travel[name]
            if not (math.isfinite(value) and low <= value <= high):
                unit = name.rpartition("_")[2]
                raise OutOfTravel(DEVICE, f"{name} = {value:g} {unit} is outside {low:g} .. {high:g} {unit}")
        target = self.flange_for(pose)
        if not self._ways_to_stand(target):
            why = "beyond a joint limit" if self._geometry.joints_for(target) else "out of the arm's reach"
            raise OutOfTravel(DEVICE, f"{pose} is {why}: move the viewpoint, or the arm's base")

    def check_joints(self, joints_deg: Sequence[float]) -> None:
        """Raise OutOfTravel unless every angle is finite and within its joint's limits."""
        for number, (angle, (low, high)) in enumerate(zip(joints_deg, self.joint_limits_deg, strict=True), start=1):
            if not (math.isfinite(angle) and low <= angle <= high):
                raise OutOfTravel(DEVICE, f"joint {number} = {angle:g} deg is outside {low:g} .. {high:g} deg")

    def joint_out_of_limits(self, joints_deg: Sequence[float]) -> str | None:
        """The first joint that stands beyond its limits by more than the tolerance, in words; else None."""
        for number, (angle, (low, high)) in enumerate(zip(joints_deg, self.joint_limits_deg, strict=True), start=1):
            if not low - self._tolerance_deg <= angle <= high + self._tolerance_deg:
                return f"joint {number} stands at {angle:g} deg, outside {low:g} .. {high:g}"
        return None

    def is_near(self, found: Transform, wanted: Transform) -> bool:
        """Within the tolerances of the settings."""
        return (
            distance_mm(found, wanted) <= self._tolerance_mm and angle_between_deg(found, wanted) <= self._tolerance_deg
        )

    def duration_s(self, start: Transform, start_deg: Sequence[float], target: Transform) -> float:
        """An upper estimate of a move: by the camera's way, or by the largest turn of any way to stand there."""
        if self._is_straight:
            way_s = distance_mm(start, target) / self._mm_per_s
            return SLACK * max(way_s, angle_between_deg(start, target) / self._deg_per_s)
        return self.turning_s(start_deg, self._ways_to_stand(target))  # the firmware chooses one of them

    def turning_s(self, start_deg: Sequence[float], targets_deg: Sequence[Sequence[float]]) -> float:
        """An upper estimate of the time to turn the joints to any of the targets; of a whole turn if there is none."""
        turns = [abs(a - b) for joints in targets_deg for a, b in zip(joints, start_deg, strict=True)]
        return SLACK * max(turns, default=360.0) / self._deg_per_s

    def _ways_to_stand(self, flange: Transform) -> list[Joints]:
        ways = self._geometry.joints_for(flange)
        return [way for way in ways if self._geometry.within_limits(way, self.joint_limits_deg)]
