"""The time of each step of long work, and what is left of the one that runs."""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST_TOLD_S = 3.0  # of a step: before that what is left cannot be told


class StepClock:
    """Hands progress on, with the time that is left, and adds up the time of each step.

    The time since the last report belongs to the step reported. What is left is told from the step's share done.
    """

    def __init__(self, report: Callable[[str, float], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._report = report
        self._last_s = time.monotonic()
        self._step, self._began_s = "", self._last_s

    def progress(self, what: str, share: float) -> None:
        """The step's name is what stands before the first comma; a whole sentence is a finding, and no step."""
        if what.endswith("."):
            self._report(what, share)
            return
        now_s = time.monotonic()
        step = what.split(",")[0]
        self.seconds[step] = round(self.seconds.get(step, 0.0) + now_s - self._last_s, 3)
        if step != self._step:
            self._step, self._began_s = step, self._last_s
        self._last_s = now_s
        self._report(f"{what}{self._left(now_s, share)}", share)

    def _left(self, now_s: float, share: float) -> str:
        """`, 3 min left of this step`; nothing where that cannot be told yet."""
        passed_s = now_s - self._began_s
        if not 0 < share < 1 or passed_s < LEAST_TOLD_S:
            return ""
        left_s = passed_s * (1 - share) / share
        text = f"{left_s:.0f} s" if left_s < 90 else f"{left_s / 60:.0f} min"
        return f", {text} left of this step"
