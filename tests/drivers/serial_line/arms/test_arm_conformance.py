"""Every arm that can be had without hardware keeps the promises of `tests/conformance/arm.py`."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.arm import ArmPromises

from drivers.geometry.pose import Pose
from drivers.geometry.rigid import camera_in_station, distance_mm
from drivers.simulated.wires.pty_wire import PtyWire
from drivers.simulated.wires.socket_wire import SocketWire


class TestGrblArm(ArmPromises):
    @pytest.fixture(params=["grbl", "grblhal"])
    def dialect(self, request: Any) -> str:
        return str(request.param)

    @pytest.fixture
    def bench(self, gantry: Any) -> Any:
        return gantry

    @pytest.fixture
    def slow_bench(self, make_gantry: Any) -> Any:
        return make_gantry(speed=3.0)

    @pytest.fixture
    def homed(self, bench: Any) -> Any:
        return bench.homed()


class TestArmOverSocket(ArmPromises):
    """On machines without pseudo-terminals: the same wire over TCP."""

    @pytest.fixture
    def dialect(self) -> str:
        return "grblhal"

    @pytest.fixture
    def bench(self, make_gantry: Any) -> Any:
        return make_gantry(wire=SocketWire)

    @pytest.fixture
    def slow_bench(self, make_gantry: Any) -> Any:
        return make_gantry(speed=3.0, wire=SocketWire)

    @pytest.fixture
    def homed(self, bench: Any) -> Any:
        return bench.homed()


class TestMyCobotArm(ArmPromises):
    places = (Pose(0.0, 0.0, 258.0, 0.0, -90.0), Pose(176.777, 0.0, 184.777, 45.0, 0.0))
    long_way = (Pose(0.0, -176.777, 184.777, 45.0, -90.0), Pose(176.777, 0.0, 184.777, 45.0, 0.0))
    tolerance = 0.17  # the protocol counts in 0.1 mm and 0.01 degree, and the camera stands on a lever
    reading_tolerance = 0.12

    @pytest.fixture(params=["acknowledged", "silent", "silent, over TCP"])
    def bench(self, request: Any, make_cobot: Any) -> Any:
        wire = SocketWire if "TCP" in request.param else PtyWire
        return make_cobot(wire=wire, acknowledge="flag" if request.param == "acknowledged" else "none")

    @pytest.fixture
    def slow_bench(self, make_cobot: Any) -> Any:
        return make_cobot(speed=1.0)  # homing it takes no motion

    @pytest.fixture
    def homed(self, bench: Any) -> Any:
        return bench.homed()

    def check_stopped_between(self, bench: Any, _start: Pose, end: Pose) -> None:
        assert distance_mm(camera_in_station(bench.true_pose()), camera_in_station(end)) > 1.0
