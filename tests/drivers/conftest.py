"""Simulated serial devices on real pseudo-terminals, in a hurry, for the tests of the drivers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.genicam.camera import GenicamCamera
from drivers.geometry.pose import Pose
from drivers.geometry.rigid import Transform
from drivers.serial_line.grbl.arm import GrblArm
from drivers.serial_line.grbl.settings import AxisSettings, GrblSettings
from drivers.serial_line.lights.gardasoft.lights import GardasoftLights
from drivers.serial_line.lights.gardasoft.settings import GardasoftSettings
from drivers.serial_line.mycobot.arm import MyCobotArm
from drivers.serial_line.mycobot.settings import MyCobotSettings, TravelSettings
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.grbl.dialect import DialectName
from drivers.simulated.firmware.grbl.firmware import GrblFirmware
from drivers.simulated.firmware.grbl.gantry import SIMULATED_GANTRY, SimulatedAxis
from drivers.simulated.firmware.lights.gardasoft import GardasoftFirmware
from drivers.simulated.firmware.mycobot import geometry as stated
from drivers.simulated.firmware.mycobot.firmware import MyCobotFirmware
from drivers.simulated.simcam import ENDPOINTS_VARIABLE
from drivers.simulated.wires.pty_wire import PtyWire
from drivers.simulated.wires.socket_wire import SocketWire

SPEED = 25.0
NEAR_HOME = (215.0, 215.0, 315.0, 58.0, 195.0)
AXES = tuple(
    AxisSettings.model_validate({field: getattr(axis, field) for field in AxisSettings.model_fields})
    for axis in SIMULATED_GANTRY
)


def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for something another thread does; a failed wait fails the test."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.001)


def rows(transform: Transform) -> tuple[tuple[float, ...], ...]:
    """A transform as settings hold it."""
    return tuple(tuple(row) for row in transform.tolist())


@dataclass
class GantryBench:
    """A simulated gantry on its wire, and the arms opened on it."""

    folder: Path
    clock: SimulatedClock
    firmware: GrblFirmware
    wire: PtyWire | SocketWire
    arms: list[GrblArm] = field(default_factory=list)

    axes = AXES

    @property
    def port(self) -> str:
        return str(self.wire.path)

    def open(self, **options: Any) -> GrblArm:
        choices = {"port": self.port, "axes": AXES, "reply_timeout_s": 2.0, "watch_s": 0.0, **options}
        arm = GrblArm.open(GrblSettings.model_validate(choices))
        self.arms.append(arm)
        return arm

    def homed(self, **options: Any) -> GrblArm:
        arm = self.open(**options)
        arm.home()
        return arm

    def true_pose(self) -> Pose:
        return Pose(*self.firmware.axes_at(self.clock.now_s())[:5])

    def is_still(self) -> bool:
        now_s = self.clock.now_s()
        return not self.firmware.is_moving_between(now_s, now_s + 1e-3)


@dataclass
class LampBench:
    """A simulated light controller on its wire, and the drivers opened on it."""

    folder: Path
    clock: SimulatedClock
    firmware: GardasoftFirmware
    wire: PtyWire
    drivers: list[GardasoftLights] = field(default_factory=list)

    @property
    def port(self) -> str:
        return str(self.wire.path)

    def open(self, **options: Any) -> GardasoftLights:
        nine = tuple(range(1, 10))
        choices = {"port": self.port, "channels": nine, "reply_timeout_s": 1.0, "settle_s": 0.001, **options}
        lights = GardasoftLights.open(GardasoftSettings.model_validate(choices))
        self.drivers.append(lights)
        return lights

    def lit(self) -> dict[int, float]:
        """Channel -> level of every lamp that shines now."""
        now_s = self.clock.now_s()
        return {c: level for c, level in self.firmware.mean_levels(now_s, now_s).items() if level > 0}


@pytest.fixture
def dialect() -> str:
    """Of the simulated gantry; a test file for both has a fixture of this name with parameters."""
    return "grbl"


@pytest.fixture
def make_gantry(tmp_path: Path, dialect: DialectName) -> Iterator[Callable[..., GantryBench]]:
    benches: list[GantryBench] = []

    def make(
        speed: float = SPEED,
        start: tuple[float, ...] = NEAR_HOME,
        axes: tuple[SimulatedAxis, ...] = SIMULATED_GANTRY,
        wire: type[PtyWire | SocketWire] = PtyWire,
    ) -> GantryBench:
        clock = SimulatedClock(speed)
        firmware = GrblFirmware(clock, axes, start, dialect)
        bench = GantryBench(tmp_path, clock, firmware, wire(tmp_path / "gantry", firmware).start())
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        for arm in bench.arms:
            arm.close()
        bench.wire.close()


@dataclass
class CobotBench:
    """A simulated six-axis arm on its wire, and the drivers opened on it."""

    folder: Path
    clock: SimulatedClock
    firmware: MyCobotFirmware
    wire: PtyWire | SocketWire
    arms: list[MyCobotArm] = field(default_factory=list)

    @property
    def port(self) -> str:
        return str(self.wire.path)

    def open(self, **options: Any) -> MyCobotArm:
        travel = TravelSettings.model_validate(stated.TRAVEL)
        geometry = {"model": stated.MODEL, "base": rows(stated.BASE), "mount": rows(stated.MOUNT)}
        quick = {"reply_timeout_s": 1.0, "speed_percent": 100, "settle_s": 0.0, "watch_s": 0.0}
        choices = {"port": self.port, **geometry, "travel_limits": travel, **quick, **options}
        arm = MyCobotArm.open(MyCobotSettings.model_validate(choices))
        self.arms.append(arm)
        return arm

    def homed(self, **options: Any) -> MyCobotArm:
        arm = self.open(**options)
        arm.home()
        return arm

    def true_pose(self) -> Pose:
        return Pose(*self.firmware.axes_at(self.clock.now_s()))

    def is_still(self) -> bool:
        now_s = self.clock.now_s()
        return not self.firmware.is_moving_between(now_s, now_s + 1e-3)


@pytest.fixture
def make_cobot(tmp_path: Path) -> Iterator[Callable[..., CobotBench]]:
    benches: list[CobotBench] = []

    def make(speed: float = SPEED, wire: type[PtyWire | SocketWire] = PtyWire, **options: Any) -> CobotBench:
        clock = SimulatedClock(speed)
        firmware = MyCobotFirmware(clock, **options)
        bench = CobotBench(tmp_path, clock, firmware, wire(tmp_path / "arm", firmware).start())
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        for arm in bench.arms:
            arm.close()
        bench.wire.close()


@pytest.fixture
def cobot(make_cobot: Callable[..., CobotBench]) -> CobotBench:
    return make_cobot()


@pytest.fixture
def gantry(make_gantry: Callable[..., GantryBench]) -> GantryBench:
    return make_gantry()


@pytest.fixture
def lamps(tmp_path: Path) -> Iterator[LampBench]:
    clock = SimulatedClock(SPEED)
    firmware = GardasoftFirmware(clock)
    with PtyWire(tmp_path / "lights", firmware) as wire:
        bench = LampBench(tmp_path, clock, firmware, wire)
        yield bench
        for driver in bench.drivers:
            driver.close()


class CameraRig:
    """A rig with nothing but a camera, in a process of its own (`fake_camera_rig.py` lists its commands)."""

    def __init__(self, folder: Path, transport: str = "map", serial_number: str = "LINES-1") -> None:
        self.folder, self.transport, self.serial_number = folder, transport, serial_number
        self.start()

    def start(self) -> None:
        here = Path(__file__).parent
        self.process = subprocess.Popen(
            [sys.executable, str(here / "fake_camera_rig.py"), str(self.folder), self.serial_number, self.transport],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(here.parents[1])},
        )
        assert self._answer() == "ready"

    def say(self, command: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def open(self, frame_timeout_s: float = 10.0) -> GenicamCamera:
        environment = {ENDPOINTS_VARIABLE: str(self.folder)}
        return GenicamCamera.open("simcam", self.serial_number, environment, frame_timeout_s)


@pytest.fixture
def make_camera_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CameraRig]]:
    monkeypatch.setenv(ENDPOINTS_VARIABLE, str(tmp_path))  # so that what opening sets is undone
    rigs: list[CameraRig] = []

    def make(transport: str = "map", serial_number: str = "LINES-1") -> CameraRig:
        rigs.append(CameraRig(tmp_path, transport, serial_number))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.kill()


@pytest.fixture
def camera_rig(make_camera_rig: Callable[..., CameraRig]) -> CameraRig:
    return make_camera_rig()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    return until
