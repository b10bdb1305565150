"""The abort order at the devices: first the arm is held, then the lights go off, whatever either of them answers."""

from __future__ import annotations

import logging

from station.rig.devices import Rig, told

log = logging.getLogger(__name__)


def hold(rig: Rig) -> list[str]:
    """Hold the arm and switch the lights off; returns what could not be confirmed, for a person to look at.

    The second is done whatever the first one raises. Any thread may call it: both devices take it at any time.
    """
    problems = []
    for what, step in (("arm hold", rig.arm.stop), ("lights off", rig.lights.off)):
        try:
            step()
        except Exception as error:  # whatever a driver of another package raises, the lights go off
            log.warning("%s not confirmed", what, exc_info=error)
            problems.append(f"{what} not confirmed: {told(error)}")
    return problems
