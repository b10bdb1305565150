"""A fault that waits for its moment comes in the middle of it, once, and to the right one."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.world.moments import EXPOSING, MOVING, TRANSFERRING, Moments


class Arm:
    is_moving = False

    def is_moving_between(self, _t0_s: float, _t1_s: float) -> bool:
        return self.is_moving


def test_the_third_exposure_is_met_and_no_other_moment() -> None:
    moments = Moments(SimulatedClock(), cast(Any, Arm()))
    came: list[str] = []
    moments.wait_for(EXPOSING, 3, lambda: came.append("third"))
    moments.wait_for(EXPOSING, 1, lambda: came.append("first"))
    moments.reached(TRANSFERRING)
    assert (came, moments.acted_s) == ([], None)
    for _ in range(4):
        moments.reached(EXPOSING)
    assert came == ["first", "third"]
    assert moments.acted_s is not None


def test_the_second_move_is_met_while_it_lasts() -> None:
    arm, came = Arm(), threading.Event()
    moments = Moments(SimulatedClock(), cast(Any, arm))
    moments.wait_for(MOVING, 1, lambda: setattr(arm, "is_moving", False))
    moments.wait_for(MOVING, 2, came.set)
    arm.is_moving = True  # until the first action ends it
    while arm.is_moving:
        assert not came.wait(0.001)
    for _ in range(2000):  # until a rest between two moves was long enough to be seen
        if came.wait(0.005):
            break
        arm.is_moving = not arm.is_moving
    assert came.is_set()


def test_what_is_forgotten_does_not_come() -> None:
    moments = Moments(SimulatedClock(), cast(Any, Arm()))
    came: list[str] = []
    moments.wait_for(EXPOSING, 1, lambda: came.append("late"))
    moments.forget()
    moments.reached(EXPOSING)
    assert came == []


@pytest.mark.parametrize(("moment", "count"), [("dreaming", 1), (EXPOSING, 0)])
def test_a_moment_that_does_not_exist_is_refused(moment: str, count: int) -> None:
    with pytest.raises(ValueError, match="say a number from 1 on of moving, exposing, transferring"):
        Moments(SimulatedClock(), cast(Any, Arm())).wait_for(moment, count, lambda: None)


def test_a_clock_that_stands_goes_on_from_there_and_never_back() -> None:
    clock = SimulatedClock(1000.0)
    with clock.standing():
        stood_s = clock.now_s()
        threading.Event().wait(0.002)  # two simulated seconds, if it went
        assert clock.now_s() == stood_s
        clock.set_forward(0.5)
        assert clock.now_s() == stood_s + 0.5
    assert stood_s + 0.5 <= clock.now_s()
