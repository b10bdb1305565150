"""The promises of an arm, on the one of the rig file."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from conformance.arm import ArmPromises

from drivers.protocols import Pose
from station.rig import RigFile

STEP_SHARE = 0.1  # of the travel, between the two places
MOVING_AFTER_S = 0.03


@pytest.mark.hardware
class TestRealArm(ArmPromises):
    reading_tolerance = 0.051  # the controller's own word, once more

    @pytest.fixture(autouse=True)
    def places_of_this_arm(self, rig: RigFile, middle: Pose) -> None:
        travel = rig.travel()
        beside = {name: (low + high) / 2 + STEP_SHARE * (high - low) for name, (low, high) in travel.items()}
        low, high = travel["x_mm"]
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

    def check_stopped_between(self, bench: Any, start: Pose, end: Pose) -> None:
        """Only where the controller still tells: a held one may not."""
        stopped = bench.true_pose()
        if stopped is not None:
            assert min(start.x_mm, end.x_mm) <= stopped.x_mm <= max(start.x_mm, end.x_mm)
