"""The rig's clock: hardware's own times for demonstrations, faster for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class SimulatedClock:
    """Simulated seconds since the rig started; `speed` 1 is real time, 10 is ten times as fast.

    One clock serves the whole rig: camera timestamps, motion and replies share its scale.
    """

    def __init__(self, speed: float = 1.0) -> None:
        """Raises ValueError for a speed that is not above 0."""
        if not speed > 0:
            raise ValueError(f"clock speed must be above 0, found {speed}")
        self.speed = speed
        self._zero: tuple[float, float | None] = (0.0, time.monotonic())  # simulated, real; None: it stands

    def now_s(self) -> float:
        """Simulated seconds since start; never goes back."""
        simulated_s, real_s = self._zero
        return simulated_s if real_s is None else simulated_s + (time.monotonic() - real_s) * self.speed

    def now_ns(self) -> int:
        """The same in nanoseconds, as the camera's Timestamp counts."""
        return int(self.now_s() * 1e9)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The clock stands while the block runs, and goes on from there: what happens in it, happens now."""
        self._zero = (self.now_s(), None)
        try:
            yield
        finally:
            self._zero = (self.now_s(), time.monotonic())

    def set_forward(self, seconds: float) -> None:
        """Simulated seconds pass at once, while it stands."""
        self._zero = (self.now_s() + seconds, None)

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Sleep simulated seconds; returns True if `stop` was set meanwhile."""
        real_s = max(0.0, seconds) / self.speed
        if stop is not None:
            return stop.wait(real_s)
        time.sleep(real_s)
        return False
