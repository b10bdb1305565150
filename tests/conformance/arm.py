"""What every arm promises, whatever the protocol behind it: one class, run on each implementation.

A bench has `open()` and `homed()`, which return an Arm; `true_pose()`, the best that can be known from outside (None
where nothing is); `is_still()`. A simulated bench asks the machine behind the wire, a real one the controller.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import replace
from typing import Any

import pytest

from drivers.errors import DeviceError, OutOfTravel, PositionUntrusted
from drivers.geometry.pose import POSE_FIELDS, Pose
from drivers.protocols import Arm

QUESTIONS = re.compile(  # change nothing: Grbl's `?`, and frames of a myCobot that only ask
    rb"\?|\xfe\xfe\x02[\x02\x07\x12\x14\x20\x23\x27\x2b\xf6\xf7]\xfa|\xfe\xfe\x0f\x2a.{13}\xfa", re.DOTALL
)


class ArmPromises:
    """A subclass gives the fixtures `bench`, `slow_bench` (moves that can be interrupted), `homed` and `wait_until`."""

    places: tuple[Pose, Pose] = (Pose(0.0, 0.0, 258.0, 0.0, -90.0), Pose(120.0, -90.0, 185.0, 45.0, 0.0))
    long_way: tuple[Pose, Pose] = (Pose(0.0, 0.0, 258.0, 45.0, 180.0), Pose(-220.0, 0.0, 258.0, 45.0, 180.0))
    tolerance = 0.051  # mm or degrees, of a target
    reading_tolerance = 0.01  # between the reported and the true position

    @staticmethod
    def sent(arm: Any) -> bytes:
        """What was sent to the arm, without mere questions; empty where the driver keeps no log."""
        port = getattr(arm, "port", None)
        return b"" if port is None else QUESTIONS.sub(b"", bytes(port.written_bytes()))

    def test_it_reports_who_it_is(self, bench: Any) -> None:
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
            arm.move_to(self.places[0])
        assert (self.sent(arm), bench.true_pose()) == before

    def test_it_stands_still_where_it_reports(self, bench: Any) -> None:
        arm: Arm = bench.homed()
        first, second = self.places
        for pose in (first, second, second, first):
            found = arm.move_to(pose)
            assert bench.is_still()
            assert found.as_tuple() == pytest.approx(pose.as_tuple(), abs=self.tolerance)
            assert bench.true_pose().as_tuple() == pytest.approx(found.as_tuple(), abs=self.reading_tolerance)
            assert arm.position().as_tuple() == pytest.approx(found.as_tuple(), abs=self.reading_tolerance)

    @pytest.mark.parametrize("field", POSE_FIELDS)
    def test_nothing_is_sent_for_a_target_out_of_travel(self, homed: Any, field: str) -> None:
        for value in (1e4, -1e4, math.nan, math.inf):
            before = self.sent(homed)
            with pytest.raises(OutOfTravel, match=field):
                homed.move_to(replace(self.places[0], **{field: value}))
            assert self.sent(homed) == before
            assert homed.position_trusted

    def test_a_check_at_rest_changes_nothing_and_finds_a_stop(self, bench: Any) -> None:
        """Issue 15, point 3."""
        arm: Any = bench.open()
        with pytest.raises(PositionUntrusted, match="home the arm"):
            arm.check_at_rest()
        arm.home()
        arm.check_at_rest()
        arm.move_to(self.places[0])
        before = self.sent(arm)
        arm.check_at_rest()
        assert self.sent(arm) == before
        assert arm.position_trusted
        arm.stop()
        with pytest.raises(PositionUntrusted, match="stopped"):
            arm.check_at_rest()

    def test_check_reachable_answers_without_moving(self, bench: Any) -> None:
        arm: Arm = bench.open()
        arm.check_reachable(self.places[0])
        with pytest.raises(OutOfTravel, match="x_mm"):
            arm.check_reachable(replace(self.places[0], x_mm=1e4))

    def test_stop_ends_a_move_and_the_trust(self, slow_bench: Any, wait_until: Any) -> None:
        arm: Arm = slow_bench.homed()
        start, end = self.long_way
        arm.move_to(start)
        problems: list[DeviceError] = []

        def move() -> None:
            try:
                arm.move_to(end)
            except DeviceError as error:
                problems.append(error)

        mover = threading.Thread(target=move)
        mover.start()
        self.wait_moving(slow_bench, wait_until)
        arm.stop()
        assert not arm.position_trusted
        mover.join()
        assert [type(problem) for problem in problems] == [PositionUntrusted]
        with pytest.raises(PositionUntrusted):
            arm.move_to(start)
        arm = self.witness(slow_bench, arm)
        wait_until(slow_bench.is_still)
        self.check_stopped_between(slow_bench, start, end)
        arm.home()
        assert arm.move_to(start).x_mm == pytest.approx(start.x_mm, abs=self.tolerance)

    def witness(self, bench: Any, stopped: Arm) -> Arm:  # noqa: ARG002
        """The arm to go on with after a stop; where the place is known only by asking, another one is opened."""
        return stopped

    def wait_moving(self, bench: Any, wait_until: Any) -> None:
        wait_until(lambda: not bench.is_still())

    def check_stopped_between(self, bench: Any, start: Pose, end: Pose) -> None:
        assert min(start.x_mm, end.x_mm) < bench.true_pose().x_mm < max(start.x_mm, end.x_mm)

    def test_stop_at_rest_is_allowed_and_homing_makes_good(self, bench: Any) -> None:
        arm: Arm = bench.homed()
        arm.stop()
        arm.stop()
        assert not arm.position_trusted
        with pytest.raises(PositionUntrusted):
            arm.move_to(self.places[0])
        arm.home()
        arm.move_to(self.places[0])
