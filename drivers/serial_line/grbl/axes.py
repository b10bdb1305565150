"""The axes of a gantry: which field of Pose each drives and how far, and poses as machine positions and back.

*machine = station + offset*. A machine position here is in the order of the rig file, parked axes last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.errors import FeatureMissing, OutOfTravel
from drivers.geometry.pose import POSE_FIELDS, Pose
from drivers.serial_line.grbl.protocol import Axes, Status
from drivers.serial_line.grbl.settings import GrblSettings

DEVICE = "gantry"
LETTERS = "XYZABC"  # Grbl's order of axes in every report, unless $I states another


@dataclass(frozen=True, slots=True)
class GantryAxis:
    """One axis: a field of Pose, its allowed travel in station units, and how the controller knows it.

    An axis that moves no camera has its letter for a name, and minimum and maximum where it is parked.
    """

    name: str
    minimum: float
    maximum: float
    machine_axis: str
    offset: float = 0.0  # machine = station + offset

    @property
    def unit(self) -> str:
        """`mm` or `deg`; empty for a parked axis, whose unit nobody states."""
        return self.name.rpartition("_")[2] if "_" in self.name else ""


class GantryAxes:
    """All axes of one gantry, and where the fields of Pose stand that none drives."""

    def __init__(self, settings: GrblSettings) -> None:
        driven = (GantryAxis(a.name, a.minimum, a.maximum, a.machine_axis, a.offset) for a in settings.axes)
        parked = (GantryAxis(letter, value, value, letter) for letter, value in settings.parked.items())
        self.axes = (*driven, *parked)
        self._fixed: dict[str, float] = {str(name): value for name, value in settings.fixed.items()}
        self._tolerance_mm, self._tolerance_deg = settings.tolerance_mm, settings.tolerance_deg
        self._order = LETTERS

    def use_order(self, letters: str) -> None:
        """Take the order of axes in the controller's reports. Raises FeatureMissing where an axis is not among them."""
        missing = [a.machine_axis for a in self.axes if a.machine_axis not in letters]
        if missing:
            raise FeatureMissing(
                DEVICE,
                f"the rig file names the machine axes {', '.join(missing)}, the controller has only {letters}: "
                "mend `axes` or `parked` in the rig file",
            )
        self._order = letters

    @property
    def columns(self) -> tuple[int, ...]:
        """For each axis, its place in the controller's reports and settings."""
        return tuple(self._order.index(a.machine_axis) for a in self.axes)

    def check_travel(self, pose: Pose) -> None:
        """Raise OutOfTravel unless every field is finite and inside its axis' limits, or where it stands fixed."""
        driven = {a.name: a for a in self.axes}
        for name, value in zip(POSE_FIELDS, pose.as_tuple(), strict=True):
            if (axis := driven.get(name)) is None:
                self._check_fixed(name, value)
            elif not (math.isfinite(value) and axis.minimum <= value <= axis.maximum):
                raise OutOfTravel(
                    DEVICE,
                    f"{name} = {value:g} {axis.unit} is outside {axis.minimum:g} .. {axis.maximum:g} {axis.unit}",
                )

    def _check_fixed(self, name: str, value: float) -> None:
        fixed = self._fixed[name]
        tolerance = self._tolerance_deg if name.endswith("_deg") else self._tolerance_mm
        if not abs(value - fixed) <= tolerance:
            raise OutOfTravel(
                DEVICE, f"{name} = {value:g}, but this gantry has no such axis: it stands fixed at {fixed:g}"
            )

    def machine_position(self, report: Status) -> Axes:
        """The axes of a status report. Raises FeatureMissing for a report that lacks one."""
        if report.mpos is None or len(report.mpos) < max(self.columns) + 1:
            raise FeatureMissing(DEVICE, f"a status report has no MPos for all axes: {report}; set $10=1")
        return tuple(report.mpos[column] for column in self.columns)

    def to_machine(self, pose: Pose) -> Axes:
        """Where the axes stand at `pose`; a parked axis has one place only."""
        values = dict(zip(POSE_FIELDS, pose.as_tuple(), strict=True))
        return tuple(values.get(a.name, a.minimum) + a.offset for a in self.axes)

    def to_pose(self, machine: Axes) -> Pose:
        """The camera's pose when the axes stand so."""
        values = {a.name: m - a.offset for a, m in zip(self.axes, machine, strict=True)}
        return Pose(*(values[name] if name in values else self._fixed[name] for name in POSE_FIELDS))

    def stray(self, target: Axes, found: Axes, verb: str = "sent to") -> tuple[str, str] | None:
        """The first axis that is not at `target`: its name, and both places in words. None when all are.

        `verb` states how the arm came to be expected there.
        """
        for axis, wanted, at in zip(self.axes, target, found, strict=True):
            tolerance = self._tolerance_deg if axis.unit == "deg" else self._tolerance_mm
            if not abs(at - wanted) <= tolerance:
                places = f"stands at {at - axis.offset:.3f}, {verb} {wanted - axis.offset:.3f} {axis.unit}"
                return axis.name, f"{places} (tolerance {tolerance:g})"
        return None

    def words(self, machine: Axes) -> str:
        """The words of a G-code line: ` X-221.000 Y-221.000 ...`."""
        return "".join(f" {a.machine_axis}{v:.3f}" for a, v in zip(self.axes, machine, strict=True))
