"""Height of a view in coarse cells, with its steps: slopes from normals, steps from the length of cast shadows.

Normals show no step that the view sees edge-on. But beside each step in depth some light of the ring casts a shadow
(Raskar et al., 2004), and the shadow's length is the step's height over the tangent of the light's height.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

F64 = NDArray[np.float64]
LEAST_NZ = 0.15  # steeper faces would put slopes above 7 into the height
TORN_WEIGHT, UNKNOWN_WEIGHT = 1e-3, 1e-2  # of an edge between cells across a step, or where nothing is known
SHADOW_WEIGHT = 0.3
TOLERANCE_CELLS = 1.0  # the misfit of a shadow's height, in sizes of a cell, at which its weight is one half
ROUNDS = 1


@dataclass(frozen=True)
class Relief:
    """Heights and slopes of (h, w) cells; y up."""

    z_mm: F64  # (h, w) toward the camera, relative
    slopes: F64  # (2, h, w) dz per mm to the right and up
    cell_mm: float


def relief_from(normals: F64, known: NDArray[np.bool_], shadows: F64, cell_px: int, mm_per_px: float) -> Relief:
    """Heights whose slopes and shadows fit best, by sparse least squares, twice: shadows that do not fit count less.

    `normals` (3, h, w) of the cells, `known` (h, w), `shadows` (n, 7) as `kernels.follow_shadows` gives them.
    """
    height, width = known.shape
    cell_mm = cell_px * mm_per_px
    nz = np.maximum(normals[2], LEAST_NZ)
    slopes = np.where(known, -normals[:2] / nz, 0.0)
    index = np.arange(height * width).reshape(height, width)
    whole_x, whole_y = known[:, 1:] & known[:, :-1], known[1:] & known[:-1]
    weight_x = np.where(whole_x, np.minimum(nz[:, 1:], nz[:, :-1]), UNKNOWN_WEIGHT)
    weight_y = np.where(whole_y, np.minimum(nz[1:], nz[:-1]), UNKNOWN_WEIGHT)
    _tear(weight_x, weight_y, shadows[shadows[:, 6] > 0], cell_px)
    rise_x = (slopes[0, :, 1:] + slopes[0, :, :-1]) / 2 * cell_mm
    rise_y = -(slopes[1, 1:] + slopes[1, :-1]) / 2 * cell_mm  # rows run down
    low = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    high = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    rise = np.concatenate([rise_x.ravel(), rise_y.ravel()])
    weight = np.concatenate([weight_x.ravel(), weight_y.ravel()])
    end, rim, steps_mm, number = _steps(shadows, cell_px, mm_per_px, (height, width))
    trust = SHADOW_WEIGHT * np.sqrt(number)
    z = np.zeros(height * width)
    for _ in range(ROUNDS + 1):
        z = _heights(
            np.concatenate([low, end]), np.concatenate([high, rim]), np.concatenate([rise, steps_mm]),
            np.concatenate([weight, trust]), height * width,
        )  # fmt: skip
        missed = (z[rim] - z[end] - steps_mm) / (TOLERANCE_CELLS * cell_mm)
        trust = SHADOW_WEIGHT * np.sqrt(number) / (1 + missed**2)
    return Relief(z.reshape(height, width), slopes, cell_mm)


def _heights(low: NDArray[np.intp], high: NDArray[np.intp], rise: F64, weight: F64, cells: int) -> F64:
    """Heights (cells,) with the least sum of weight (z_high - z_low - rise)^2, mean near 0."""
    rows = np.concatenate([low, high, low, high, np.arange(cells)])
    columns = np.concatenate([low, high, high, low, np.arange(cells)])
    entries = np.concatenate([weight, weight, -weight, -weight, np.full(cells, 1e-7)])
    matrix = coo_matrix((entries, (rows, columns)), (cells, cells)).tocsc()
    right = np.bincount(high, weight * rise, cells) - np.bincount(low, weight * rise, cells)
    factors = splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return np.asarray(factors.solve(right))


def _tear(weight_x: F64, weight_y: F64, shadows: F64, cell_px: int) -> None:
    """Lower the weight of each edge between two cells that a rim's step crosses."""
    toward = (shadows[:, 2:4] - shadows[:, 0:2]) / np.maximum(shadows[:, 4:5], 1)
    before = None
    for along in np.linspace(-0.75, 0.5, 6) * cell_px:
        at = (shadows[:, 2:4] - 0.5 * toward + along * toward) / cell_px
        cell = np.floor(at).astype(np.intp)
        cell[:, 0] = np.clip(cell[:, 0], 0, weight_x.shape[0] - 1)
        cell[:, 1] = np.clip(cell[:, 1], 0, weight_y.shape[1] - 1)
        if before is not None:
            moved = cell[:, 1] != before[:, 1]
            weight_x[cell[moved, 0], np.minimum(cell[moved, 1], before[moved, 1])] = TORN_WEIGHT
            moved = cell[:, 0] != before[:, 0]
            weight_y[np.minimum(cell[moved, 0], before[moved, 0]), cell[moved, 1]] = TORN_WEIGHT
        before = cell


def _steps(
    shadows: F64, cell_px: int, mm_per_px: float, shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], F64, F64]:
    """Cell of the shadow's end, cell of its rim, mean height between them in mm, and number; one for each pair."""
    end, rim = np.floor(shadows[:, 0:2] / cell_px), np.floor(shadows[:, 2:4] / cell_px)
    toward = (shadows[:, 2:4] - shadows[:, 0:2]) / np.maximum(shadows[:, 4:5], 1)
    rim = np.floor((shadows[:, 2:4] + 0.4 * cell_px * toward) / cell_px)
    cells = [(np.clip(c[:, 0], 0, shape[0] - 1) * shape[1] + np.clip(c[:, 1], 0, shape[1] - 1)) for c in (end, rim)]
    step = (shadows[:, 4] - 0.5) * shadows[:, 5] * mm_per_px
    pairs, which, number = np.unique(
        (cells[0] * shape[0] * shape[1] + cells[1]).astype(np.int64), return_inverse=True, return_counts=True
    )
    mean = np.bincount(which, step, len(pairs)) / np.maximum(number, 1)
    first, second = np.divmod(pairs, shape[0] * shape[1])
    return first.astype(np.intp), second.astype(np.intp), mean, number.astype(np.float64)
