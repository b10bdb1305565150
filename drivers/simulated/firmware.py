"""Which stand-ins a simulated rig can be made of: firmware by the kind that its configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from drivers.simulated.ccs_firmware import CcsFirmware
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.config import ArmKind, LightsKind, LineKind
from drivers.simulated.device_line import DeviceLine, Firmware
from drivers.simulated.gardasoft_firmware import GardasoftFirmware
from drivers.simulated.grbl_firmware import GrblFirmware
from drivers.simulated.mycobot_firmware import MyCobotFirmware
from drivers.simulated.sa0255_firmware import Sa0255Firmware
from drivers.simulated.socket_line import SocketLine


class LightFirmware(Firmware, Protocol):
    """A light controller with its lamps."""

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Channel -> mean level over t0..t1, 0..1 of what the lamp can give."""
        ...

    def exposure_line(self, t0_s: float, t1_s: float) -> None:
        """The camera exposes from t0 to t1, as its output line tells the trigger inputs; told when it begins."""
        ...

    def inject(self, name: str, *args: str) -> str: ...


class ArmFirmware(Firmware, Protocol):
    """A motion controller with what it moves."""

    def axes_at(self, t_s: float) -> tuple[float, ...]:
        """Where the camera physically is: the fields of Pose in their order, then axes that carry no camera."""
        ...

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool: ...

    def inject(self, name: str, *args: str) -> str: ...


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


def line_class(kind: LineKind) -> type[DeviceLine]:
    """Imported when it is asked for: not every system has pseudo-terminals."""
    if kind == "socket":
        return SocketLine
    from drivers.simulated.pty_line import PtyLine

    return PtyLine
