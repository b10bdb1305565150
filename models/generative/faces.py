"""From the slopes head's f to what integration misses of a whole view: faces stay rigid, and edges give way.

A large f is a step, and how high it is remains the least certain thing in a view. So neighbours count by

    w = 1 / (1 + (f / 3 px)^2),   h = argmin sum w (h(next) - h - (s + f))^2,

with the measured slopes s. An error of one edge then moves a face as a whole, and is not smeared into it. What is
missed is h less the plain integral of s, so that the camera's perspective, which the integrated height knows, stays.
This module needs numpy and scipy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.depth_views import F32, DepthView
from models.height_fit import fitted_height

GIVES_WAY_PX = 3.0
LEAST_WEIGHT = 1e-3  # 0 would tear the view into islands; unobserved pixels have it in plain integration
TOLERANCE, MOST_ITERATIONS = 1e-4, 200

F64 = NDArray[np.float64]


def missed_px(view: DepthView, slopes: tuple[F64, F64], f: F64) -> F32:
    """(H, W) pixels. `slopes` are the measured ones to the next pixel, right and down, and f is (2, H, W)."""
    right, down = slopes[0][:, :-1], slopes[1][:-1]
    f_right, f_down = f[0][:, :-1], f[1][:-1]
    trust = view.mask + LEAST_WEIGHT
    plain = _fitted(right, down, np.minimum(trust[:, 1:], trust[:, :-1]), np.minimum(trust[1:], trust[:-1]))
    height = _fitted(right + f_right, down + f_down, _weight(f_right), _weight(f_down))
    return np.asarray(height - plain, np.float32)


def _fitted(right: F64, down: F64, weight_right: F64, weight_down: F64) -> F64:
    return fitted_height(
        right, down, weight_right, weight_down, tolerance=TOLERANCE, maximum_iterations=MOST_ITERATIONS
    )


def _weight(f: F64) -> F64:
    return np.asarray(1.0 / (1.0 + (f / GIVES_WAY_PX) ** 2) + LEAST_WEIGHT, np.float64)
