"""The height whose differences fit given slopes best: the one solver of integration and of the depth model.

`station/photometric_stereo/surfaces.py` integrates normals with it, and `models/generative/faces.py` joins faces with
it. This module needs numpy and scipy alone.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

F64 = NDArray[np.float64]


def fitted_height(
    right: F64, down: F64, weight_right: F64, weight_down: F64, *, tolerance: float, maximum_iterations: int
) -> F64:
    """(H, W) heights h, mean 0, with the least sum of w (h(next) - h - slope)^2 over neighbours; borders are free.

    `right` and its weight are (H, W - 1), `down` and its weight (H - 1, W): changes to the next pixel. Solved by
    conjugate gradients whose preconditioner is the exact solution without weights, a cosine transform; it ends at
    `tolerance` of the first preconditioned residual. Weights are positive.
    """
    residual = _divergence(weight_right * right, weight_down * down)
    eigenvalues = _laplacian_eigenvalues(residual.shape)
    height = np.zeros_like(residual)
    direction = conditioned = _unweighted(residual, eigenvalues)
    product = float((residual * conditioned).sum())
    enough = tolerance**2 * product
    for _ in range(maximum_iterations):
        if product <= enough:
            break
        pushed = _divergence(weight_right * np.diff(direction, axis=1), weight_down * np.diff(direction, axis=0))
        step = product / float((direction * pushed).sum())
        height += step * direction
        residual -= step * pushed
        conditioned = _unweighted(residual, eigenvalues)
        previous, product = product, float((residual * conditioned).sum())
        direction = conditioned + (product / previous) * direction
    return height


def _divergence(right: F64, down: F64) -> F64:
    """The transpose of the differences between neighbours, so that borders are free."""
    out = np.zeros((right.shape[0], down.shape[1]))
    out[:, 1:] += right
    out[:, :-1] -= right
    out[1:] += down
    out[:-1] -= down
    return out


def _laplacian_eigenvalues(shape: tuple[int, ...]) -> F64:
    """Of the Neumann Laplacian under the type-II cosine transform: 4 - 2 cos - 2 cos; 1 at the mean's place."""
    y, x = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape)
    values = y[:, None] + x[None, :]
    values[0, 0] = 1
    return np.asarray(values, np.float64)


def _unweighted(values: F64, eigenvalues: F64) -> F64:
    spectrum = cast(Any, dctn(values, type=2, norm="ortho")) / eigenvalues
    spectrum[0, 0] = 0
    return np.asarray(idctn(spectrum, type=2, norm="ortho"), np.float64)
