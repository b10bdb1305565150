"""Where the time of an inspection goes: wall milliseconds per stage, summed over its calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimes:
    """Adds up the durations of named stages, from several threads; stages of two threads overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block inside, whether it ends well or not."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, (time.perf_counter() - started) * 1e3)

    def add(self, name: str, duration_ms: float) -> None:
        with self._lock:
            self._sums_ms[name] = self._sums_ms.get(name, 0.0) + duration_ms

    def as_dict(self) -> dict[str, float]:
        """Stage -> milliseconds, rounded to a hundredth."""
        with self._lock:
            return {name: round(value, 2) for name, value in self._sums_ms.items()}
