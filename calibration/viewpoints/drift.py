"""Whether the camera still sees the fiducial from each viewpoint as it did on the day of calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.camera_model import F64
from calibration.hand_eye.poses import mean_pose, move_between, small_move
from calibration.hand_eye.result import Repeatability
from drivers.geometry.rigid import inverse

LIMIT_SIGMAS = 4.5  # of the length of a shift in three axes: 0.01 % of good checks per view exceed it
FLOOR_MM, FLOOR_DEG = 0.02, 0.005
FEWEST_FOR_CONSENSUS = 3  # of two views that differ, neither can be blamed; a single one always agrees with itself
COMMON_UNSEEN = "a shift common to all viewpoints cannot be seen this way: they place the board themselves"
UNSEEN = "the fiducial was not found in its pictures; put it back, or calibrate the viewpoints anew"
COMMON_SHARE = 0.5  # of the views: where more than these have moved, one common cause is sought


@dataclass(frozen=True)
class ViewDrift:
    """One viewpoint against its calibration."""

    name: str
    shift_mm: tuple[float, float, float]  # of the camera, along the station's x, y, z
    turn_deg: tuple[float, float, float]  # about the camera's right, down, ahead
    shift_px: float  # of the picture's middle on the fiducial
    limit_mm: float
    limit_deg: float
    visits: int

    @property
    def length_mm(self) -> float:
        """The length of the camera's shift."""
        return float(np.linalg.norm(self.shift_mm))

    @property
    def angle_deg(self) -> float:
        """The angle of the camera's turn."""
        return float(np.linalg.norm(self.turn_deg))

    @property
    def ok(self) -> bool:
        """Whether shift and turn are within their limits."""
        return self.length_mm <= self.limit_mm and self.angle_deg <= self.limit_deg


@dataclass(frozen=True)
class DriftReport:
    """All viewpoints; `reasons` is empty where none has moved, `warnings` name what the check cannot see."""

    views: tuple[ViewDrift, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.reasons

    def as_text(self) -> str:
        """One line a viewpoint, then reasons and warnings."""
        lines = [
            f"{'ok ' if v.ok else 'NOT'} {v.name}: {v.length_mm:.3f} mm (limit {v.limit_mm:.3f}), {v.angle_deg:.4f} "
            f"degrees (limit {v.limit_deg:.4f}), {v.shift_px:.1f} px"
            for v in self.views
        ]
        lines += [f"! {reason}" for reason in self.reasons]
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


@dataclass(frozen=True)
class Fiducial:
    """What calibration found at one viewpoint: (4, 4) camera to fiducial and to station, and the number of visits."""

    camera_to_board: F64
    camera_to_station: F64
    visits: int


class TooFewViews(ValueError):
    """Too few viewpoints saw the fiducial to place it by them; the text says how many are needed."""


def fiducials_by_consensus(
    viewpoints: Mapping[str, F64], seen: Mapping[str, Sequence[F64]]
) -> dict[str, Fiducial]:  # fmt: skip
    """What each viewpoint should see of a fiducial that was put down after calibration.

    `viewpoints` (4, 4): camera to station; `seen` as for `check_drift`. The fiducial's place is the median over the
    views, so that one bumped viewpoint does not move it. A shift that all viewpoints share is not seen, and a fiducial
    that moves between visits looks like a bump. Raises TooFewViews where fewer than FEWEST_FOR_CONSENSUS saw it.
    """
    places = [viewpoints[name] @ inverse(mean_pose(poses)) for name, poses in seen.items() if poses]
    if len(places) < FEWEST_FOR_CONSENSUS:
        raise TooFewViews(
            f"the board was seen from {len(places)} viewpoints of {len(viewpoints)}, at least {FEWEST_FOR_CONSENSUS} "
            "are needed where no fiducial is known: lay it so that they see it, or check against a record of "
            "`station calibrate viewpoints` with the board untouched since"
        )
    steps = np.array([move_between(places[0], place) for place in places])
    board = places[0] @ small_move(np.median(steps, axis=0))
    visits = max(sum(len(poses) for poses in seen.values()) // 2, 1)  # the median is worth half of as many means
    return {name: Fiducial(inverse(board) @ pose, pose, visits) for name, pose in viewpoints.items()}


def check_drift(
    calibrated: Mapping[str, Fiducial], seen: Mapping[str, Sequence[F64]], arm: Repeatability, focal_px: float,
    distance_mm: float,
) -> DriftReport:  # fmt: skip
    """Compares what each viewpoint sees now with what it saw at calibration.

    `seen` holds by viewpoint the poses (4, 4) camera to fiducial at each visit; `arm` is its repeatability. Where most
    viewpoints have moved, one common cause is given in place of many bumps. A fiducial that was not seen is a reason to
    refuse. Raises KeyError for a viewpoint that was never calibrated.
    """
    views = [
        _drift(name, calibrated[name], poses, arm, focal_px, distance_mm) for name, poses in seen.items() if poses
    ]  # fmt: skip
    reasons = [f"viewpoint {name}: {UNSEEN}" for name, poses in seen.items() if not poses]
    moved = [view for view in views if not view.ok]
    if len(moved) > COMMON_SHARE * len(views) and len(views) > 2:
        return DriftReport(tuple(views), (*reasons, _common_cause(calibrated, seen, arm)))
    return DriftReport(tuple(views), (*reasons, *(_bumped(view) for view in moved)))


def _drift(
    name: str, was: Fiducial, poses: Sequence[F64], arm: Repeatability, focal_px: float, distance_mm: float
) -> ViewDrift:
    """The viewpoint's move since calibration; its limits follow from the arm's scatter and the numbers of visits."""
    move = move_between(was.camera_to_board, mean_pose(poses))
    shift = was.camera_to_station[:3, :3] @ move[3:]
    turn = np.degrees(move[:3])
    factor = LIMIT_SIGMAS * np.sqrt(1 / len(poses) + 1 / max(was.visits, 1))
    across = np.array([move[1], -move[0]]) + move[3:5] / distance_mm
    return ViewDrift(
        name, _three(shift), _three(turn), float(focal_px * np.linalg.norm(across)),
        max(float(factor * arm.mm), FLOOR_MM), max(float(factor * arm.deg), FLOOR_DEG), len(poses),
    )  # fmt: skip


def _bumped(view: ViewDrift) -> str:
    """The reason to refuse a viewpoint that has moved by itself."""
    x, y, z = view.shift_mm
    return (
        f"bumped viewpoint {view.name}: the camera stands {view.length_mm:.3f} mm and {view.angle_deg:.3f} degrees off "
        f"where it was calibrated (x {x:+.3f}, y {y:+.3f}, z {z:+.3f} mm); teach and calibrate it anew"
    )


def _three(v: F64) -> tuple[float, float, float]:
    return float(v[0]), float(v[1]), float(v[2])


def _common_cause(calibrated: Mapping[str, Fiducial], seen: Mapping[str, Sequence[F64]], arm: Repeatability) -> str:
    """The cause that most viewpoints share: the camera moved on its arm, or the fiducial moved."""
    pairs = [(calibrated[name].camera_to_board, mean_pose(poses)) for name, poses in seen.items() if poses]
    on_arm = np.array([move_between(was, now) for was, now in pairs])
    middle = np.mean([was[:3, 3] + 250.0 * was[:3, 2] for was, _ in pairs], axis=0)  # near where all of them look
    to_middle = np.eye(4)
    to_middle[:3, 3] = middle
    of_board = np.array([
        move_between(np.eye(4), inverse(to_middle) @ now @ inverse(was) @ to_middle) for was, now in pairs
    ])  # fmt: skip
    scale = np.array([np.radians(arm.deg)] * 3 + [arm.mm] * 3)
    camera, board = (np.median(moves, axis=0) for moves in (on_arm, of_board))
    left = [float(np.median(np.linalg.norm((m - c) / scale, axis=1))) for m, c in ((on_arm, camera), (of_board, board))]
    chosen, who = (camera, "the camera has moved on its arm") if left[0] <= left[1] else (
        board, "the fiducial, or the fixture under it, has moved"
    )  # fmt: skip
    mm, deg = float(np.linalg.norm(chosen[3:])), float(np.degrees(np.linalg.norm(chosen[:3])))
    done = "calibrate the viewpoints anew" if left[0] <= left[1] else "put it back, or calibrate the viewpoints anew"
    return f"most viewpoints have moved alike, by {mm:.3f} mm and {deg:.3f} degrees: {who}; {done}"
