"""What a rig file states of a six-axis arm; every default stands here alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from drivers.geometry.mycobot_kinematics import GEOMETRIES, ModelName
from drivers.geometry.rigid import Transform, from_coordinates, rigid_from_rows
from drivers.serial_line.arms.ways_settings import EXAMPLE as WAYS_EXAMPLE
from drivers.serial_line.arms.ways_settings import WaysSettings
from drivers.settings import (
    Coordinate,
    DriverSettings,
    Interval,
    Pause,
    SettingsError,
    Text,
    Timeout,
    ToleranceDeg,
    ToleranceMm,
)

Place = Annotated[tuple[Coordinate, ...], Field(min_length=6, max_length=6)]  # x, y, z in mm, rx, ry, rz in degrees
Row = Annotated[tuple[Coordinate, ...], Field(min_length=4, max_length=4)]
Matrix = Annotated[tuple[Row, ...], Field(min_length=4, max_length=4)]
Range = Annotated[tuple[Coordinate, ...], Field(min_length=2, max_length=2)]
Percent = Annotated[int, Field(ge=1, le=100)]


class TravelSettings(DriverSettings):
    """Least and greatest value of each field of Pose; the joints' reach is checked as well."""

    x_mm: Range
    y_mm: Range
    z_mm: Range
    tilt_deg: Range
    pan_deg: Range


class MyCobotSettings(DriverSettings):
    """The section `arm:` of a rig file with `driver: mycobot`.

    Refused are matrices that are no rigid transform, ranges that are empty, a home position beyond the joints'
    limits, and keep-out boxes for moves that are not straight.
    """

    port: Text
    model: ModelName
    base: Place | Matrix  # of the arm in the station
    mount: Place | Matrix  # of the camera in the flange: right, down, forward; the entrance pupil
    travel_limits: TravelSettings
    joint_limits_deg: tuple[Range, ...] | None = None  # None: the maker's documents' for the model
    home_joints_deg: Place | None = None  # where homing leads; None: it stays where it is
    straight: bool = False  # keep-out boxes need it: the firmware alone decides how the joints get there otherwise
    ways: WaysSettings | None = None
    speed_percent: Percent = 50
    tolerance_mm: ToleranceMm = 0.5  # how far from the target a move may end: the maker's repeatability
    tolerance_deg: ToleranceDeg = 0.5
    read_back: bool = True  # the arm is asked where it was told to go: its frames carry no checksum
    settle_s: Pause = 0.3  # after arrival, before the position is read again
    reply_timeout_s: Timeout = 0.5  # for one answer
    move_margin_s: Timeout = 3.0  # beyond the computed time of a move
    watch_s: Interval = 1.0  # how often a resting arm is asked for power and place; 0 = never

    @model_validator(mode="after")
    def _geometry_can_be_meant(self) -> MyCobotSettings:
        for name in ("base", "mount"):
            try:
                transform_of(getattr(self, name))
            except ValueError as error:
                raise SettingsError((name,), str(error)) from error
        for name, (low, high) in self.travel().items():
            if not low < high:
                raise SettingsError(("travel_limits", name), f"{low:g} is not below {high:g}")
        limits = self.limits()
        if len(limits) != 6:
            raise SettingsError(("joint_limits_deg",), f"six joints have six ranges, found {len(limits)}")
        for index, (low, high) in enumerate(limits):
            if not -180.0 <= low < high <= 180.0:
                raise SettingsError(("joint_limits_deg", index), f"{low:g} .. {high:g} is no range within -180 .. 180")
        for index, (angle, (low, high)) in enumerate(zip(self.home_joints_deg or (), limits, strict=False)):
            if not low <= angle <= high:
                raise SettingsError(("home_joints_deg", index), f"{angle:g} is outside the joint's {low:g} .. {high:g}")
        if self.ways is not None and not self.straight:
            raise SettingsError(("ways",), "keep-out boxes judge straight moves only: they need `straight: true`")
        if self.ways is not None and self.home_joints_deg is not None:
            raise SettingsError(
                ("home_joints_deg",),
                "homing would move joint by joint, which keep-out boxes cannot judge",
            )
        return self

    def travel(self) -> dict[str, tuple[float, float]]:
        """Field of Pose -> least and greatest value in the station."""
        fields = ((name, getattr(self.travel_limits, name)) for name in TravelSettings.model_fields)
        return {name: (low, high) for name, (low, high) in fields}

    def limits(self) -> tuple[tuple[float, float], ...]:
        """Least and greatest angle of joints 1 to 6, in degrees."""
        if self.joint_limits_deg is None:
            return GEOMETRIES[self.model].limits_deg
        return tuple((low, high) for low, high in self.joint_limits_deg)


def transform_of(value: tuple[float, ...] | tuple[tuple[float, ...], ...]) -> Transform:
    """Six coordinates, or a 4x4 matrix. Raises ValueError for a matrix that is no rigid transform."""
    if len(value) == 6:
        x, y, z, rx, ry, rz = (float(v) for v in value if isinstance(v, int | float))
        return from_coordinates(x, y, z, rx, ry, rz)
    return rigid_from_rows([row for row in value if isinstance(row, tuple)])


_OWN_EXAMPLE = """\
driver: mycobot
port: /dev/serial/by-id/usb-Maker_Arm_0001-if00
model: "320"
base: [-150, 240, 45, 0, 0, 0]   # of the arm in the station: x, y, z in mm; rx, ry, rz in degrees, R = Rz Ry Rx
mount:                           # of the camera (right, down, forward; entrance pupil) in the flange: six numbers,
  - [0, 0, 1, 0]                 # or a 4x4 matrix as here: looking along the flange's x, 120 mm below it
  - [1, 0, 0, 0]
  - [0, 1, 0, 120]
  - [0, 0, 0, 1]
travel_limits: {x_mm: [-220, 220], y_mm: [-220, 220], z_mm: [40, 320], tilt_deg: [0, 60], pan_deg: [-200, 200]}
# joint_limits_deg: six ranges; without it those of the maker's documents for the model
speed_percent: 50
tolerance_mm: 0.5                # how far from the target a move may end
tolerance_deg: 0.5
read_back: true                  # the arm is asked where it was told to go: its frames carry no checksum
settle_s: 0.3                    # after arrival, before the position is read again
reply_timeout_s: 0.5
watch_s: 1.0                     # how often a resting arm is asked for power and place; 0 = never
straight: false                  # true: the camera moves in straight lines, which keep-out boxes need
"""
EXAMPLE = _OWN_EXAMPLE + WAYS_EXAMPLE
