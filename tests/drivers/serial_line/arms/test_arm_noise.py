"""Arms on a line that loses or changes bytes both ways: a move that is reported done is done.

After any error the arm is not trusted, or it rests where the driver says. Nothing hangs.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from drivers.errors import DeviceError
from drivers.geometry.pose import Pose

MOVES = 10
RATE = "0.003"  # of bytes
GANTRY_PLACES = (
    Pose(0.0, 0.0, 258.0, 45.0, 180.0),
    Pose(-90.0, 0.0, 258.0, 45.0, 180.0),
    Pose(60.0, 20.0, 200.0, 30.0, 90.0),
)
ARM_PLACES = (Pose(0.0, 0.0, 258.0, 0.0, -90.0), Pose(0.0, -176.777, 184.777, 45.0, -90.0))


def walk(bench: Any, arm: Any, fault: str, places: tuple[Pose, ...], tolerance: float) -> int:
    """How many moves were reported done; each of those must have led to its place."""
    bench.firmware.inject(fault, RATE)
    draw, done = random.Random(7), 0
    for _ in range(MOVES):
        try:
            if not arm.position_trusted:
                arm.home()
            pose = draw.choice(places)
            arm.move_to(pose)
        except DeviceError:
            bench.firmware.inject(fault, "0")  # what is asked now is to be heard as it was said
            check_untrusted_or_at_rest(bench, arm, tolerance)
            bench.firmware.inject(fault, RATE)
            continue
        assert bench.is_still()
        assert bench.true_pose().as_tuple() == pytest.approx(pose.as_tuple(), abs=tolerance)
        done += 1
    return done


def check_untrusted_or_at_rest(bench: Any, arm: Any, tolerance: float) -> None:
    """The next route would start from where the driver believes to be."""
    if arm.position_trusted:
        assert bench.is_still()
        assert arm.position().as_tuple() == pytest.approx(bench.true_pose().as_tuple(), abs=tolerance)


@pytest.mark.parametrize("fault", ["drop_bytes", "corrupt_bytes"])
class TestNoise:
    @pytest.mark.parametrize("dialect", ["grbl", "grblhal"])
    def test_a_gantry(self, make_gantry: Any, fault: str) -> None:
        bench = make_gantry()
        arm = bench.open(reply_timeout_s=0.2, move_margin_s=0.5, homing_timeout_s=2.0)
        assert walk(bench, arm, fault, GANTRY_PLACES, 0.06) >= 2
        assert b"$X" not in arm.port.written_bytes()
        assert b"~" not in arm.port.written_bytes()

    def test_a_six_axis_arm(self, make_cobot: Any, fault: str) -> None:
        bench = make_cobot()
        arm = bench.open(reply_timeout_s=0.2, move_margin_s=0.5)
        assert walk(bench, arm, fault, ARM_PLACES, 0.2) >= 2  # 0.1 mm and 0.01 degrees, on the camera's lever
        assert b"\xfe\xfe\x02\x13" not in arm.port.written_bytes()
