"""What a rig file says of a gantry."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from drivers.settings import DriverSettings, Finite, Positive, SettingsError, Text

AXES = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")


class AxisSettings(DriverSettings):
    """One axis of the arm: machine position = station position + offset."""

    name: Literal["x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg"]
    machine_axis: Literal["X", "Y", "Z", "A", "B", "C"]
    minimum: Finite  # of the station position; nothing outside is ever sent to the controller
    maximum: Finite
    offset: Finite = 0.0


class GrblSettings(DriverSettings):
    port: Text
    axes: tuple[AxisSettings, ...]
    tolerance_mm: Positive = 0.05
    reply_timeout_s: Positive = 1.0

    @model_validator(mode="after")
    def _axes_are_complete(self) -> GrblSettings:
        names = [axis.name for axis in self.axes]
        missing = [name for name in AXES if name not in names]
        if missing:
            raise SettingsError(("axes",), f"the axis {missing[0]} is missing; all of {', '.join(AXES)} are needed")
        letters: dict[str, int] = {}
        for index, axis in enumerate(self.axes):
            if names.index(axis.name) != index:
                raise SettingsError(("axes", index, "name"), f"{axis.name} stands here twice")
            if letters.setdefault(axis.machine_axis, index) != index:
                raise SettingsError(("axes", index, "machine_axis"), f"{axis.machine_axis} already drives another axis")
            if not axis.minimum < axis.maximum:
                found = f"{axis.minimum} is not below the maximum {axis.maximum}"
                raise SettingsError(("axes", index, "minimum"), found)
        return self

    def travel(self) -> dict[str, tuple[float, float]]:
        return {axis.name: (axis.minimum, axis.maximum) for axis in self.axes}


EXAMPLE = """\
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
"""
