"""Motion in closed form: straight legs with trapezoidal speed, and the record of where the axes were.

Positions can be asked for any time, past or planned; nothing is integrated step by step. Times are simulated seconds,
positions mm or degrees by axis.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, replace

Axes = tuple[float, ...]

RECORDED_LEGS = 4096


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of constant acceleration along a leg."""

    duration_s: float
    speed: float  # at its start, units per second
    acceleration: float

    def travelled(self, t_s: float) -> float:
        """Way along the leg in the first `t_s` of this piece."""
        return self.speed * t_s + 0.5 * self.acceleration * t_s * t_s


@dataclass(frozen=True, slots=True)
class Leg:
    """One straight movement of all axes together, from `start` along the unit vector `direction`."""

    start_s: float
    start: Axes
    direction: Axes
    pieces: tuple[Piece, ...]

    @property
    def end_s(self) -> float:
        return self.start_s + sum(p.duration_s for p in self.pieces)

    @property
    def end(self) -> Axes:
        return self.position(self.end_s)

    def position(self, t_s: float) -> Axes:
        """At simulated time `t_s`; the start before the leg, its end after it."""
        way = self._travelled(t_s)
        return tuple(s + way * d for s, d in zip(self.start, self.direction, strict=True))

    def speed(self, t_s: float) -> float:
        """Along the leg, 0 outside it."""
        left_s = t_s - self.start_s
        for piece in self.pieces:
            if 0 <= left_s < piece.duration_s:
                return piece.speed + piece.acceleration * left_s
            left_s -= piece.duration_s
        return 0.0

    def slowed_from(self, t_s: float, deceleration: float) -> Leg:
        """This leg, brought to a stand from `t_s` on."""
        speed = self.speed(t_s)
        brake = Piece(speed / deceleration, speed, -deceleration)
        return replace(self, pieces=(*self._pieces_until(t_s), brake))

    def _travelled(self, t_s: float) -> float:
        left_s, way = max(0.0, t_s - self.start_s), 0.0
        for piece in self.pieces:
            way += piece.travelled(min(left_s, piece.duration_s))
            left_s -= piece.duration_s
            if left_s <= 0:
                break
        return way

    def _pieces_until(self, t_s: float) -> tuple[Piece, ...]:
        left_s, kept = t_s - self.start_s, []
        for piece in self.pieces:
            if left_s <= 0:
                break
            kept.append(replace(piece, duration_s=min(left_s, piece.duration_s)))
            left_s -= piece.duration_s
        return tuple(kept)


def straight_leg(start_s: float, start: Axes, target: Axes, rate: float, acceleration: float) -> Leg:
    """Accelerate, cruise at `rate` if the way is long enough, brake; from rest to rest."""
    steps = [b - a for a, b in zip(start, target, strict=True)]
    length = math.sqrt(sum(s * s for s in steps))
    if length == 0.0:
        return Leg(start_s, start, tuple(0.0 for _ in start), ())
    peak = min(rate, math.sqrt(length * acceleration))
    ramp_s = peak / acceleration
    cruise_s = max(0.0, length / peak - ramp_s)
    pieces = (Piece(ramp_s, 0.0, acceleration), Piece(cruise_s, peak, 0.0), Piece(ramp_s, peak, -acceleration))
    return Leg(start_s, start, tuple(s / length for s in steps), pieces)


def jump(at_s: float, start: Axes, target: Axes) -> Leg:
    """A displacement in no time: steps lost, or a push."""
    return Leg(at_s, target, tuple(0.0 for _ in start), ())


class Track:
    """Where the axes physically were, are and, as far as planned, will be."""

    def __init__(self, start: Axes) -> None:
        self._legs = [jump(-math.inf, start, start)]
        self._starts_s = [-math.inf]

    def append(self, leg: Leg) -> None:
        """`leg` begins no earlier than the last one; the oldest are forgotten beyond twice RECORDED_LEGS."""
        self._legs.append(leg)
        self._starts_s.append(leg.start_s)
        if len(self._legs) > 2 * RECORDED_LEGS:
            del self._legs[:RECORDED_LEGS], self._starts_s[:RECORDED_LEGS]

    def stop_at(self, t_s: float, deceleration: float | None = None) -> Leg:
        """Forget what was planned after `t_s` and brake whatever moves then; returns the braking leg.

        Without a deceleration: as the leg's own planning would, at the acceleration it started with.
        """
        while self._starts_s[-1] > t_s:
            self._legs.pop()
            self._starts_s.pop()
        leg = self._legs[-1]
        if leg.end_s > t_s:
            leg = leg.slowed_from(t_s, deceleration or leg.pieces[0].acceleration)
            self._legs[-1] = leg
        return leg

    def at(self, t_s: float) -> Axes:
        """Where the axes are at `t_s`."""
        leg = self._leg_at(t_s)
        return leg.start if not leg.pieces else leg.position(t_s)

    def speed(self, t_s: float) -> float:
        """Along the leg of that time, units per second."""
        return self._leg_at(t_s).speed(t_s)

    def _leg_at(self, t_s: float) -> Leg:
        return self._legs[max(0, bisect.bisect_right(self._starts_s, t_s) - 1)]

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool:
        """Whether any leg has a moment in common with t0..t1; a jump counts."""
        first = max(0, bisect.bisect_right(self._starts_s, t0_s) - 1)
        overlapping = self._legs[first : bisect.bisect_left(self._starts_s, t1_s)]
        return any(leg.end_s > t0_s or leg.start_s > t0_s for leg in overlapping)
