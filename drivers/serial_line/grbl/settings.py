"""What a rig file states of a gantry; every default stands here alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from drivers.geometry.pose import POSE_FIELDS
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

FieldName = Literal["x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg"]
Letter = Literal["X", "Y", "Z", "A", "B", "C"]


class AxisSettings(DriverSettings):
    """One axis that moves the camera: machine position = station position + offset, in mm or degrees."""

    name: FieldName
    machine_axis: Letter
    minimum: Coordinate  # of the station position; nothing outside is ever sent to the controller
    maximum: Coordinate
    offset: Coordinate = 0.0


class GrblSettings(DriverSettings):
    """The section `arm:` of a rig file with `driver: grbl`.

    Refused are an axis named twice, a field of Pose that is neither driven nor fixed, and a waypoint out of travel.
    """

    port: Text
    axes: tuple[AxisSettings, ...] = Field(min_length=3)
    fixed: dict[FieldName, Coordinate] = Field(default_factory=dict)  # fields of Pose that no axis drives
    parked: dict[Letter, Coordinate] = Field(default_factory=dict)  # machine axes that move no camera: machine position
    ways: WaysSettings | None = None
    baud_rate: Annotated[int, Field(ge=300, le=10_000_000)] = 115200
    tolerance_mm: ToleranceMm = 0.05
    tolerance_deg: ToleranceDeg = 0.05
    settle_s: Pause = 0.0  # after the axes stand, before the position is read
    speed: Annotated[float, Field(gt=0, le=1)] = 1.0  # of what the axes can do
    reply_timeout_s: Timeout = 1.0  # for the answer to one line
    boot_timeout_s: Timeout = 3.0  # until the first banner: many boards restart when the port is opened
    move_margin_s: Timeout = 2.0  # beyond the computed time of a move
    homing_timeout_s: Timeout = 120.0
    watch_s: Interval = 0.5  # how often a resting arm is asked for door, hold and inputs; 0 = never

    @model_validator(mode="after")
    def _every_field_stands_somewhere(self) -> GrblSettings:
        names = [axis.name for axis in self.axes]
        for name in POSE_FIELDS:
            if name not in names and name not in self.fixed:
                raise SettingsError(
                    ("axes",), f"the axis {name} is missing: name its machine axis, or under `fixed` where it stands"
                )
            if name in names and name in self.fixed:
                raise SettingsError(("fixed", name), f"{name} cannot be fixed: an axis drives it")
        return self

    @model_validator(mode="after")
    def _axes_are_distinct(self) -> GrblSettings:
        names = [axis.name for axis in self.axes]
        letters: dict[str, int] = {}
        for index, axis in enumerate(self.axes):
            if names.index(axis.name) != index:
                raise SettingsError(("axes", index, "name"), f"{axis.name} stands here twice")
            if letters.setdefault(axis.machine_axis, index) != index:
                raise SettingsError(
                    ("axes", index, "machine_axis"),
                    f"{axis.machine_axis} already drives another axis",
                )
            if not axis.minimum < axis.maximum:
                found = f"{axis.minimum} is not below the maximum {axis.maximum}"
                raise SettingsError(("axes", index, "minimum"), found)
        for letter in self.parked:
            if letter in letters:
                raise SettingsError(("parked", letter), f"{letter} drives {self.axes[letters[letter]].name}")
        return self

    @model_validator(mode="after")
    def _waypoints_are_within_travel(self) -> GrblSettings:
        for index, waypoint in enumerate(() if self.ways is None else self.ways.waypoints):
            for name, (low, high) in self.travel().items():
                tolerance = self.tolerance_deg if name.endswith("_deg") else self.tolerance_mm
                slack, value = tolerance if name in self.fixed else 0.0, float(getattr(waypoint.pose, name))
                if not low - slack <= value <= high + slack:
                    found = f"waypoint {waypoint.name}: {name} = {value:g} is outside {low:g} .. {high:g}"
                    raise SettingsError(("ways", "waypoints", index, "pose", name), found)
        return self

    def travel(self) -> dict[str, tuple[float, float]]:
        """Field of Pose -> least and greatest value in station units; both the same for a fixed field."""
        driven: dict[str, tuple[float, float]] = {axis.name: (axis.minimum, axis.maximum) for axis in self.axes}
        return driven | {name: (value, value) for name, value in self.fixed.items()}


_OWN_EXAMPLE = """\
driver: grbl
port: /dev/serial/by-id/usb-Maker_Gantry_0001-if00
tolerance_mm: 0.05       # how far from the target a move may end
reply_timeout_s: 1.0     # for one line; moves and homing have computed times of their own
axes:                    # machine = station + offset; nothing outside minimum .. maximum is ever sent
  - {name: x_mm, machine_axis: X, minimum: -220, maximum: 220, offset: -221}
  - {name: y_mm, machine_axis: Y, minimum: -220, maximum: 220, offset: -221}
  - {name: z_mm, machine_axis: Z, minimum: 40, maximum: 320, offset: -321}
  - {name: tilt_deg, machine_axis: A, minimum: 0, maximum: 60, offset: -61}
  - {name: pan_deg, machine_axis: B, minimum: -200, maximum: 200, offset: -201}
# fixed: {tilt_deg: 0, pan_deg: -90}   # instead of an axis, where there is none: other poses are refused
# parked: {C: -1}                      # a machine axis that moves no camera, and where it is to stand
# speed: 1.0                           # of what the axes can do
# settle_s: 0.0                        # after the axes stand, before the position is read
# homing_timeout_s: 120
# watch_s: 0.5                         # how often a resting arm is asked for door, hold and inputs; 0 = never
"""
EXAMPLE = _OWN_EXAMPLE + WAYS_EXAMPLE
