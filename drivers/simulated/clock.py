"""The rig's clock: hardware's own times for demonstrations, faster for tests."""

from __future__ import annotations

import threading
import time


class SimulatedClock:
    """Simulated seconds since the rig started; `speed` 1 is real time, 10 is ten times as fast.

    One clock serves the whole rig: camera timestamps, motion and replies share its scale.
    """

    def __init__(self, speed: float = 1.0) -> None:
        """Raises ValueError for a speed that is not above 0."""
        if not speed > 0:
            raise ValueError(f"clock speed must be above 0, found {speed}")
        self.speed = speed
        self._started_s = time.monotonic()

    def now_s(self) -> float:
        """Simulated seconds since start; never goes back."""
        return (time.monotonic() - self._started_s) * self.speed

    def now_ns(self) -> int:
        """The same in nanoseconds, as the camera's Timestamp counts."""
        return int(self.now_s() * 1e9)

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Sleep simulated seconds; returns True if `stop` was set meanwhile."""
        real_s = max(0.0, seconds) / self.speed
        if stop is not None:
            return stop.wait(real_s)
        time.sleep(real_s)
        return False
