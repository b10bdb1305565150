"""Whether the engine's threads still answer: what the watchdog and `/health` rest on.

Three signs: something that is at work reports something within `stall_s`; the watch of the devices at rest takes its
turns; and this very object is asked, so the process runs. A state such as Error is no sign of death: a person is
needed, and a new start of the service would not help.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from station.engine.events import Event, State, StateChanged

STALL_S = 300.0  # longer than a frame's time-out at full resolution, and than homing on the slowest arm
WATCH_SILENT_S = 60.0


class Pulse:
    """May be used from any thread."""

    def __init__(
        self,
        watch_silent_s: Callable[[], float | None],
        stall_s: float = STALL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`watch_silent_s` gives how long the watch at rest has taken no turn; None while it is not to."""
        self._watch_silent_s = watch_silent_s
        self._stall_s = stall_s
        self._clock = clock
        self._lock = threading.Lock()
        self._last = clock()
        self._is_executing = False
        self._verbs: list[str] = []

    def take(self, event: Event) -> None:
        """Any event is a sign of life."""
        with self._lock:
            self._last = self._clock()
            if isinstance(event, StateChanged):
                self._is_executing = event.state is State.SINGLE_EXECUTION

    @contextmanager
    def verb(self, name: str) -> Iterator[None]:
        """A verb is under way, and must come to an end."""
        with self._lock:
            self._last = self._clock()
            self._verbs.append(name)
        try:
            yield
        finally:
            with self._lock:
                self._last = self._clock()
                self._verbs.remove(name)

    @property
    def verbs(self) -> tuple[str, ...]:
        """Those that are under way."""
        with self._lock:
            return tuple(self._verbs)

    def why_dead(self) -> str:
        """Empty while the engine's threads answer; else what does not."""
        with self._lock:
            silent_s, at_work = self._clock() - self._last, [*self._verbs]
            if self._is_executing:
                at_work.append("the running part")
        if at_work and silent_s > self._stall_s:
            return f"{', '.join(at_work)}: nothing was reported for {silent_s:.0f} s"
        watch_s = self._watch_silent_s()
        if watch_s is not None and watch_s > WATCH_SILENT_S:
            return f"the watch of the devices has taken no turn for {watch_s:.0f} s"
        return ""
