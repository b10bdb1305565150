"""The simulated lamps: what a fault of a cable does to the light."""

from __future__ import annotations

import threading
from typing import cast

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.lamps import LampBank


class StandingClock:
    now = 0.0

    def now_s(self) -> float:
        return self.now


def test_cables_that_are_exchanged_under_a_pulse_leave_no_lamp_lit() -> None:
    """Issue 15, acceptance: a lamp without its cable stayed lit for ever, and no off could reach it."""
    clock = StandingClock()
    lamps = LampBank(cast(SimulatedClock, clock), 3, threading.RLock())
    lamps.flash(1, 1.0, 4.0, 0.8)
    lamps.light(3, 0.5, 0.0)
    clock.now = 2.0
    lamps.faults()["lights_swapped"]("1", "2")
    assert lamps.mean_levels(1.5, 1.5) == {1: 0.8, 2: 0.0, 3: 0.5}, "what was is kept"
    assert lamps.mean_levels(3.0, 3.0) == {1: 0.0, 2: 0.8, 3: 0.5}
    assert lamps.mean_levels(6.0, 6.0) == {1: 0.0, 2: 0.0, 3: 0.5}, "the pulse ends as it was meant to"
    lamps.light(1, 0.4, 7.0)
    assert lamps.mean_levels(8.0, 8.0) == {1: 0.0, 2: 0.4, 3: 0.5}
    lamps.faults()["lights_swapped"]("3", "3")
    assert lamps.mean_levels(8.0, 8.0)[3] == 0.5
