"""The stand-ins a simulated rig can be made of: firmware by the kind that its configuration names.

A `*Firmware` is one controller's stand-in: what a host hears on its wire, what the world sees of it, its faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.config import ArmKind, LightsKind, LineKind
from drivers.simulated.firmware.grbl.firmware import GrblFirmware
from drivers.simulated.firmware.lights.ccs import CcsFirmware
from drivers.simulated.firmware.lights.gardasoft import GardasoftFirmware
from drivers.simulated.firmware.lights.sa0255 import Sa0255Firmware
from drivers.simulated.firmware.mycobot.firmware import MyCobotFirmware
from drivers.simulated.wires.socket_wire import SocketWire
from drivers.simulated.wires.wire import Firmware, Wire


class LightFirmware(Firmware, Protocol):
    """A light controller with its lamps."""

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Channel -> mean level over t0..t1, 0..1 of what the lamp can give."""
        ...

    def exposure_line(self, t0_s: float, t1_s: float) -> None:
        """The camera's strobe line at the trigger inputs is high from t0 to t1. Called when it rises."""
        ...

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name. Raises ValueError for an unknown name or wrong arguments."""
        ...


class ArmFirmware(Firmware, Protocol):
    """A motion controller with what it moves."""

    def axes_at(self, t_s: float) -> tuple[float, ...]:
        """Where the camera physically is: the fields of Pose in their order, then axes that carry no camera."""
        ...

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool:
        """Whether any axis moves at any moment of t0..t1."""
        ...

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name. Raises ValueError for an unknown name or wrong arguments."""
        ...


LIGHTS: Mapping[LightsKind, Callable[[SimulatedClock, int], LightFirmware]] = {
    "gardasoft": GardasoftFirmware,
    "ccs": CcsFirmware,
    "ccs_strobe": partial(CcsFirmware, strobe_mode=True),
    "sa0255": partial(Sa0255Firmware, all_letter="T"),
}
ARMS: Mapping[ArmKind, Callable[[SimulatedClock], ArmFirmware]] = {
    "grbl": GrblFirmware,
    "grblhal": partial(GrblFirmware, dialect="grblhal"),
    "mycobot": MyCobotFirmware,
}


def wire_class(kind: LineKind) -> type[Wire]:
    """The wire of that kind. PtyWire is imported when it is asked for: not every system has pseudo-terminals."""
    if kind == "socket":
        return SocketWire
    from drivers.simulated.wires.pty_wire import PtyWire

    return PtyWire
