"""Every view in turn kept out of the fit: how well the others predict it, and how the figures scatter (jackknife)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.camera.adjust import BoardView, Solution, adjust, bow_um, fit_pose
from calibration.camera_model import F64

LEFT_OUT_ENOUGH = 1e-7  # of the cost; ends at a thirtieth of a spread from the minimum, in half the time


@dataclass(frozen=True)
class LeftOut:
    """The n fits that leave one view out."""

    cameras: F64  # (n, 4) fx fy cx cy
    bows_um: F64  # (n,)
    rms_px: F64  # (n,) of the view that was left out

    @property
    def total_px(self) -> float:
        """Rms over all left-out views."""
        return float(np.sqrt((self.rms_px**2).mean()))


def leave_out(views: Sequence[BoardView], fit: Solution, bow: bool) -> LeftOut:
    """Fits `fit`'s model again without each of the views; `bow` adjusts the board's shape too."""
    cameras, bows, errors = [], [], []
    for i, view in enumerate(views):
        others = [*views[:i], *views[i + 1 :]]
        part = adjust(others, _without(fit, i), fit.model, bow, 12, LEFT_OUT_ENOUGH)
        cameras.append(part.intrinsic)
        bows.append(bow_um(part.shape_mm, views, part.frame))
        errors.append(fit_pose(view, part, fit.poses[i])[1])
    return LeftOut(np.array(cameras), np.array(bows), np.array(errors))


def jackknife_spread(values: F64) -> F64:
    """One sigma of the full fit's value, from the (n, ...) values that leaving out each view gives."""
    n = len(values)
    return np.asarray(np.sqrt((n - 1) / n * ((values - values.mean(axis=0)) ** 2).sum(axis=0)), np.float64)


def _without(solution: Solution, index: int) -> Solution:
    """A start for the fit that leaves view `index` out."""
    return replace(solution, poses=np.delete(solution.poses, index, axis=0))
