"""The lamps behind a simulated light controller: their light over time, and their physical faults.

The timeline is what the lamps do, which may differ from what the controller answers.
"""

from __future__ import annotations

import bisect
import threading

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction

RISE_S = 0.0005  # from the command's execution to the light
RECORDED_CHANGES = 8192
MINUTE_S = 60.0


class Lamp:
    """One channel's commanded level over time (a step function), and its physical faults.

    A level is 0..1; times are simulated seconds.
    """

    def __init__(self) -> None:
        self.gain = 1.0
        self.stuck_level: float | None = None
        self.fades: tuple[float, float] | None = None  # since when, and the share lost per second
        self._times_s = [0.0]
        self._levels = [0.0]

    def set(self, level: float, at_s: float) -> None:
        """From `at_s` on; what was planned for later is forgotten."""
        while len(self._times_s) > 1 and self._times_s[-1] >= at_s:
            self._times_s.pop()
            self._levels.pop()
        self._times_s.append(at_s)
        self._levels.append(level)
        if len(self._times_s) > 2 * RECORDED_CHANGES:
            del self._times_s[:RECORDED_CHANGES], self._levels[:RECORDED_CHANGES]

    def exchange(self, other: Lamp, at_s: float) -> None:
        """From `at_s` on each gets the current that the other would have had; what was is kept."""
        mine, others = self._from(at_s), other._from(at_s)
        for lamp, coming in ((self, others), (other, mine)):
            for begin_s, level in coming:
                lamp.set(level, begin_s)

    def _from(self, at_s: float) -> list[tuple[float, float]]:
        """The level at `at_s`, and every later change, as (time, level)."""
        first = max(0, bisect.bisect_right(self._times_s, at_s) - 1)
        later = zip(self._times_s[first + 1 :], self._levels[first + 1 :], strict=True)
        return [(at_s, self._levels[first]), *later]

    def mean(self, t0_s: float, t1_s: float) -> float:
        """Mean level of t0..t1, 0..1 times the physical gain; the level at t0 when they are equal."""
        if self.stuck_level is not None:
            return self.stuck_level
        i = max(0, bisect.bisect_right(self._times_s, t0_s) - 1)
        gain = self._gain_at(t0_s)
        if t1_s <= t0_s:
            return gain * self._levels[i]
        area, at_s = 0.0, t0_s
        while at_s < t1_s:
            until_s = min(t1_s, self._times_s[i + 1]) if i + 1 < len(self._times_s) else t1_s
            area += self._levels[i] * max(0.0, until_s - at_s)
            at_s, i = max(at_s, until_s), i + 1
        return gain * area / (t1_s - t0_s)

    def _gain_at(self, t_s: float) -> float:
        if self.fades is None:
            return self.gain
        since_s, per_s = self.fades
        return self.gain * max(0.0, 1.0 - per_s * max(0.0, t_s - since_s))


class LampBank:
    """Outputs 1..n of a controller, wired to lamps 1..n. `lock` is the controller's own."""

    def __init__(self, clock: SimulatedClock, channels: int, lock: threading.RLock) -> None:
        self._clock = clock
        self._lock = lock
        self._lamps = {c: Lamp() for c in range(1, channels + 1)}
        self._wiring = {c: c for c in self._lamps}  # output -> lamp

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(self._lamps)

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Per lamp, the mean brightness over t0..t1: 0..1 as commanded, times what the lamp makes of it."""
        with self._lock:
            return {c: lamp.mean(t0_s, t1_s) for c, lamp in self._lamps.items()}

    def light(self, channel: int, level: float, at_s: float) -> None:
        """From `at_s` on the lamp on this output shines at `level`, 0..1."""
        self._lamps[self._wiring[channel]].set(level, at_s)

    def flash(self, channel: int, start_s: float, width_s: float, level: float) -> None:
        """One pulse, dark after it."""
        self.light(channel, level, start_s)
        self.light(channel, 0.0, start_s + width_s)

    # -- what can be wrong ------------------------------------------------------------------

    def set_gain(self, channel: int, gain: float) -> None:
        """0 = the lamp is dead, 0.6 = weak; the controller knows nothing of it."""
        with self._lock:
            self._lamps[channel].gain = gain

    def stuck_on(self, channel: int, level: float = 1.0) -> None:
        """The lamp burns whatever is commanded."""
        with self._lock:
            self._lamps[channel].stuck_level = level

    def known(self, channel: str) -> int:
        """A fault's channel as a number. Raises ValueError for what is no channel."""
        if not channel.isdigit() or int(channel) not in self._lamps:
            raise ValueError(f"no channel {channel!r}; there are 1..{len(self._lamps)}")
        return int(channel)

    def faults(self) -> dict[str, FaultAction]:
        """Name -> fault of a lamp or its cable; the controller notices none of them."""
        return {
            "light_dead": self._fault_dead,
            "light_weak": self._fault_weak,
            "light_drift": self._fault_drift,
            "light_stuck_on": self._fault_stuck,
            "light_repaired": self._fault_repaired,
            "lights_swapped": self._fault_swapped,
        }

    def _fault_dead(self, channel: str) -> str:
        self.set_gain(self.known(channel), 0.0)
        return f"light {channel} is dead"

    def _fault_weak(self, channel: str, gain: str = "0.6") -> str:
        self.set_gain(self.known(channel), float(gain))
        return f"light {channel} gives {float(gain):g} of its level"

    def _fault_drift(self, channel: str, percent_per_minute: str = "1.0") -> str:
        with self._lock:
            per_s = float(percent_per_minute) / 100.0 / MINUTE_S
            self._lamps[self.known(channel)].fades = (self._clock.now_s(), per_s)
        return f"light {channel} loses {float(percent_per_minute):g} % of its level per minute from now on"

    def _fault_stuck(self, channel: str, level: str = "1.0") -> str:
        self.stuck_on(self.known(channel), float(level))
        return f"light {channel} is stuck at {float(level):g}"

    def _fault_repaired(self, channel: str) -> str:
        with self._lock:
            lamp = self._lamps[self.known(channel)]
            lamp.gain, lamp.stuck_level, lamp.fades = 1.0, None, None
        return f"light {channel} works again"

    def _fault_swapped(self, first: str, second: str) -> str:
        with self._lock:
            a, b = self.known(first), self.known(second)
            lamp_a, lamp_b = self._lamps[self._wiring[a]], self._lamps[self._wiring[b]]
            self._wiring[a], self._wiring[b] = self._wiring[b], self._wiring[a]
            if lamp_a is not lamp_b:
                lamp_a.exchange(lamp_b, self._clock.now_s())  # a lamp without its cable is dark
        return f"cables of lights {first} and {second} swapped"
