"""The faults of the simulated camera: of its next frames, its sensor, its temperature."""

from __future__ import annotations

import math
import threading
from collections import deque
from functools import partial

from drivers.simulated.camera.exposure import Exposed
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction

FRAME_FAULTS = {
    "incomplete": "frames arrive with their lower half missing",
    "dropped": "frames are lost on the way",
    "stale": "frames are the one before, pixels and time",
    "duplicate": "frames carry the number of the one before",
    "late": "frames arrive 0.2 s late",
}
LATE_S = 0.2
ROOM_C, WARM_UP_C, WARM_UP_S = 30.0, 12.0, 600.0  # the housing, and how it warms after power on


class CameraFaults:
    """State of the faults of one camera; `faults` causes them by name."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.exposure_factor = 1.0
        self._clock = clock
        self._extra_temperature_c = 0.0
        self._to_come: deque[str] = deque()  # one per frame
        self._last_exposed: Exposed | None = None
        self._lock = threading.Lock()

    def faults(self) -> dict[str, FaultAction]:
        """Name -> fault. Those of frames take how many frames they spoil, one after another."""
        spoilers: dict[str, FaultAction] = {name: partial(self._spoil_next, name) for name in FRAME_FAULTS}
        return {**spoilers, "saturation": self._saturate, "temperature": self._warm}

    def next_frame(self) -> str | None:
        """The fault of the frame that is exposed now, of FRAME_FAULTS; None for a good one."""
        with self._lock:
            return self._to_come.popleft() if self._to_come else None

    def spoil(self, exposed: Exposed, frame_id: int, fault: str | None) -> Exposed | None:
        """The frame as it goes onto the wire; None for one that is lost. Sleeps for a late one.

        An incomplete one is marked by the caller; a stale one is the frame before, if it has the same size.
        """
        last, self._last_exposed = self._last_exposed, exposed
        match fault:
            case "dropped":
                return None
            case "late":
                self._clock.sleep(LATE_S)
            case "stale" if last is not None and last.pixels.shape == exposed.pixels.shape:
                return Exposed(last.pixels, last.timestamp_ns)
            case "duplicate" | "stale":
                return Exposed(exposed.pixels, exposed.timestamp_ns, frame_id=frame_id - 1)
        return exposed

    def temperature_c(self) -> float:
        """Of the camera's housing, which warms after power on."""
        warm_up_c = WARM_UP_C * (1.0 - math.exp(-self._clock.now_s() / WARM_UP_S))
        return ROOM_C + warm_up_c + self._extra_temperature_c

    def _spoil_next(self, fault: str, count: str = "1") -> str:
        with self._lock:
            self._to_come.extend([fault] * int(count))
        return f"the next {count} {FRAME_FAULTS[fault]}"

    def _saturate(self, factor: str = "50") -> str:
        self.exposure_factor = float(factor)
        return f"the sensor gathers {self.exposure_factor:g} times the light (1 is as it should be)"

    def _warm(self, degrees: str = "20") -> str:
        self._extra_temperature_c = float(degrees)
        return f"the camera is {self._extra_temperature_c:g} degrees warmer than it should be"
