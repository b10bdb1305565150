"""Visits of a camera on an arm to boards, projected exactly: the truth is known, and the arm errs by a given amount."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.boards.board import Board
from calibration.camera.adjust import BoardView, Solution, adjust, first_solution
from calibration.camera_model import CameraModel
from calibration.hand_eye.poses import arm_pose, pose_of
from calibration.hand_eye.result import Repeatability, Visit
from drivers.geometry.rigid import inverse

F64 = NDArray[np.float64]
BOARD = Board("charuco", 16, 12, 4.0)
SIZE = (5472, 3648)
TRUTH = CameraModel(*SIZE, 18200.0, 18200.0, 2701.0, 1866.0)
MOUNT = pose_of(np.radians([0.3, -0.2, 0.25]), np.array([0.6, -0.4, 0.5]))
EXPECTED = Repeatability(0.05, 0.01)
_WEDGES = ((0.0, 0.0, 12.0), (25.0, 0.0, 20.0), (25.0, 130.0, -35.0))  # tilt, lean, rotation
_LOOKS = ((0, -90, 250), (0, 15, 262), (4, 95, 240), (8, 170, 250), (22, 90, 256), (25, -80, 244), (32, 40, 250))
_STATION = ((0, -90, 250), (45, -90, 250), (45, 0, 250), (45, 90, 250), (45, 180, 250))


@dataclass
class Walk:
    """How the visits go wrong; `seed` draws the arm's errors and the corners' noise."""

    seed: int = 0
    noise_px: float = 0.1
    mm: float = 0.05
    deg: float = 0.01
    pitch: float = 1.0
    bow_um: float = 0.0
    points: int = 60
    bumps: dict[int, tuple[float, ...]] = field(default_factory=dict)  # visit number: five axes off

    def visits(self) -> list[Visit]:
        rng, out = np.random.default_rng([self.seed, 3]), []
        plan = [(k, look) for k in range(3) for look in (*_LOOKS, *(_STATION if k == 0 else ()))]
        for number, (k, look) in enumerate(plan):
            shift = rng.uniform(-8, 8, 2)
            axes = _looking(look, (float(shift[0]), float(shift[1])), 25.0 if k else 8.0)
            off = rng.standard_normal(5) * [self.mm, self.mm, self.mm, self.deg, self.deg] + np.array(
                self.bumps.get(number, (0.0,) * 5)
            )
            view = self._view(f"visit {number}", np.array(axes) + off, board_pose(k), rng)
            out.append(Visit(view, axes, k))
        return out

    def _view(self, name: str, axes: F64, board: F64, rng: np.random.Generator) -> BoardView:
        flat = BOARD.points_mm()
        points = (flat - _middle()) * self.pitch
        points[:, 2] = -self.bow_um * 1e-3 * (1 - (points[:, :2] ** 2).sum(axis=1) / (points[:, :2] ** 2).sum(1).max())
        place = inverse(MOUNT) @ inverse(arm_pose(axes)) @ board
        pixels = TRUTH.project(points @ place[:3, :3].T + place[:3, 3])
        inside = np.flatnonzero(((pixels > 5) & (pixels < [SIZE[0] - 6, SIZE[1] - 6])).all(axis=1))
        kept = np.sort(rng.choice(inside, min(self.points, len(inside)), replace=False))
        return BoardView(name, flat[kept], pixels[kept] + rng.normal(0, self.noise_px, (len(kept), 2)))


def _middle() -> F64:
    return np.array([BOARD.cols, BOARD.rows, 0.0]) * BOARD.square_mm / 2


def board_pose(k: int) -> F64:
    """(4, 4): the board's middle to station."""
    tilt, lean, turn = np.radians(_WEDGES[k])
    leaned = pose_of(np.array([-np.sin(lean), np.cos(lean), 0.0]) * tilt, np.array([0.0, 0.0, 25.0 if k else 8.0]))
    face_up = np.eye(4)
    face_up[:3, :3] = np.diag([1.0, -1.0, -1.0])
    return np.asarray(leaned @ pose_of(np.array([0.0, 0.0, turn]), np.zeros(3)) @ face_up, np.float64)


def _looking(look: tuple[float, float, float], beside: tuple[float, float], height: float) -> tuple[float, ...]:
    tilt, pan, distance = look
    t, p = np.radians([tilt, pan])
    x, y = beside[0] + distance * np.sin(t) * np.cos(p), beside[1] + distance * np.sin(t) * np.sin(p)
    return float(x), float(y), float(height + distance * np.cos(t)), float(tilt), float(pan)


def camera_of(visits: list[Visit]) -> Solution:
    """The camera from the visits' pictures alone."""
    views = [visit.view for visit in visits]
    return adjust(views, first_solution(views, SIZE), "k1")
