"""Hand-eye and robot-world by bundle adjustment: one camera on one arm over all pictures of a board.

Adjusted together: the camera, how it sits on the arm, where the board lay, its bow, and for every visit how far
the arm stood off what it reported; those last are held by the arm's repeatability, which is itself estimated.

About the one direction in which five axes cannot turn, no arm error adds to a picture's rotation, and the corners'
noise averages over all pictures to below 0.0004 degrees. What errs alike in all pictures does not average: the mount's
covariance therefore has CORNER_SYSTEMATIC_PX at the corners' rms distance from their middle added as a turn, one sigma,
and that of the principal point what such a turn shifts the picture by: each makes up for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from calibration.camera.adjust import FREE_COEFFICIENTS, BoardView, Solution, fit_pose
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.poses import ARM_AXES, adjoint, arm_pose, arm_slopes, inverse, pose_of, small_move
from calibration.hand_eye.start import boards_in_station, park

BOW_PRIOR_MM = 0.03  # of each term of the board's bow
PITCH_PRIOR = 2e-5  # relative, of a certified board
FREE_PITCH = 0.02  # where it is asked what the arm says of the pitch
ROUNDS, ENOUGH, COMPONENTS = 40, 1e-7, 4
# Of 20 simulated calibrations at binning 8, 7 had a viewpoint's angle outside its interval without it (86.7 % of the
# angles inside), in the five looked into by 1.03 to 1.3 half widths, all to one side, which not all others share. Where
# it comes from is not known. It is 1/400 of such a picture's pixel.
CORNER_SYSTEMATIC_PX = 0.02
LEAST_MM, LEAST_DEG = 0.002, 0.0005  # an arm is not better than this
_AXES = len(ARM_AXES)


@dataclass(frozen=True)
class Visit:
    """One picture of the board, and what the arm reported. `placement` numbers the board's places."""

    view: BoardView
    axes: tuple[float, ...]  # x, y, z in mm, tilt and pan in degrees, as reported
    placement: int


@dataclass(frozen=True)
class Repeatability:
    """One sigma per axis of the arm."""

    mm: float
    deg: float


@dataclass(frozen=True)
class HandEye:
    """`mount`: camera's frame to the arm's camera frame. Small moves are (rotation rad, shift mm) in the camera's
    own frame: mount @ small_move(s)."""

    camera: CameraModel
    intrinsic: F64  # (4,) fx fy cx cy
    distortion: F64  # (5,)
    mount: F64  # (4, 4)
    boards: dict[int, F64]  # by placement: (4, 4) board to station
    deviations: F64  # (n, 5) mm and degrees: where the arm stood, less what it reported
    shape_mm: F64  # (3,) the board's bow
    pitch: float  # true pitch over the stated one
    pitch_spread: float
    repeatability: Repeatability
    rms_px: float
    noise_px: float  # of one coordinate
    covariance: F64  # (q, q) of intrinsics, free coefficients, then the mount's small move; see `mount_covariance`
    freedom: float  # visits' own degrees of freedom that tell of the arm
    solution: Solution

    @property
    def mount_covariance(self) -> F64:
        """(6, 6) of the mount's small move in the camera's frame, rad and mm."""
        return self.covariance[-6:, -6:]

    @property
    def intrinsic_covariance(self) -> F64:
        return self.covariance[:4, :4]


@dataclass
class _State:
    at: Solution  # camera and shape; its poses are not used
    mount: F64
    boards: dict[int, F64]
    deviations: F64
    pitch: float


@dataclass(frozen=True)
class _Layout:
    """Where each group of unknowns stands."""

    free: tuple[int, ...]
    placements: tuple[int, ...]
    visits: int

    @property
    def mount(self) -> int:
        return 4 + len(self.free)

    @property
    def shape(self) -> int:
        return self.mount + 6

    @property
    def pitch(self) -> int:
        return self.shape + 3

    def board(self, placement: int) -> int:
        return self.pitch + 1 + 6 * self.placements.index(placement)

    def visit(self, i: int) -> int:
        return self.pitch + 1 + 6 * len(self.placements) + _AXES * i

    @property
    def size(self) -> int:
        return self.visit(self.visits)


def calibrate_hand_eye(
    visits: Sequence[Visit], start: Solution, size_px: tuple[int, int], expected: Repeatability,
    pitch_prior: float = PITCH_PRIOR, components: int = COMPONENTS,
) -> HandEye:  # fmt: skip
    """`start`: the camera from the same pictures; `expected`: what the arm's maker says, a start for what is
    found in `components` rounds.

    Raises HandEyeError where the visits do not tell, AdjustmentError where a picture has no pose.
    """
    arm = [arm_pose(v.axes) for v in visits]
    groups = [v.placement for v in visits]
    seen = [_matrix(fit_pose(v.view, start)[0]) for v in visits]
    mount = park(arm, seen, groups)
    layout = _Layout(FREE_COEFFICIENTS[start.model], tuple(sorted(set(groups))), len(visits))
    state = _State(start, mount, boards_in_station(arm, mount, seen, groups), np.zeros((len(visits), _AXES)), 1.0)
    noise_px, arm_spread = max(start.rms_px / np.sqrt(2), 0.01), expected
    for _ in range(components):
        state, normal = _converge(visits, state, layout, noise_px, arm_spread, pitch_prior)
        covariance = np.asarray(np.linalg.inv(normal), np.float64)
        noise_px = _noise_px(visits, state, layout, covariance, arm_spread, pitch_prior)
        arm_spread, freedom = _arm_spread(state, layout, covariance, arm_spread)
    return _finished(visits, state, layout, covariance, noise_px, arm_spread, freedom, size_px)


def _matrix(pose: F64) -> F64:
    return pose_of(pose[:3], pose[3:])


def _predict(visit: Visit, deviation: F64, state: _State) -> tuple[F64, F64, F64, F64]:
    """Points in the camera's frame (N, 3), pixels (N, 2), cv2's jacobian (2N, ...) and board to camera (4, 4)."""
    arm = arm_pose(np.array(visit.axes) + deviation)
    place = inverse(state.mount) @ inverse(arm) @ state.boards[visit.placement]
    points = state.at.board_points(visit.view.board_mm) * state.pitch
    there = points @ place[:3, :3].T + place[:3, 3]
    k = state.at.intrinsic
    matrix = np.array([[k[0], 0.0, k[2]], [0.0, k[1], k[3]], [0.0, 0.0, 1.0]])
    seen, jacobian = cv2.projectPoints(
        there.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), matrix, state.at.distortion
    )  # fmt: skip
    return points, np.asarray(seen.reshape(-1, 2), np.float64), np.asarray(jacobian, np.float64), place


def _slopes(visit: Visit, i: int, state: _State, layout: _Layout) -> tuple[F64, F64, list[int]]:
    """Residuals (2N,), derivatives (2N, q') and the unknowns' places."""
    points, seen, jacobian, place = _predict(visit, state.deviations[i], state)
    by_move = jacobian[:, :6]  # of a small move after board-to-camera, as both vectors are 0 here
    by_board_point = by_move[:, 3:] @ place[:3, :3]
    flat = visit.view.board_mm
    x, y = ((flat[:, axis] - state.at.frame[axis]) / state.at.frame[2] for axis in (0, 1))
    heights = np.repeat(np.column_stack([x * x, x * y, y * y]), 2, axis=0)
    along = (by_board_point.reshape(-1, 2, 3) * (points / state.pitch)[:, None, :]).sum(axis=2).reshape(-1, 1)
    arm_move = adjoint(inverse(state.mount)) @ arm_slopes(np.array(visit.axes) + state.deviations[i])
    columns = np.hstack([
        jacobian[:, 6:10], jacobian[:, [10 + c for c in layout.free]], -by_move,
        by_board_point[:, 2:] * heights * state.pitch, along, by_move @ adjoint(place), -by_move @ arm_move,
    ])  # fmt: skip
    at = layout.board(visit.placement)
    places = [*range(layout.pitch + 1), *range(at, at + 6), *range(layout.visit(i), layout.visit(i) + _AXES)]
    return (visit.view.pixels - seen).ravel(), columns, places


def _priors(state: _State, layout: _Layout, arm: Repeatability, pitch: float) -> tuple[F64, F64]:
    """Weights (q,) and what is known less the present value, of all unknowns."""
    weights, rest = np.zeros(layout.size), np.zeros(layout.size)
    weights[layout.shape : layout.shape + 3] = 1 / BOW_PRIOR_MM**2
    rest[layout.shape : layout.shape + 3] = -state.at.shape_mm
    weights[layout.pitch], rest[layout.pitch] = 1 / pitch**2, 1.0 - state.pitch
    spread = np.array([arm.mm] * 3 + [arm.deg] * 2)
    weights[layout.visit(0) :] = np.tile(1 / spread**2, layout.visits)
    rest[layout.visit(0) :] = -state.deviations.ravel()
    return weights, rest


def _equations(
    visits: Sequence[Visit], state: _State, layout: _Layout, noise_px: float, arm: Repeatability, pitch: float
) -> tuple[F64, F64, float]:
    weights, rest = _priors(state, layout, arm, pitch)
    matrix, right, cost = np.diag(weights), weights * rest, float((weights * rest**2).sum())
    for i, visit in enumerate(visits):
        r, columns, places = _slopes(visit, i, state, layout)
        matrix[np.ix_(places, places)] += columns.T @ columns / noise_px**2
        right[places] += columns.T @ r / noise_px**2
        cost += float(r @ r) / noise_px**2
    return matrix, right, cost


def _moved(state: _State, step: F64, layout: _Layout) -> _State:
    at = state.at
    distortion = at.distortion.copy()
    distortion[list(layout.free)] += step[4 : layout.mount]
    shape = at.shape_mm + step[layout.shape : layout.shape + 3]
    boards = {
        p: board @ small_move(step[layout.board(p) : layout.board(p) + 6]) for p, board in state.boards.items()
    }  # fmt: skip
    return _State(
        replace(at, intrinsic=at.intrinsic + step[:4], distortion=distortion, shape_mm=shape),
        state.mount @ small_move(step[layout.mount : layout.mount + 6]), boards,
        state.deviations + step[layout.visit(0) :].reshape(-1, _AXES), state.pitch + float(step[layout.pitch]),
    )  # fmt: skip


def _converge(
    visits: Sequence[Visit], state: _State, layout: _Layout, noise_px: float, arm: Repeatability, pitch: float
) -> tuple[_State, F64]:
    """Least squares (Levenberg and Marquardt), and the normal matrix at its end."""
    matrix, right, cost = _equations(visits, state, layout, noise_px, arm, pitch)
    damping = 1e-6
    for _ in range(ROUNDS):
        scale = 1 / np.sqrt(np.diag(matrix) * (1 + damping))
        damped = matrix + damping * np.diag(np.diag(matrix))
        step = scale * np.linalg.solve(damped * scale[:, None] * scale, right * scale)
        tried = _moved(state, step, layout)
        then = _equations(visits, tried, layout, noise_px, arm, pitch)
        if then[2] <= cost:
            gain = cost - then[2]
            state, (matrix, right, cost), damping = tried, then, max(damping / 10, 1e-12)
            if gain <= ENOUGH * cost:
                break
        elif damping > 1e6:
            break
        else:
            damping *= 10
    return state, matrix


def _noise_px(
    visits: Sequence[Visit], state: _State, layout: _Layout, covariance: F64, arm: Repeatability, pitch: float
) -> float:  # fmt: skip
    """One coordinate's noise: residuals over what redundancy they have."""
    total = count = 0.0
    for visit, deviation in zip(visits, state.deviations, strict=True):
        total += float(((visit.view.pixels - _predict(visit, deviation, state)[1]) ** 2).sum())
        count += 2 * len(visit.view.pixels)
    weights, _ = _priors(state, layout, arm, pitch)
    used = layout.size - float((np.diag(covariance) * weights).sum())
    return float(np.sqrt(total / max(count - used, 1.0)))


def _arm_spread(
    state: _State, layout: _Layout, covariance: F64, before: Repeatability
) -> tuple[Repeatability, float]:  # fmt: skip
    """The arm's repeatability from its deviations (W. Foerstner's variance components), and the redundancy."""
    variances = np.diag(covariance)[layout.visit(0) :].reshape(-1, _AXES)
    found, redundancy = [], 0.0
    for axes, spread, least in ((slice(0, 3), before.mm, LEAST_MM), (slice(3, 5), before.deg, LEAST_DEG)):
        off = state.deviations[:, axes]
        free = off.size - float(variances[:, axes].sum()) / spread**2
        found.append(max(float(np.sqrt((off**2).sum() / max(free, 1.0))), least))
        redundancy += max(free, 1.0)
    return Repeatability(found[0], found[1]), redundancy


def _finished(
    visits: Sequence[Visit], state: _State, layout: _Layout, covariance: F64, noise_px: float, arm: Repeatability,
    freedom: float, size_px: tuple[int, int],
) -> HandEye:  # fmt: skip
    places = [*range(layout.mount), *range(layout.mount, layout.mount + 6)]
    total = count = 0.0
    for visit, deviation in zip(visits, state.deviations, strict=True):
        total += float(((visit.view.pixels - _predict(visit, deviation, state)[1]) ** 2).sum())
        count += len(visit.view.pixels)
    fx, fy, cx, cy = (float(v) for v in state.at.intrinsic)
    stated = covariance[np.ix_(places, places)]
    turn, middle = range(layout.mount, layout.mount + 3), range(2, 4)
    allowed_rad = CORNER_SYSTEMATIC_PX / _lever_px(visits)
    stated[turn, turn] += allowed_rad**2
    stated[middle, middle] += (allowed_rad * fx) ** 2
    return HandEye(
        CameraModel(*size_px, fx, fy, cx, cy, tuple(float(v) for v in state.at.distortion)), state.at.intrinsic,
        state.at.distortion, state.mount, state.boards, state.deviations, state.at.shape_mm, state.pitch,
        float(np.sqrt(covariance[layout.pitch, layout.pitch])), arm, float(np.sqrt(total / count)), noise_px,
        stated, freedom, state.at,
    )  # fmt: skip


def _lever_px(visits: Sequence[Visit]) -> float:
    """Rms distance of all corners from the middle of their pictures' corners."""
    off = np.vstack([visit.view.pixels - visit.view.pixels.mean(axis=0) for visit in visits])
    return float(np.sqrt((off**2).sum(axis=1).mean()))
