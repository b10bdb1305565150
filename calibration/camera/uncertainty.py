"""How sure each figure of a camera is: the jackknife over views beside what OpenCV states for the same fit."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.stats import t as student

from calibration.camera.adjust import FREE_COEFFICIENTS, BoardView, Solution
from calibration.camera.left_out import LeftOut, jackknife_spread
from calibration.camera.report import NAMES, Estimate
from calibration.camera_model import F64, pinhole_matrix


def estimates(
    views: Sequence[BoardView], fit: Solution, left: LeftOut, size_px: tuple[int, int]
) -> dict[str, Estimate]:
    """fx, fy, cx, cy by name, with their spreads and 95 % intervals in px."""
    spreads = jackknife_spread(left.cameras)
    noise = _opencv_spreads(views, fit, size_px)
    own = np.sqrt(np.diag(fit.covariance)[:4])
    # A spread from n views is itself uncertain by 1 / sqrt(2 (n - 1)); a fault that all views share does not show in
    # it.
    factor = float(student.ppf(0.975, len(views) - 1)) * (1 + 1 / np.sqrt(2 * (len(views) - 1)))
    return {
        name: Estimate(
            float(fit.intrinsic[i]), float(spreads[i]), float(noise[i]), factor * float(max(spreads[i], own[i]))
        )
        for i, name in enumerate(NAMES)
    }


def _opencv_spreads(views: Sequence[BoardView], fit: Solution, size_px: tuple[int, int]) -> F64:
    """(4,) px: the standard deviations of fx fy cx cy that cv2.calibrateCameraExtended states for the same model."""
    free = FREE_COEFFICIENTS[fit.model]
    flags = cv2.CALIB_USE_INTRINSIC_GUESS
    for place, flag in ((0, cv2.CALIB_FIX_K1), (1, cv2.CALIB_FIX_K2), (4, cv2.CALIB_FIX_K3)):
        flags |= flag if place not in free else 0
    flags |= 0 if 2 in free else cv2.CALIB_ZERO_TANGENT_DIST
    answer = cv2.calibrateCameraExtended(
        [fit.board_points(view.board_mm).astype(np.float32) for view in views],
        [view.pixels.astype(np.float32) for view in views], size_px, pinhole_matrix(fit.intrinsic),
        fit.distortion.copy(), flags=flags,
    )  # fmt: skip
    return np.asarray(answer[5], np.float64).ravel()[:4]
