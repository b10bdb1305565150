"""Where the camera physically is: the arm's axes, plus an error that is drawn anew at each visit, plus bumps.

A real arm comes back within its repeatability and then stands still, so that all frames of one visit share one error.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from drivers.geometry.pose import Pose
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.firmware.kinds import ArmFirmware
from drivers.simulated.world.fixture import MAXIMUM_POSE_ERROR


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of the camera at a place: all its frames share one pose error."""

    axes: tuple[float, ...]
    error: tuple[float, float, float, float, float]
    since_s: float


class Visits:
    """True poses of the camera. The n-th visit has the same error in every run with the same seed."""

    def __init__(self, config: SimulatedRigConfig, arm: ArmFirmware) -> None:
        self._seed = config.seed
        self._repeatability_mm = config.imperfections.pose_repeatability_mm
        self._repeatability_deg = config.imperfections.pose_repeatability_deg
        self._arm = arm
        self._lock = threading.Lock()
        self._visit: Visit | None = None
        self._visits = 0
        self._bumped: list[tuple[tuple[float, ...], tuple[float, ...]]] = []  # a place, and how far off it now is

    def true_pose(self, t_s: float) -> Pose:
        """Where the camera physically is at simulated time `t_s`; a move since the last call begins a new visit."""
        axes = self._arm.axes_at(t_s)
        with self._lock:
            visit = self._visit
            stayed = visit is not None and visit.axes == axes and not self._arm.is_moving_between(visit.since_s, t_s)
            if visit is None or not stayed:
                self._visits += 1
                visit = Visit(axes, self._draw_pose_error(self._visits), t_s)
                self._visit = visit
            bump = self._bump_at(axes)
        return Pose(*(a + e + b for a, e, b in zip(axes[:5], visit.error, bump, strict=True)))

    def bump(self, place: tuple[float, ...], off: tuple[float, ...]) -> None:
        """Near `place` (x y z tilt pan) the arm stands off by `off` from now on, in mm and degrees."""
        with self._lock:
            self._bumped.append((place, off))

    def _bump_at(self, axes: tuple[float, ...]) -> tuple[float, ...]:
        near = [off for place, off in self._bumped if np.allclose(axes[:5], place, atol=MAXIMUM_POSE_ERROR)]
        return near[-1] if near else (0.0,) * 5

    def _draw_pose_error(self, visit: int) -> tuple[float, float, float, float, float]:
        draw = np.random.default_rng([self._seed, visit]).standard_normal(5)
        mm, deg = self._repeatability_mm, self._repeatability_deg
        return (
            float(draw[0] * mm),
            float(draw[1] * mm),
            float(draw[2] * mm),
            float(draw[3] * deg),
            float(draw[4] * deg),
        )
