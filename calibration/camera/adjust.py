"""Bundle adjustment of one camera over pictures of one board; the board's own bow can be adjusted with it.

Levenberg and Marquardt over the camera, one pose per picture and, on request, three terms of the board's shape. Each
picture's pose is eliminated from the normal equations first, so that a round costs linear time in the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera_model import F64, pinhole_matrix

DistortionModel = Literal["k1", "k1k2", "full", "full+tangential"]
# places in OpenCV's order k1 k2 p1 p2 k3
FREE_COEFFICIENTS: dict[DistortionModel, tuple[int, ...]] = {
    "k1": (0,), "k1k2": (0, 1), "full": (0, 1, 4), "full+tangential": (0, 1, 2, 3, 4),
}  # fmt: skip
_ROUNDS, _ENOUGH = 60, 1e-10


class AdjustmentError(ValueError):
    """The pictures do not determine what was asked of them; the text says what is missing."""


@dataclass(frozen=True)
class BoardView:
    """The board's points in one picture: `board_mm` (N, 3) with z = 0, and where they are seen, `pixels` (N, 2)."""

    name: str
    board_mm: F64
    pixels: F64


@dataclass(frozen=True)
class Solution:
    """All that was adjusted.

    The board's height over its plane is z = a x'^2 + b x'y' + c y'^2 with (a, b, c) = `shape_mm` and x', y' from the
    board's centre in radii of the board.
    """

    intrinsic: F64  # (4,) fx fy cx cy
    distortion: F64  # (5,)
    shape_mm: F64  # (3,) a, b, c
    poses: F64  # (n, 6) rotation vector, translation in mm: board to camera
    frame: tuple[float, float, float]  # the board's centre x, y and radius, mm
    rms_px: float  # sqrt(mean of squared distances), as OpenCV counts
    covariance: F64  # of fx fy cx cy, the free coefficients and, if adjusted, the shape; from the residuals
    model: DistortionModel

    def board_points(self, board_mm: F64) -> F64:
        """(N, 3) points of the flat board with the height that was adjusted."""
        return bent_board(board_mm, self.shape_mm, self.frame)


def board_frame(views: Sequence[BoardView]) -> tuple[float, float, float]:
    """Centre x, y and radius in mm of all board points that any view shows."""
    points = np.concatenate([view.board_mm[:, :2] for view in views])
    lo, hi = points.min(0), points.max(0)
    centre = (lo + hi) / 2
    return float(centre[0]), float(centre[1]), float(np.linalg.norm(hi - lo) / 2)


def _quadratics(board_mm: F64, frame: tuple[float, float, float]) -> F64:
    """(N, 3): x'^2, x'y', y'^2 of the board's points, in radii of the board."""
    x, y = (board_mm[:, axis] - frame[axis] for axis in (0, 1))
    return np.column_stack([x * x, x * y, y * y]) / frame[2] ** 2


def bent_board(board_mm: F64, shape_mm: F64, frame: tuple[float, float, float]) -> F64:
    """(N, 3) the flat board's points, raised to the height that `shape_mm` gives them."""
    out = np.array(board_mm, np.float64)
    out[:, 2] = _quadratics(board_mm, frame) @ shape_mm
    return out


def bow_um(shape_mm: F64, views: Sequence[BoardView], frame: tuple[float, float, float]) -> float:
    """Peak to valley of the board's height over its points, in micrometres."""
    points = np.unique(np.concatenate([view.board_mm for view in views]), axis=0)
    height = bent_board(points, shape_mm, frame)[:, 2]
    return float((height.max() - height.min()) * 1e3)


def _project(points: F64, pose: F64, k: F64, d: F64) -> tuple[F64, F64]:
    """(N, 2) pixels, and OpenCV's jacobian (2N, ...): rotation, shift, focal lengths, centre, distortion."""
    seen, jacobian = cv2.projectPoints(points.reshape(-1, 1, 3), pose[:3], pose[3:], pinhole_matrix(k), d)
    return np.asarray(seen.reshape(-1, 2), np.float64), np.asarray(jacobian, np.float64)


def residuals(view: BoardView, pose: F64, solution: Solution) -> F64:
    """(N, 2) px: the points as seen minus as predicted."""
    predicted, _ = _project(solution.board_points(view.board_mm), pose, solution.intrinsic, solution.distortion)
    return np.asarray(view.pixels - predicted, np.float64)


def _derivatives(view: BoardView, pose: F64, at: Solution, free: tuple[int, ...], bow: bool) -> tuple[F64, F64, F64]:
    """Residuals (2N,), their derivatives to the shared parameters (2N, q) and to the pose (2N, 6)."""
    points = at.board_points(view.board_mm)
    predicted, jacobian = _project(points, pose, at.intrinsic, at.distortion)
    shared = [jacobian[:, 6:10], jacobian[:, [10 + place for place in free]]]
    if bow:
        normal = cv2.Rodrigues(pose[:3])[0][:, 2]
        along = jacobian[:, 3:6] @ normal
        shared.append(along[:, None] * np.repeat(_quadratics(view.board_mm, at.frame), 2, axis=0))
    return (view.pixels - predicted).ravel(), np.hstack(shared), jacobian[:, :6]


@dataclass(frozen=True)
class _Normal:
    """The normal equations with the poses eliminated."""

    blocks: list[tuple[F64, F64, F64]]  # per view: pose block (6, 6), coupling (6, q), right side (6,)
    shared: F64  # (q, q)
    right: F64  # (q,)
    cost: float


def _normal_equations(views: Sequence[BoardView], at: Solution, free: tuple[int, ...], bow: bool) -> _Normal:
    """The blocks of the normal equations at `at`, summed over the views."""
    q = 4 + len(free) + (3 if bow else 0)
    shared, right, cost, blocks = np.zeros((q, q)), np.zeros(q), 0.0, []
    for view, pose in zip(views, at.poses, strict=True):
        r, a, b = _derivatives(view, pose, at, free, bow)
        shared += a.T @ a
        right += a.T @ r
        cost += float(r @ r)
        blocks.append((b.T @ b, b.T @ a, b.T @ r))
    return _Normal(blocks, shared, right, cost)


def _step(normal: _Normal, damping: float) -> tuple[F64, F64, F64]:
    """Steps of shared parameters and poses, and the reduced matrix, damped by Marquardt's diagonal."""
    reduced = normal.shared + damping * np.diag(np.diag(normal.shared))
    right = normal.right.copy()
    solved = []
    for block, coupling, side in normal.blocks:
        damped = block + damping * np.diag(np.diag(block))
        both = np.linalg.solve(damped, np.column_stack([coupling, side]))
        solved.append(both)
        reduced -= coupling.T @ both[:, :-1]
        right -= coupling.T @ both[:, -1]
    scale = 1 / np.sqrt(np.maximum(np.diag(reduced), 1e-300))
    delta = scale * np.linalg.solve(reduced * scale[:, None] * scale, right * scale)
    return delta, np.array([both[:, -1] - both[:, :-1] @ delta for both in solved]), reduced


def _moved(at: Solution, shared: F64, poses: F64, free: tuple[int, ...], bow: bool) -> Solution:
    """The solution after one step of shared parameters and poses."""
    distortion = at.distortion.copy()
    distortion[list(free)] += shared[4 : 4 + len(free)]
    shape = at.shape_mm + shared[-3:] if bow else at.shape_mm
    return replace(
        at, intrinsic=at.intrinsic + shared[:4], distortion=distortion, shape_mm=shape, poses=at.poses + poses
    )


def adjust(
    views: Sequence[BoardView], start: Solution, model: DistortionModel, bow: bool = False, rounds: int = _ROUNDS,
    enough: float = _ENOUGH,
) -> Solution:  # fmt: skip
    """Least squares over camera, poses and, with `bow`, the board's shape.

    Coefficients that the model does not free keep the values of `start`. The search ends when a round lowers the cost
    by less than the share `enough`, or after `rounds` rounds. Raises AdjustmentError where the normal equations are
    singular.
    """
    free = FREE_COEFFICIENTS[model]
    at, damping = replace(start, model=model), 1e-4
    try:
        normal = _normal_equations(views, at, free, bow)
        for _ in range(rounds):
            shared, poses, _ = _step(normal, damping)
            tried = _moved(at, shared, poses, free, bow)
            then = _normal_equations(views, tried, free, bow)
            if then.cost <= normal.cost and np.isfinite(then.cost):
                gain = normal.cost - then.cost
                at, normal, damping = tried, then, max(damping / 10, 1e-12)
                if gain <= enough * normal.cost:
                    break
            elif damping > 1e8:
                break
            else:
                damping *= 10
        return _finished(views, at, normal)
    except np.linalg.LinAlgError as error:
        raise AdjustmentError(
            f"the views do not determine the camera ({error}); tilt the board in other ways"
        ) from error


def _finished(views: Sequence[BoardView], at: Solution, normal: _Normal) -> Solution:
    """`at` with its rms and the covariance of the shared parameters, scaled by the residuals."""
    _, _, reduced = _step(normal, 0.0)
    points = sum(len(view.pixels) for view in views)
    freedom = max(2 * points - 6 * len(views) - len(reduced), 1)
    scale = 1 / np.sqrt(np.diag(reduced))
    covariance = np.linalg.inv(reduced * scale[:, None] * scale) * scale[:, None] * scale * (normal.cost / freedom)
    return replace(at, covariance=covariance, rms_px=float(np.sqrt(normal.cost / points)))


def fit_pose(view: BoardView, solution: Solution, start: F64 | None = None) -> tuple[F64, float]:
    """The view's pose (6,) with the camera fixed, and its rms in px. Raises AdjustmentError."""
    pose = start_pose(view, solution) if start is None else np.array(start, np.float64)
    damping = 1e-4
    r, _, b = _derivatives(view, pose, solution, (), False)
    for _ in range(_ROUNDS):
        matrix = b.T @ b
        try:
            delta = np.linalg.solve(matrix + damping * np.diag(np.diag(matrix)), b.T @ r)
        except np.linalg.LinAlgError as error:
            raise AdjustmentError(f"{view.name}: its points do not fix a pose ({error})") from error
        then, _, slope = _derivatives(view, pose + delta, solution, (), False)
        if then @ then <= r @ r:
            gain = float(r @ r - then @ then)
            pose, r, b, damping = pose + delta, then, slope, max(damping / 10, 1e-12)
            if gain <= _ENOUGH * float(r @ r):
                break
        elif damping > 1e8:
            break
        else:
            damping *= 10
    return pose, float(np.sqrt((r @ r) / len(view.pixels)))


def start_pose(view: BoardView, solution: Solution) -> F64:
    """(6,) a first pose from the flat board alone, by OpenCV's IPPE. Raises AdjustmentError where none fits."""
    matrix = pinhole_matrix(solution.intrinsic)
    points = np.ascontiguousarray(view.board_mm.reshape(-1, 1, 3))
    pixels = np.ascontiguousarray(view.pixels.reshape(-1, 1, 2))
    try:
        found, rotation, shift = cv2.solvePnP(points, pixels, matrix, solution.distortion, flags=cv2.SOLVEPNP_IPPE)
    except cv2.error as error:
        raise AdjustmentError(f"{view.name}: no pose found ({str(error).splitlines()[0]})") from error
    pose = np.concatenate([np.ravel(rotation), np.ravel(shift)]) if found else np.full(6, np.nan)
    if not np.isfinite(pose).all():
        raise AdjustmentError(f"{view.name}: no pose of a flat board fits its points")
    return np.asarray(pose, np.float64)


def first_solution(views: Sequence[BoardView], size_px: tuple[int, int]) -> Solution:
    """OpenCV's fit with k1 alone, to start from. Raises AdjustmentError where no camera fits the views."""
    flags = cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3
    try:
        rms, k, d, turns, shifts = cv2.calibrateCamera(
            [view.board_mm.astype(np.float32) for view in views], [view.pixels.astype(np.float32) for view in views],
            size_px, np.eye(3), np.zeros(5), flags=flags,
        )  # fmt: skip
    except cv2.error as error:
        raise AdjustmentError(f"no camera fits these views ({str(error).splitlines()[0]})") from error
    poses = np.array([np.concatenate([np.ravel(r), np.ravel(t)]) for r, t in zip(turns, shifts, strict=True)])
    intrinsic = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]])
    if not (np.isfinite(intrinsic).all() and np.isfinite(poses).all() and (intrinsic[:2] > 0).all()):
        raise AdjustmentError("no camera fits these views; tilt the board by 10 to 50 degrees, in several directions")
    nothing: NDArray[np.float64] = np.zeros((0, 0))
    return Solution(
        intrinsic,
        np.asarray(d, np.float64).ravel()[:5],
        np.zeros(3),
        poses,
        board_frame(views),
        float(rms),
        nothing,
        "k1",
    )
