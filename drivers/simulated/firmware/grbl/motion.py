"""The drives behind the simulated controller: planner, braking, homing runs, and the count of steps.

`shift` is where the axes physically are minus where the controller counts them to be.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from drivers.simulated.firmware.grbl.gantry import PULL_OFF, SimulatedAxis
from drivers.simulated.firmware.trajectory import Axes, Leg, Track, jump, straight_leg

COAST_S = 0.01  # a reset in motion stops the steps at once; the masses run on


@dataclass(frozen=True, slots=True)
class Block:
    """A planned straight move, in reported machine coordinates."""

    target: Axes
    rate_per_s: float | None  # None = as fast as the axes allow
    is_jog: bool = False


class GrblMotion:
    """Machine coordinates; `track` is the physical truth, everything reported is `track` minus `shift`.

    `blocks` are planned moves, `leg` and `block` the one under way. As on a gantry, steps lost and a reset in motion
    change `shift`, which only homing sets right.
    """

    def __init__(self, axes: tuple[SimulatedAxis, ...], settings: dict[int, float], start: Axes) -> None:
        self.track = Track(start)
        self.shift: Axes = tuple(0.0 for _ in axes)
        self.blocks: deque[Block] = deque()
        self.leg: Leg | None = None
        self.block: Block | None = None
        self.is_held = False
        self.short_by_mm = 0.0  # faults, for the next move
        self.lost_mm = 0.0
        self._losing_mm = 0.0
        self._letters = "".join(a.machine_axis for a in axes)
        self._settings = settings

    @property
    def is_busy(self) -> bool:
        """Something moves or is planned."""
        return self.leg is not None or bool(self.blocks)

    @property
    def is_jogging(self) -> bool:
        return self.block is not None and self.block.is_jog

    def reported(self, t_s: float) -> Axes:
        """What the controller takes the position to be: MPos."""
        return tuple(p - s for p, s in zip(self.track.at(t_s), self.shift, strict=True))

    def planned_end(self, now_s: float) -> Axes:
        """Where all that is planned will have led, as reported."""
        if self.blocks:
            return self.blocks[-1].target
        return self.reported(now_s) if self.block is None else self.block.target

    def is_within_travel(self, target: Axes) -> bool:
        """By the soft limits $130..: Grbl homes to the positive end, so machine coordinates run from -travel to 0."""
        return all(-self._settings[130 + i] <= p <= 0.0 for i, p in enumerate(target))

    def count_from_here(self, now_s: float) -> None:
        """Power-up: the counters start at 0 wherever the axes stand."""
        self.shift = self.track.at(now_s)

    def clear(self) -> None:
        """Forget what was planned; whatever still moves must have been stopped before."""
        self.blocks.clear()
        self.leg = self.block = None
        self.is_held = False

    # -- moves ------------------------------------------------------------------------------

    def begin_leg(self, now_s: float) -> None:
        """Start the next block from rest."""
        block = self.blocks.popleft()
        target = [p + s for p, s in zip(block.target, self.shift, strict=True)]
        target[0] += self.lost_mm - self.short_by_mm
        self._losing_mm, self.lost_mm, self.short_by_mm = self.lost_mm, 0.0, 0.0
        self.block = block
        self.leg = self._leg_between(now_s, self.track.at(now_s), tuple(target), block.rate_per_s)
        self.track.append(self.leg)

    def finish_leg(self) -> None:
        """At its end, or held on the way to it: then the rest waits for a resume."""
        leg, block = self.leg, self.block
        self.leg = self.block = None
        self.shift = (self.shift[0] + self._losing_mm, *self.shift[1:])
        self._losing_mm = 0.0
        if leg is not None and block is not None and self.is_held:
            left = [abs(t - p) for t, p in zip(block.target, self.reported(leg.end_s), strict=True)]
            if max(left) > 1e-6:
                self.blocks.appendleft(block)

    def hold(self, now_s: float) -> None:
        """Brake as planned; no step is lost."""
        self.is_held = True
        if self.leg is not None:
            self.leg = self.track.stop_at(now_s)

    def cancel_jog(self, now_s: float) -> None:
        """Brake as planned and forget the rest; the position stays known."""
        self.hold(now_s)
        self.is_held = False
        self.blocks.clear()

    def stop_dead(self, now_s: float) -> None:
        """Steps cease now, the masses run on: from here on the reported position is wrong."""
        reported = self.reported(now_s)
        leg = self.track.stop_at(now_s, max(self.track.speed(now_s) / COAST_S, 1.0))
        self.shift = tuple(p - r for p, r in zip(leg.end, reported, strict=True))
        self.clear()

    def _leg_between(self, start_s: float, start: Axes, target: Axes, rate_per_s: float | None) -> Leg:
        """All axes together, none faster or harder than its own $110.. and $120.. allow."""
        steps = [abs(b - a) for a, b in zip(start, target, strict=True)]
        length = sum(s * s for s in steps) ** 0.5
        shares = [(i, s / length) for i, s in enumerate(steps) if s > 0]
        rate = min((self._settings[110 + i] / 60.0 / share for i, share in shares), default=1.0)
        acceleration = min((self._settings[120 + i] / share for i, share in shares), default=1.0)
        return straight_leg(start_s, start, target, rate if rate_per_s is None else min(rate, rate_per_s), acceleration)

    # -- homing -----------------------------------------------------------------------------

    def plan_homing(self, now_s: float) -> float:
        """Z first, out of the way; then X and Y together; then one by one. Returns when it will be over."""
        groups = [tuple(self._letters.index(c) for c in group if c in self._letters) for group in ("Z", "XY")]
        groups += [(i,) for i, c in enumerate(self._letters) if c not in "XYZ"]
        at_s = now_s
        for group in groups:
            at_s = self._home_group(group, at_s)
        return at_s

    def _home_group(self, group: tuple[int, ...], at_s: float) -> float:
        """Seek the switches (machine 0), back off, approach slowly, pull off."""
        seek, feed = self._settings[25] / 60.0, self._settings[24] / 60.0
        for goal, rate in ((0.0, seek), (-PULL_OFF, seek), (0.0, feed), (-self._settings[27], seek)):
            start = self.track.at(at_s)
            target = tuple(goal if i in group else p for i, p in enumerate(start))
            leg = self._leg_between(at_s, start, target, rate)
            if leg.pieces:
                self.track.append(leg)
            at_s = leg.end_s
        return at_s

    def count_from_switches(self, now_s: float) -> None:
        """The switches were found: the counters are right, and each axis stands at its pull-off."""
        self.shift = tuple(0.0 for _ in self.shift)
        self.track.append(jump(now_s, self.track.at(now_s), tuple(-self._settings[27] for _ in self.shift)))
