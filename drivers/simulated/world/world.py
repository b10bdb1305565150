"""Everything that a simulated rig consists of, by its configuration: arm, lights, camera, fixture, and their clock."""

from __future__ import annotations

from drivers.simulated.camera.faults import CameraFaults
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.faults import FaultAction
from drivers.simulated.firmware.kinds import ARMS, LIGHTS
from drivers.simulated.scene import DIFFUSE_CHANNEL, DIRECTIONAL_CHANNELS
from drivers.simulated.world.exposures import Exposures
from drivers.simulated.world.fixture import Fixture
from drivers.simulated.world.moments import Moments
from drivers.simulated.world.visits import Visits

CHANNELS = (*DIRECTIONAL_CHANNELS, DIFFUSE_CHANNEL)


class World:
    """One world without its wires. Raises ValueError for a part that does not exist."""

    def __init__(self, config: SimulatedRigConfig) -> None:
        self.config = config
        self.clock = SimulatedClock(config.clock_speed)
        self.arm = ARMS[config.arm_kind](self.clock)
        self.lights = LIGHTS[config.lights_kind](self.clock, len(CHANNELS))
        self.camera_faults = CameraFaults(self.clock)
        self.fixture = Fixture(config)
        self.visits = Visits(config, self.arm)
        self.moments = Moments(self.clock, self.arm)
        self.exposures = Exposures(
            config, self.clock, self.arm, self.lights, self.fixture, self.visits, self.camera_faults, self.moments
        )

    def faults(self) -> dict[str, dict[str, FaultAction]]:
        """Device -> name -> what causes it; those of the whole rig under the empty name."""
        return {
            "": {
                "ambient": self._set_ambient,
                "bump": lambda *numbers: self._bump([float(n) for n in numbers]),
                "knock": lambda *numbers: self._knock([float(n) for n in numbers]),
            },
            "board": {"bow": self._bow_board, "pitch": self._stretch_board},
            "gantry": self.arm.faults,
            "lights": self.lights.faults,
            "camera": self.camera_faults.faults(),
        }

    def _set_ambient(self, level: str = "0.1") -> str:
        self.exposures.ambient_level = float(level)
        return f"ambient light at {self.exposures.ambient_level:g}"

    def _bump(self, values: list[float]) -> str:
        """Near one place (x y z tilt pan) the arm now stands off by five values."""
        _require_count("bump", values, 10)
        self.visits.bump(tuple(values[:5]), tuple(values[5:]))
        return f"near {values[:5]} the arm stands off by {values[5:]}"

    def _knock(self, values: list[float]) -> str:
        """The camera itself sits otherwise on the arm, by mm and degrees along its right, down and ahead."""
        _require_count("knock", values, 6)
        self.fixture.knock_camera((values[0], values[1], values[2]), (values[3], values[4], values[5]))
        return f"the camera moved on its arm by {values[:3]} mm and {values[3:]} degrees"

    def _bow_board(self, micrometres: str = "20") -> str:
        self.fixture.bow_board(float(micrometres))
        return f"the calibration board's middle stands {float(micrometres):g} um above its rim"

    def _stretch_board(self, percent: str = "0.5") -> str:
        self.fixture.stretch_board(float(percent))
        return f"the calibration board's pitch is {float(percent):g} % longer than stated"


def _require_count(fault: str, values: list[float], count: int) -> None:
    if len(values) != count:
        raise ValueError(f"{fault} takes {count} numbers, found {len(values)}")
