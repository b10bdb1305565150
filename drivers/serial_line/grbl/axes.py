"""The axes of a gantry: which field of Pose each drives, how far, and what the others stand at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

POSE_FIELDS = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")
LETTERS = "XYZABC"  # Grbl's order of axes in every report, unless $I says otherwise


@dataclass(frozen=True, slots=True)
class AxisLimits:
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
        return self.name.rpartition("_")[2] if "_" in self.name else ""

    @property
    def is_parked(self) -> bool:
        return self.name not in POSE_FIELDS


def checked_fixed(axes: Sequence[AxisLimits], fixed: Mapping[str, float]) -> dict[str, float]:
    """Every field that no axis drives, and its value. Raises ValueError for a field that is driven, or unknown."""
    undriven = [name for name in POSE_FIELDS if name not in {a.name for a in axes}]
    wrong = [name for name in fixed if name not in undriven]
    if wrong:
        raise ValueError(f"{wrong[0]} cannot be fixed: an axis drives it, or it is none of {', '.join(POSE_FIELDS)}")
    return {name: float(fixed.get(name, 0.0)) for name in undriven}


def checked_axes(axes: Sequence[AxisLimits]) -> tuple[AxisLimits, ...]:
    """Raises ValueError for a configuration that cannot be meant."""
    names, letters = [a.name for a in axes], [a.machine_axis for a in axes]
    if not 3 <= len(axes) <= len(LETTERS):
        raise ValueError(f"a gantry has 3 to {len(LETTERS)} axes, found {len(axes)}")
    if len(set(names)) < len(names) or len(set(letters)) < len(letters):
        raise ValueError(f"an axis is named twice: {names}, {letters}")
    for axis in axes:
        if axis.machine_axis not in LETTERS or len(axis.machine_axis) != 1:
            raise ValueError(f"{axis.name}: machine axis {axis.machine_axis!r} is none of {', '.join(LETTERS)}")
        if axis.is_parked and (axis.name != axis.machine_axis or axis.minimum != axis.maximum):
            raise ValueError(f"{axis.name}: an axis that moves no camera is parked at one place, by its letter")
        if not axis.is_parked and not axis.minimum < axis.maximum:
            raise ValueError(f"{axis.name}: minimum {axis.minimum:g} is not below maximum {axis.maximum:g}")
    return tuple(axes)
