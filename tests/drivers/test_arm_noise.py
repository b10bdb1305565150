"""Arms on a line that loses or changes bytes both ways: a move that is reported done is done, and nothing hangs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from drivers.errors import DeviceError
from drivers.protocols import Pose

MOVES = 10
GANTRY_PLACES = (
    Pose(0.0, 0.0, 258.0, 45.0, 180.0),
    Pose(-90.0, 0.0, 258.0, 45.0, 180.0),
    Pose(60.0, 20.0, 200.0, 30.0, 90.0),
)
ARM_PLACES = (Pose(0.0, 0.0, 258.0, 0.0, -90.0), Pose(0.0, -176.777, 184.777, 45.0, -90.0))


def walk(bench: Any, arm: Any, places: tuple[Pose, ...], tolerance: float) -> int:
    """How many moves were reported done; each of those must have led to its place."""
    draw, done = random.Random(7), 0
    for _ in range(MOVES):
        try:
            if not arm.position_trusted:
                arm.home()
            pose = draw.choice(places)
            arm.move_to(pose)
        except DeviceError:
            continue
        assert bench.is_still()
        assert bench.true_pose().as_tuple() == pytest.approx(pose.as_tuple(), abs=tolerance)
        done += 1
    return done


@pytest.mark.parametrize("fault", ["drop_bytes", "corrupt_bytes"])
class TestNoise:
    @pytest.mark.parametrize("dialect", ["grbl", "grblhal"])
    def test_a_gantry(self, make_gantry: Any, fault: str) -> None:
        bench = make_gantry()
        arm = bench.open(reply_timeout_s=0.2, move_margin_s=0.5, homing_timeout_s=2.0)
        bench.firmware.inject(fault, "0.003")
        assert walk(bench, arm, GANTRY_PLACES, 0.06) >= 2
        assert b"$X" not in arm.wire.written_bytes()
        assert b"~" not in arm.wire.written_bytes()

    def test_a_six_axis_arm(self, make_cobot: Any, fault: str) -> None:
        bench = make_cobot()
        arm = bench.open(reply_timeout_s=0.2, move_margin_s=0.5)
        bench.firmware.inject(fault, "0.003")
        assert walk(bench, arm, ARM_PLACES, 1.5) >= 2
        assert b"\xfe\xfe\x02\x13" not in arm.wire.written_bytes()
