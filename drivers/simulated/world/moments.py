"""Actions that wait for a moment of the rig's own: the n-th exposure, readout or move from now.

So a fault meets the same moment in every run, however busy the machine is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.kinds import ArmFirmware

log = logging.getLogger(__name__)

MOVING, EXPOSING, TRANSFERRING = MOMENTS = ("moving", "exposing", "transferring")
LOOK_S = 0.0005  # real seconds; the shortest move of a plan takes fifty times as long on the fastest rig of the tests
LONGEST_ACTION_S = 1.0  # real seconds for which the moment waits: unplugging the camera waits for the exposure in turn


@dataclass(slots=True)
class Waiting:
    """An action, and how many moments it lets pass."""

    moment: str
    left: int
    action: Callable[[], object]


class Moments:
    """What waits, and what sees its moment come. Actions are run by threads of their own, one at a time."""

    def __init__(self, clock: SimulatedClock, arm: ArmFirmware) -> None:
        self.acted_s: float | None = None  # `time.monotonic`, which all processes of a machine share
        self._clock = clock
        self._arm = arm
        self._waiting: list[Waiting] = []
        self._lock = threading.Lock()

    def wait_for(self, moment: str, count: int, action: Callable[[], object]) -> None:
        """Run `action` in the middle of the `count`-th such moment from now. Raises ValueError."""
        if moment not in MOMENTS or count < 1:
            raise ValueError(f"no moment {count} of {moment!r}: say a number from 1 on of {', '.join(MOMENTS)}")
        is_watched = self._waits_for_move()
        self.acted_s = None
        with self._lock:
            self._waiting.append(Waiting(moment, count, action))
        if moment == MOVING and not is_watched:
            threading.Thread(target=self._watch_moves, name="moments", daemon=True).start()

    def forget(self) -> None:
        """Nothing waits any more."""
        with self._lock:
            self._waiting.clear()

    def is_next(self, moment: str) -> bool:
        """Whether something waits for the very next such moment."""
        with self._lock:
            return any(waiting.moment == moment and waiting.left == 1 for waiting in self._waiting)

    def reached(self, moment: str) -> None:
        """Such a moment is now: for the thread that makes it."""
        with self._lock:
            for waiting in self._waiting:
                if waiting.moment == moment:
                    waiting.left -= 1
            due = [waiting for waiting in self._waiting if waiting.left == 0 and waiting.moment == moment]
            self._waiting = [waiting for waiting in self._waiting if waiting not in due]
        for waiting in due:
            self.act(waiting.action)

    def act(self, action: Callable[[], object]) -> None:
        """Run it on a thread of its own; a long one goes on without being waited for."""
        self.acted_s = time.monotonic()
        thread = threading.Thread(target=_logged, args=(action,), name="moment", daemon=True)
        thread.start()
        thread.join(LONGEST_ACTION_S)

    def _watch_moves(self) -> None:
        """Until nothing waits for a move: sees each one begin."""
        was_moving = self._is_moving()
        while self._waits_for_move():
            is_moving = self._is_moving()
            if is_moving and not was_moving:
                self.reached(MOVING)
            was_moving = is_moving
            time.sleep(LOOK_S)

    def _waits_for_move(self) -> bool:
        with self._lock:
            return any(waiting.moment == MOVING for waiting in self._waiting)

    def _is_moving(self) -> bool:
        now_s = self._clock.now_s()
        return self._arm.is_moving_between(now_s, now_s)


def _logged(action: Callable[[], object]) -> None:
    try:
        action()
    except Exception:
        log.exception("what waited for its moment failed")
