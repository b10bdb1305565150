"""Hand-eye calibration in closed form, to start the adjustment from: the mount from the moves of arm and camera."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from calibration.camera_model import F64
from calibration.hand_eye.poses import mean_pose
from drivers.geometry.rigid import inverse, rotation_vector

LEAST_TURN_DEG = 3.0
LEAST_AXIS_SPREAD = 0.05  # second singular value of the turns' axes over the first


class HandEyeError(ValueError):
    """The visits do not determine how the camera sits on the arm; the text says what is missing."""


def park(arm: Sequence[F64], board: Sequence[F64], groups: Sequence[int]) -> F64:
    """(4, 4) the mount: camera's frame to the arm's camera frame.

    At each visit `arm` (4, 4) leads from the arm's camera frame to the station, `board` (4, 4) from the board to the
    camera, and `groups` numbers the board's placement. Solves A X = X B over all pairs of visits to one placement (F.
    Park and B. Martin, Robot sensor calibration: solving AX = XB on the Euclidean group, 1994). Raises HandEyeError for
    turns about one axis only.
    """
    moves = [
        (inverse(arm[j]) @ arm[i], board[j] @ inverse(board[i]))
        for i, j in combinations(range(len(arm)), 2)
        if groups[i] == groups[j]
    ]
    turns = [(rotation_vector(a[:3, :3]), rotation_vector(b[:3, :3])) for a, b in moves]
    clear = [k for k, (a, _) in enumerate(turns) if LEAST_TURN_DEG < np.degrees(np.linalg.norm(a)) < 177.0]
    if len(clear) < 2:
        raise HandEyeError("too few turns between visits; visit the board from several tilts and pans")
    alpha, beta = (np.array([turns[k][side] for k in clear]) for side in (0, 1))
    spread = np.linalg.svd(alpha, compute_uv=False)
    if spread[1] < LEAST_AXIS_SPREAD * spread[0]:
        raise HandEyeError("all turns between visits have one axis; vary tilt and pan both")
    # M = sum of beta alpha^T; the rotation is (M^T M)^-1/2 M^T, which is V U^T of M = U S V^T
    u, _, v = np.linalg.svd(beta.T @ alpha)
    turn = v.T @ np.diag([1.0, 1.0, np.linalg.det(v.T @ u.T)]) @ u.T
    chosen = [moves[k] for k in clear]
    matrix = np.concatenate([a[:3, :3] - np.eye(3) for a, _ in chosen])
    right = np.concatenate([turn @ b[:3, 3] - a[:3, 3] for a, b in chosen])
    out = np.eye(4)
    out[:3, :3] = turn
    out[:3, 3] = np.linalg.lstsq(matrix, right, rcond=None)[0]
    return out


def boards_in_station(arm: Sequence[F64], mount: F64, board: Sequence[F64], groups: Sequence[int]) -> dict[int, F64]:
    """By placement: (4, 4) board to station, the mean over its visits."""
    seen = [a @ mount @ b for a, b in zip(arm, board, strict=True)]
    return {group: mean_pose([s for s, g in zip(seen, groups, strict=True) if g == group]) for group in set(groups)}
