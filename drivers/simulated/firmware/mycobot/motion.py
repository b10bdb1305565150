"""The joints of the simulated six-axis arm in time: moves by joint angles, or of the flange along a straight line."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drivers.geometry.mycobot_kinematics import ArmGeometry, Joints, nearest
from drivers.geometry.rigid import Transform, angle_between_deg, distance_mm
from drivers.simulated.firmware.mycobot import geometry as stated
from drivers.simulated.firmware.trajectory import Leg, straight_leg

RECORDED_RUNS = 2048
KNOTS_PER_MM = 0.2
LARGEST_STEP_DEG = 30.0  # between knots: more is a leap through a singular place


@dataclass(frozen=True, slots=True)
class Run:
    """One movement: `leg` is the progress along `knots`, which lie evenly spaced from its start to its end."""

    leg: Leg
    length: float
    knots: tuple[Joints, ...]

    def at(self, t_s: float) -> Joints:
        if self.length == 0.0:
            return self.knots[-1]
        share = min(1.0, max(0.0, self.leg.position(t_s)[0] / self.length)) * (len(self.knots) - 1)
        low = min(int(share), len(self.knots) - 2)
        part = share - low
        return tuple(a + part * (b - a) for a, b in zip(self.knots[low], self.knots[low + 1], strict=True))


class ArmMotion:
    """Where the joints were, are, and as far as commanded will be. Angles in degrees, times in simulated seconds."""

    def __init__(self, geometry: ArmGeometry, start: Sequence[float]) -> None:
        self.geometry = geometry
        here = tuple(float(q) for q in start)
        self._runs = [Run(straight_leg(-1e9, (0.0,), (0.0,), 1.0, 1.0), 0.0, (here,))]
        self._starts_s = [-1e9]

    def at(self, t_s: float) -> Joints:
        """The joints at `t_s`."""
        return self._runs[max(0, bisect.bisect_right(self._starts_s, t_s) - 1)].at(t_s)

    @property
    def end_s(self) -> float:
        """When the last commanded movement is over."""
        return self._runs[-1].leg.end_s

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool:
        """Whether any joint moves at any moment of t0..t1."""
        first = max(0, bisect.bisect_right(self._starts_s, t0_s) - 1)
        return any(run.leg.end_s > t0_s for run in self._runs[first : bisect.bisect_left(self._starts_s, t1_s)])

    def stop(self, now_s: float) -> None:
        """Brake at the acceleration of the run itself."""
        run = self._runs[-1]
        if run.leg.end_s > now_s:
            self._runs[-1] = replace(run, leg=run.leg.slowed_from(now_s, run.leg.pieces[0].acceleration))

    def turn_to(self, now_s: float, joints: Sequence[float], speed: float) -> None:
        """All joints together; `speed` is a share of the full one."""
        start, target = self.at(now_s), tuple(float(q) for q in joints)
        length = max(abs(b - a) for a, b in zip(start, target, strict=True))
        rate, acceleration = stated.FULL_SPEED_DEG_PER_S * speed, stated.ACCELERATION_DEG_PER_S2
        self._append(Run(straight_leg(now_s, (0.0,), (length,), rate, acceleration), length, (start, target)))

    def line_to(self, now_s: float, flange: Transform, speed: float) -> bool:
        """The flange on a straight way; False, and no motion, when the joints cannot follow it."""
        knots = self._straight_knots(self.at(now_s), flange)
        if knots is None:
            return False
        start = self.geometry.flange(knots[0])
        length = max(distance_mm(start, flange), angle_between_deg(start, flange))
        rate, acceleration = stated.FULL_SPEED_MM_PER_S * speed, stated.ACCELERATION_MM_PER_S2
        self._append(Run(straight_leg(now_s, (0.0,), (length,), rate, acceleration), length, knots))
        return True

    def _straight_knots(self, start: Joints, target: Transform) -> tuple[Joints, ...] | None:
        """Joints at even steps of the straight way; None where it leaves the limits or leaps through a singularity."""
        here = self.geometry.flange(start)
        count = 2 + int(KNOTS_PER_MM * max(distance_mm(here, target), angle_between_deg(here, target)))
        knots = [start]
        for share in np.linspace(0.0, 1.0, count)[1:]:
            ways = [q for q in self.geometry.joints_for(_between(here, target, share)) if self._is_allowed(q)]
            found = nearest(ways, knots[-1])
            if found is None or max(abs(a - b) for a, b in zip(found, knots[-1], strict=True)) > LARGEST_STEP_DEG:
                return None
            knots.append(found)
        return tuple(knots)

    def _is_allowed(self, joints: Joints) -> bool:
        return self.geometry.within_limits(joints)

    def _append(self, run: Run) -> None:
        self._runs.append(run)
        self._starts_s.append(run.leg.start_s)
        if len(self._runs) > 2 * RECORDED_RUNS:
            del self._runs[:RECORDED_RUNS], self._starts_s[:RECORDED_RUNS]


def _between(a: Transform, b: Transform, share: float) -> Transform:
    """Position along the line, orientation by the one rotation that leads from `a` to `b`."""
    result = np.eye(4)
    result[:3, 3] = (1.0 - share) * a[:3, 3] + share * b[:3, 3]
    result[:3, :3] = a[:3, :3] @ _part_of_turn(a[:3, :3].T @ b[:3, :3], share)
    return result


def _part_of_turn(turn: Transform, share: float) -> Transform:
    """Rodrigues' formula for a share of the angle; undefined axes (no turn, half a turn) give a well-defined result."""
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine = float(np.linalg.norm(axis)) / 2.0
    angle = float(np.arctan2(sine, (np.trace(turn) - 1.0) / 2.0))
    if sine < 1e-9:
        if angle < 1.0:
            return np.eye(3)
        axis = np.sqrt(np.maximum(0.0, (np.diag(turn) + 1.0) / 2.0))  # half a turn: signs by its largest component
        largest = int(np.argmax(axis))
        axis = (turn[:, largest] + np.eye(3)[largest]) / (2.0 * axis[largest])
    axis = axis / np.linalg.norm(axis)
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    part = angle * share
    result: Transform = np.eye(3) + np.sin(part) * cross + (1.0 - np.cos(part)) * (cross @ cross)
    return result
