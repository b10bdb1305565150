"""From the slopes head's f to what integration misses of a whole view: faces stay rigid, and edges give way.

A large f is a step, and how high it is remains the least certain thing in a view. So neighbours count by

    w = 1 / (1 + (f / 3 px)^2),   h = argmin sum w (h(next) - h - (s + f))^2,

with the measured slopes s. An error of one edge then moves a face as a whole, and is not smeared into it. What is
missed is h less the plain integral of s, so that the camera's perspective, which the integrated height knows, stays.
This module needs numpy and scipy alone.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from models.depth_views import F32, DepthView

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


def _weight(f: F64) -> F64:
    return np.asarray(1.0 / (1.0 + (f / GIVES_WAY_PX) ** 2) + LEAST_WEIGHT, np.float64)


def _fitted(right: F64, down: F64, weight_right: F64, weight_down: F64) -> F64:
    """Heights whose weighted differences fit best: conjugate gradients, after the exact solution without weights."""
    residual = _divergence(weight_right * right, weight_down * down)
    eigenvalues = _eigenvalues(residual.shape)
    height = np.zeros_like(residual)
    direction = conditioned = _unweighted(residual, eigenvalues)
    product = float((residual * conditioned).sum())
    enough = TOLERANCE**2 * product
    for _ in range(MOST_ITERATIONS):
        if product <= enough:
            break
        pushed = _divergence(weight_right * np.diff(direction, axis=1), weight_down * np.diff(direction, axis=0))
        step = product / float((direction * pushed).sum())
        height += step * direction
        residual = residual - step * pushed
        conditioned = _unweighted(residual, eigenvalues)
        before, product = product, float((residual * conditioned).sum())
        direction = conditioned + (product / before) * direction
    return height


def _divergence(right: F64, down: F64) -> F64:
    """The transpose of the differences between neighbours, so that borders are free."""
    out = np.zeros((right.shape[0], down.shape[1]))
    out[:, 1:] += right
    out[:, :-1] -= right
    out[1:] += down
    out[:-1] -= down
    return out


def _eigenvalues(shape: tuple[int, ...]) -> F64:
    y, x = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape)
    values = y[:, None] + x[None, :]
    values[0, 0] = 1
    return np.asarray(values, np.float64)


def _unweighted(values: F64, eigenvalues: F64) -> F64:
    spectrum = cast(Any, dctn(values, type=2, norm="ortho")) / eigenvalues
    spectrum[0, 0] = 0
    return np.asarray(idctn(spectrum, type=2, norm="ortho"), np.float64)
