"""Real devices of a rig file: `pytest tests/hardware --rig FILE`. Without `--rig` all of this is skipped.

The arm homes and moves and the lights shine: keep clear of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import PositionUntrusted
from drivers.geometry.pose import Pose
from drivers.protocols import Arm, Camera, CameraSettings, Lights
from station.commands.check.light_response import EXPOSURE_US, configure_any
from station.lights.levels import mean_level
from station.rig.devices import open_arm, open_camera, open_lights
from station.rig.file import RigFile, load_rig


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rig", type=Path, default=None, help="rig file of the devices that tests/hardware is to try")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Add the rig as a parameter of every test here, so that a skipped test names the rig it waits for."""
    if "rig_path" in metafunc.fixturenames:
        rig = metafunc.config.getoption("--rig", default=None)
        metafunc.parametrize("rig_path", [rig], ids=[str(rig.name) if rig else "no rig"], scope="session")


@pytest.fixture(scope="session")
def rig(rig_path: Path | None) -> RigFile:
    if rig_path is None:
        pytest.skip("needs real devices: pytest tests/hardware --rig FILE")
    return load_rig(rig_path)


class ArmBench:
    """The arm of the rig file; it stands where its controller reports."""

    def __init__(self, rig: RigFile) -> None:
        self._rig = rig
        self._arm: Arm | None = None

    def open(self) -> Arm:
        self.close()
        self._arm = open_arm(self._rig)
        return self._arm

    def homed(self) -> Arm:
        arm = self.open()
        arm.home()
        return arm

    def true_pose(self) -> Pose | None:
        """None where the controller does not report it before homing."""
        assert self._arm is not None
        try:
            return self._arm.position()
        except PositionUntrusted:
            return None

    def is_still(self) -> bool:
        """Two readings that agree. Skips the test where there are none: nothing is known then."""
        before = self.true_pose()
        time.sleep(0.05)
        after = self.true_pose()
        if before is None or after is None:
            pytest.skip("the controller does not report where the axes stand: whether they do cannot be tested")
        return after == before

    def close(self) -> None:
        if self._arm is not None:
            self._arm.close()
            self._arm = None


class LightsBench:
    """The lights of the rig file, seen by its camera: `brightness()` is the picture's mean level over black."""

    def __init__(self, rig: RigFile, brightness: Callable[[], float]) -> None:
        self._rig = rig
        self._open: list[Lights] = []
        self.brightness = brightness

    def open(self) -> Lights:
        self.close()
        lights = open_lights(self._rig)
        self._open.append(lights)
        return lights

    def close(self) -> None:
        for lights in self._open:
            lights.close()
        self._open.clear()


@pytest.fixture
def arm_bench(rig: RigFile) -> Iterator[ArmBench]:
    bench = ArmBench(rig)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def usable(rig: RigFile) -> CameraSettings:
    """A small picture in a format and binning that this camera has."""
    with closing(open_camera(rig)) as camera:
        return replace(configure_any(camera), width=64, height=48)


@pytest.fixture
def camera(rig: RigFile) -> Iterator[Camera]:
    with closing(open_camera(rig)) as opened:
        yield opened


@pytest.fixture(scope="session")
def middle(rig: RigFile) -> Pose:
    """The middle of every axis' travel."""
    travel = rig.travel()
    if not travel:
        pytest.skip(f"driver {rig.driver_of('arm')!r} has no travel in its settings")
    return Pose(**{name: (low + high) / 2 for name, (low, high) in travel.items()})


@pytest.fixture(scope="session")
def camera_over_fixture(rig: RigFile, middle: Pose) -> Pose:
    """Where the camera stands to look at lights: homed, then the middle of every axis."""
    with closing(open_arm(rig)) as arm:
        arm.home()
        return arm.move_to(middle)


@pytest.fixture
def lights_bench(
    rig: RigFile,
    camera_over_fixture: Pose,  # noqa: ARG001 - that the arm has gone there is what counts
    camera: Camera,
) -> Iterator[LightsBench]:
    configure_any(camera)
    bench = LightsBench(rig, lambda: mean_level(camera.expose(EXPOSURE_US)))
    yield bench
    bench.open().off()
    bench.close()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, "waited in vain"
            time.sleep(0.01)

    return wait
