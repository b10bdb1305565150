"""Hand-eye and robot-world calibration by bundle adjustment: one camera on one arm, over all pictures of a board.

Adjusted together: the camera, its mount on the arm, the board's places, its bow and pitch, and for every visit how far
the arm stood off the pose that it reported. The arm's repeatability weighs those last, and is itself estimated.

Five axes cannot turn the camera about every direction. About the one that is left, no arm error adds to a picture's
rotation, and the noise of the corners averages over all pictures to below 0.0004 degrees. An error that all pictures
share does not average. Therefore CORNER_SYSTEMATIC_PX, taken at the corners' rms distance from their middle, is added
to the mount's covariance as a turn of one sigma, and to that of the principal point as the shift of the picture by the
same turn: each makes up for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from calibration.camera.adjust import FREE_COEFFICIENTS, Solution, fit_pose
from calibration.camera_model import F64, CameraModel, pinhole_matrix
from calibration.hand_eye.poses import ARM_AXES, adjoint, arm_pose, arm_slopes, pose_of, small_move
from calibration.hand_eye.result import HandEye, Repeatability, Visit
from calibration.hand_eye.start import boards_in_station, park
from drivers.geometry.rigid import inverse

BOW_PRIOR_MM = 0.03  # one sigma of each term of the board's bow
PITCH_PRIOR = 2e-5  # relative, one sigma of a certified board
FREE_PITCH = 0.02  # relative, one sigma that leaves the pitch to the arm's travel
ROUNDS, ENOUGH, COMPONENTS = 40, 1e-7, 4
# Without this allowance, 7 of 20 simulated calibrations at binning 8 had a viewpoint's angle outside its interval
# (86.7 % of the angles lay inside). In the five that were looked into, the error was 1.03 to 1.3 half widths, always to
# the same side, a side that other calibrations do not all share. The cause is not known. The allowance is 1/400 of a
# pixel of such a picture.
CORNER_SYSTEMATIC_PX = 0.02
LEAST_MM, LEAST_DEG = 0.002, 0.0005  # no arm repeats better than this
_AXES = len(ARM_AXES)


@dataclass
class _State:
    """The present values of all unknowns."""

    at: Solution  # camera and shape; its poses are not used
    mount: F64
    boards: dict[int, F64]
    deviations: F64
    pitch: float


@dataclass(frozen=True)
class _Layout:
    """At which index each group of unknowns begins in the vector of all unknowns."""

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
    """Adjusts the camera on its arm to all visits.

    `start` is the camera as fitted to the same pictures. `expected` is what the arm's maker states; the estimate starts
    there and is repeated in `components` rounds. `pitch_prior` is the relative uncertainty of the board's pitch.
    Raises HandEyeError where the visits do not determine the mount, AdjustmentError where a picture has no pose.
    """
    arm = [arm_pose(v.axes) for v in visits]
    groups = [v.placement for v in visits]
    seen = [_board_to_camera(fit_pose(v.view, start)[0]) for v in visits]
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


def _board_to_camera(pose: F64) -> F64:
    return pose_of(pose[:3], pose[3:])


def _predict(visit: Visit, deviation: F64, state: _State) -> tuple[F64, F64, F64, F64]:
    """Points in the camera's frame (N, 3), pixels (N, 2), cv2's jacobian (2N, ...) and board to camera (4, 4)."""
    arm = arm_pose(np.array(visit.axes) + deviation)
    place = inverse(state.mount) @ inverse(arm) @ state.boards[visit.placement]
    points = state.at.board_points(visit.view.board_mm) * state.pitch
    there = points @ place[:3, :3].T + place[:3, 3]
    matrix = pinhole_matrix(state.at.intrinsic)
    seen, jacobian = cv2.projectPoints(
        there.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), matrix, state.at.distortion
    )  # fmt: skip
    return points, np.asarray(seen.reshape(-1, 2), np.float64), np.asarray(jacobian, np.float64), place


def _slopes(visit: Visit, i: int, state: _State, layout: _Layout) -> tuple[F64, F64, list[int]]:
    """Residuals (2N,), their derivatives (2N, q') and the indices of the q' unknowns on which they depend."""
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
    """Prior weight (q,) of each unknown, and its prior value less its present one (q,)."""
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
    """Normal matrix (q, q), right side (q,) and cost of the weighted least squares at `state`."""
    weights, rest = _priors(state, layout, arm, pitch)
    matrix, right, cost = np.diag(weights), weights * rest, float((weights * rest**2).sum())
    for i, visit in enumerate(visits):
        r, columns, places = _slopes(visit, i, state, layout)
        matrix[np.ix_(places, places)] += columns.T @ columns / noise_px**2
        right[places] += columns.T @ r / noise_px**2
        cost += float(r @ r) / noise_px**2
    return matrix, right, cost


def _moved(state: _State, step: F64, layout: _Layout) -> _State:
    """The state after one step of all unknowns."""
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
    """Least squares by Levenberg and Marquardt: the state at its end, and the normal matrix there."""
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
    """One sigma of one coordinate: the residuals over their redundancy."""
    total, count = _squares(visits, state)
    weights, _ = _priors(state, layout, arm, pitch)
    used = layout.size - float((np.diag(covariance) * weights).sum())
    return float(np.sqrt(total / max(2 * count - used, 1.0)))


def _squares(visits: Sequence[Visit], state: _State) -> tuple[float, int]:
    """Sum of all squared distances in px^2, and the number of points."""
    total, count = 0.0, 0
    for visit, deviation in zip(visits, state.deviations, strict=True):
        total += float(((visit.view.pixels - _predict(visit, deviation, state)[1]) ** 2).sum())
        count += len(visit.view.pixels)
    return total, count


def _arm_spread(
    state: _State, layout: _Layout, covariance: F64, before: Repeatability
) -> tuple[Repeatability, float]:  # fmt: skip
    """The arm's repeatability from its deviations, by W. Foerstner's variance components, and their redundancy."""
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
    """The result in public terms, with the allowance for what all pictures share (see the module)."""
    places = range(layout.mount + 6)
    total, count = _squares(visits, state)
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
