"""Where the time of an inspection goes: milliseconds per stage, and when each began and ended, on which thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from station.inspection.timeline import Span, Timeline


class StageTimes:
    """Adds up the durations of named stages, from several threads; stages of two threads overlap.

    The part begins when this is made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums_ms: dict[str, float] = {}
        self._spans: list[Span] = []
        self._began_s = time.perf_counter()
        self._exposed_ms: float | None = None
        self._judged_ms: float | None = None
        self._here = threading.local()

    def enter_view(self, view: str) -> None:
        """The stages of this thread belong to that view from now on."""
        self._here.view = view

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block inside, whether it ends well or not."""
        began_ms = self._now_ms()
        try:
            yield
        finally:
            ended_ms = self._now_ms()
            view = getattr(self._here, "view", "")
            span = Span(threading.current_thread().name, name, view, round(began_ms, 3), round(ended_ms, 3))
            with self._lock:
                self._spans.append(span)
            self.add(name, ended_ms - began_ms)

    def add(self, name: str, duration_ms: float) -> None:
        with self._lock:
            self._sums_ms[name] = self._sums_ms.get(name, 0.0) + duration_ms

    def exposure_ended(self, ago_s: float = 0.0) -> None:
        """An exposure was over `ago_s` seconds before now; the last one counts."""
        self._exposed_ms = round(self._now_ms() - ago_s * 1e3, 3)

    def judged(self) -> None:
        """The part's verdict is made now."""
        self._judged_ms = round(self._now_ms(), 3)

    def as_dict(self) -> dict[str, float]:
        """Stage -> milliseconds, rounded to a hundredth."""
        with self._lock:
            return {name: round(value, 2) for name, value in self._sums_ms.items()}

    def timeline(self) -> Timeline:
        """All spans so far."""
        with self._lock:
            return Timeline(tuple(self._spans), self._exposed_ms, self._judged_ms)

    def _now_ms(self) -> float:
        return (time.perf_counter() - self._began_s) * 1e3
