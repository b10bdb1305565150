"""The promises of an arm, on the one of the rig file."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from conformance.arm import ArmPromises

from drivers.geometry.pose import Pose
from drivers.protocols import Arm
from station.rig.file import RigFile

STEP_SHARE = 0.1  # of the travel, between the two places
MOVING_AFTER_S = 0.03
LEAST_TOLERANCE, RESOLUTION = 0.05, 0.001  # mm or degrees; a rig file with more is believed


@pytest.mark.hardware
class TestRealArm(ArmPromises):
    @pytest.fixture(autouse=True)
    def places_of_this_arm(self, rig: RigFile, middle: Pose) -> None:
        travel = rig.travel()
        beside = {name: (low + high) / 2 + STEP_SHARE * (high - low) for name, (low, high) in travel.items()}
        low, high = travel["x_mm"]
        within = (getattr(rig.arm, name, LEAST_TOLERANCE) for name in ("tolerance_mm", "tolerance_deg"))
        self.tolerance = max(LEAST_TOLERANCE, *within) + RESOLUTION
        self.reading_tolerance = self.tolerance  # the controller's own word, once more
        self.places = (middle, Pose(**beside))
        self.long_way = (middle, replace(middle, x_mm=low + STEP_SHARE * (high - low)))

    @pytest.fixture
    def bench(self, arm_bench: Any) -> Any:
        return arm_bench

    @pytest.fixture
    def slow_bench(self, arm_bench: Any) -> Any:
        return arm_bench

    @pytest.fixture
    def homed(self, arm_bench: Any) -> Any:
        return arm_bench.homed()

    def wait_moving(self, bench: Any, wait_until: Any) -> None:  # noqa: ARG002
        """The controller cannot be asked while it is moving for another thread."""
        time.sleep(MOVING_AFTER_S)

    def witness(self, bench: Any, stopped: Arm) -> Arm:
        """The stopped arm is blocked and reports nothing; one opened anew reports, untrusted, where the axes stand."""
        stopped.close()
        opened: Arm = bench.open()
        assert not opened.position_trusted
        return opened

    def check_stopped_between(self, bench: Any, start: Pose, end: Pose) -> None:
        """The end was not reached: without a stop it would have been."""
        stopped = bench.true_pose()
        if stopped is None:
            pytest.skip("the controller does not tell where it was stopped")
        low, high = sorted((start.x_mm, end.x_mm))
        assert low - self.tolerance <= stopped.x_mm <= high + self.tolerance
        assert abs(stopped.x_mm - end.x_mm) > self.tolerance
