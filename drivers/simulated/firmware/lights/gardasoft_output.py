"""One output of a Gardasoft RT controller: its mode, and how the controller reports it."""

from __future__ import annotations

import math
from dataclasses import dataclass

CONTINUOUS, PULSED, SWITCHED, SELECTED = 0, 1, 2, 3


@dataclass(slots=True)
class Output:
    """What the controller holds of one channel."""

    trigger_input: int
    mode: int = CONTINUOUS
    level: float = 0.0
    other_level: float = 0.0  # in selected mode, while the trigger input is high
    width_s: float = 0.0
    delay_s: float = 0.0
    retrigger_s: float = 0.0
    last_trigger_s: float = -math.inf
    error: int = 0  # a lighting error; the output stays dark until it is cleared

    def status(self, channel: int) -> str:
        """The answer to `ST`: mode, level in percent, times in ms, trigger input and error."""
        times = f"DL {1e3 * self.delay_s:.3f}ms, PU {1e3 * self.width_s:.3f}ms, RT {1e3 * self.retrigger_s:.3f}ms"
        where = f"IP {self.trigger_input}, FL 0, ER {self.error}"
        return f"CH {channel}, MD {self.mode}, S {100 * self.level:.1f}, {times}, {where}"
