"""What a rig file states of keep-out boxes and waypoints, the same for every arm."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from drivers.geometry.pose import Pose
from drivers.serial_line.arms.keep_out import KeepOutBox
from drivers.serial_line.arms.waypoints import SafeWays
from drivers.settings import Coordinate, Distance, DriverSettings, SettingsError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
PointMm = Annotated[tuple[Coordinate, ...], Field(min_length=3, max_length=3)]
Pair = Annotated[tuple[Name, ...], Field(min_length=2, max_length=2)]


class BoxSettings(DriverSettings):
    """One keep-out box by its two corners."""

    name: Name
    low_mm: PointMm
    high_mm: PointMm


class PlaceSettings(DriverSettings):
    """A pose of the camera."""

    x_mm: Coordinate
    y_mm: Coordinate
    z_mm: Coordinate
    tilt_deg: Coordinate
    pan_deg: Coordinate


class WaypointSettings(DriverSettings):
    """A pose by the name that transitions use."""

    name: Name
    pose: PlaceSettings


class WaysSettings(DriverSettings):
    """Boxes that no straight way of the camera may touch, and the waypoints around them."""

    keep_out: tuple[BoxSettings, ...] = ()
    clearance_mm: Distance = 0.0  # from the entrance pupil to the farthest of camera and light head
    waypoints: tuple[WaypointSettings, ...] = ()
    transitions: tuple[Pair, ...] = ()  # between waypoints, both ways
    entry: Name | None = None  # where the home pose leads, Z retracted first

    @model_validator(mode="after")
    def _can_be_meant(self) -> WaysSettings:
        names = [w.name for w in self.waypoints]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise SettingsError(("waypoints", index, "name"), f"{name} stands here twice")
        try:
            self.ways()
        except ValueError as error:
            raise SettingsError((), str(error)) from error
        return self

    def ways(self) -> SafeWays:
        """The planner of these boxes and waypoints."""
        boxes = []
        for box in self.keep_out:
            (x0, y0, z0), (x1, y1, z1) = box.low_mm, box.high_mm
            boxes.append(KeepOutBox(box.name, (x0, y0, z0), (x1, y1, z1)))
        return SafeWays(
            tuple(boxes),
            {w.name: Pose(**w.pose.model_dump()) for w in self.waypoints},
            tuple((a, b) for a, b in self.transitions),
            self.entry,
            self.clearance_mm,
        )


EXAMPLE = """\
# ways:                    # in station millimetres; nothing of it is needed where nothing stands in the way
#   keep_out: [{name: clamp, low_mm: [-60, 20, 0], high_mm: [-30, 60, 90]}]
#   clearance_mm: 80       # from the entrance pupil to the farthest of camera and light head
#   waypoints: [{name: above, pose: {x_mm: 0, y_mm: 0, z_mm: 300, tilt_deg: 0, pan_deg: -90}}]
#   transitions: []        # pairs of waypoints between which the arm may go
#   entry: above           # where the home pose leads, Z retracted first
"""
