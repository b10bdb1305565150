"""Every kind of light controller on a simulated wire, with its driver: for the tests that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.protocols import Lights
from drivers.registry import driver_kind
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.kinds import LightFirmware
from drivers.simulated.firmware.lights.ccs import CcsFirmware
from drivers.simulated.firmware.lights.gardasoft import GardasoftFirmware
from drivers.simulated.firmware.lights.sa0255 import Sa0255Firmware
from drivers.simulated.wires.pty_wire import PtyWire
from drivers.simulated.wires.wire import Wire

CHANNELS = tuple(range(1, 10))
KINDS: Mapping[str, tuple[Callable[[SimulatedClock], LightFirmware], Mapping[str, Any]]] = {
    "gardasoft": (GardasoftFirmware, {}),
    "ccs": (CcsFirmware, {"all_number": 0}),
    "sa0255": (Sa0255Firmware, {"all_letter": "T"}),
}


@dataclass
class LightsBench:
    """One controller on its wire, and the drivers opened on it."""

    kind: str
    folder: Path
    wire_kind: type[Wire] = PtyWire
    speed: float = 25.0
    drivers: list[Lights] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SimulatedClock(self.speed)
        self.firmware = KINDS[self.kind][0](self.clock)
        self.wire = self.wire_kind(self.folder / "lights", self.firmware).start()

    def open(self, **options: Any) -> Any:
        place = {"port": str(self.wire.path), "channels": CHANNELS, **KINDS[self.kind][1]}
        kind = driver_kind("lights", self.kind)
        settings = kind.settings.model_validate({**place, "reply_timeout_s": 1.0, "settle_s": 0.001, **options})
        lights: Any = kind.open(settings)
        self.drivers.append(lights)
        return lights

    def lit(self) -> dict[int, float]:
        """Channel -> level of every lamp that shines now."""
        now_s = self.clock.now_s()
        return {c: level for c, level in self.firmware.mean_levels(now_s, now_s).items() if level > 0}

    def close(self) -> None:
        for driver in self.drivers:
            driver.close()
        self.wire.close()
