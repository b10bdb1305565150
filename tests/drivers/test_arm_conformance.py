"""What every arm promises, whatever the protocol behind it: one class, run on each implementation."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import pytest

from drivers.errors import OutOfTravel, PositionUntrusted
from drivers.protocols import Arm, Pose

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
SIDE = Pose(120.0, -90.0, 185.0, 45.0, 0.0)
FAR = Pose(500.0, 0.0, 258.0, 0.0, 0.0)


class ArmPromises:
    """A subclass gives `bench` (`open`, `homed`, `true_pose`, `is_still`, and the wire as `sent(arm)`)."""

    @staticmethod
    def sent(arm: Any) -> bytes:
        raise NotImplementedError

    def test_it_says_who_it_is(self, bench: Any) -> None:
        arm: Arm = bench.open()
        assert arm.identity.vendor
        assert arm.identity.firmware

    def test_it_is_not_trusted_until_homed(self, bench: Any) -> None:
        arm: Arm = bench.open()
        assert not arm.position_trusted
        arm.home()
        assert arm.position_trusted

    def test_it_does_not_move_untrusted(self, bench: Any) -> None:
        arm: Arm = bench.open()
        before = self.sent(arm), bench.true_pose()
        with pytest.raises(PositionUntrusted, match="home"):
            arm.move_to(TOP)
        assert (self.sent(arm), bench.true_pose()) == before

    def test_it_stands_where_it_says_and_still(self, bench: Any) -> None:
        arm: Arm = bench.homed()
        for pose in (TOP, SIDE, SIDE, TOP):
            found = arm.move_to(pose)
            assert bench.is_still()
            assert found.as_tuple() == pytest.approx(pose.as_tuple(), abs=0.051)
            assert bench.true_pose().as_tuple() == pytest.approx(found.as_tuple(), abs=0.01)
            assert arm.position() == found

    @pytest.mark.parametrize("field", ["x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg"])
    @pytest.mark.parametrize("value", [1e4, -1e4, math.nan, math.inf])
    def test_nothing_is_sent_for_a_target_out_of_travel(self, homed: Any, field: str, value: float) -> None:
        before = self.sent(homed)
        with pytest.raises(OutOfTravel, match=field):
            homed.move_to(replace(TOP, **{field: value}))
        assert self.sent(homed) == before
        assert homed.position_trusted

    def test_check_reachable_tells_without_moving(self, bench: Any) -> None:
        arm: Arm = bench.open()
        arm.check_reachable(TOP)
        with pytest.raises(OutOfTravel, match=r"x_mm = 500 mm is outside -220 \.\. 220 mm"):
            arm.check_reachable(FAR)

    def test_stop_ends_a_move_and_the_trust(self, slow_bench: Any, wait_until: Any) -> None:
        arm: Arm = slow_bench.homed()
        near = replace(TOP, tilt_deg=45.0, pan_deg=180.0)
        arm.move_to(near)
        problems: list[Exception] = []

        def move() -> None:
            try:
                arm.move_to(replace(near, x_mm=-220.0))
            except PositionUntrusted as error:
                problems.append(error)

        mover = threading.Thread(target=move)
        mover.start()
        wait_until(lambda: not slow_bench.is_still())
        arm.stop()
        assert not arm.position_trusted
        mover.join()
        assert len(problems) == 1
        wait_until(slow_bench.is_still)
        assert -220.0 < slow_bench.true_pose().x_mm < 0.0
        with pytest.raises(PositionUntrusted):
            arm.move_to(near)
        arm.home()
        assert arm.move_to(near).x_mm == pytest.approx(0.0, abs=0.051)

    def test_stop_at_rest_is_allowed_and_homing_makes_good(self, bench: Any) -> None:
        arm: Arm = bench.homed()
        arm.stop()
        arm.stop()
        assert not arm.position_trusted
        with pytest.raises(PositionUntrusted):
            arm.move_to(TOP)
        arm.home()
        arm.move_to(TOP)


class TestGrblArm(ArmPromises):
    @staticmethod
    def sent(arm: Any) -> bytes:
        return bytes(arm.wire.written_bytes())

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
