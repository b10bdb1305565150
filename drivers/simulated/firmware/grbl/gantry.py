"""The simulated gantry's geometry and drives, from which its rig file and its firmware's settings are both made."""

from __future__ import annotations

from dataclasses import dataclass

PULL_OFF = 1.0  # homing backs off its switches by this, in the axis' own unit


@dataclass(frozen=True, slots=True)
class SimulatedAxis:
    """One axis: `name` is the field of Pose that it drives; millimetres or degrees, in station coordinates."""

    name: str
    machine_axis: str
    minimum: float
    maximum: float
    rate_per_s: float
    acceleration_per_s2: float

    @property
    def travel(self) -> float:
        """Between the end of the axis and its homing switch."""
        return self.maximum - self.minimum + 2 * PULL_OFF

    @property
    def offset(self) -> float:
        """machine = station + offset. Grbl homes to the positive end: machine 0 is there, all travel below it."""
        return -(self.maximum + PULL_OFF)


SIMULATED_GANTRY = (
    SimulatedAxis("x_mm", "X", -220.0, 220.0, 500.0, 2000.0),
    SimulatedAxis("y_mm", "Y", -220.0, 220.0, 500.0, 2000.0),
    SimulatedAxis("z_mm", "Z", 40.0, 320.0, 500.0, 2000.0),
    SimulatedAxis("tilt_deg", "A", 0.0, 60.0, 180.0, 720.0),
    SimulatedAxis("pan_deg", "B", -200.0, 200.0, 180.0, 720.0),
)
