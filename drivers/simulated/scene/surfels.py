"""Coarse cells on all surfaces of a part and on the fixture plate round it: where bounced light is computed.

Bounced light is smooth, so cells of CELL_MM serve; a picture interpolates between their middles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, lil_matrix

from drivers.simulated.scene import kernels
from drivers.simulated.scene.part import Packed

F64 = NDArray[np.float64]

CELL_MM, PLATE_CELL_MM = 0.6, 1.6
PLATE_MARGIN_MM = 24.0  # of plate round the part; beyond it the plate is as at this edge
PLACES_PER_SIDE = 3  # of a cell, squared: where its direct light is looked up, and whether it is open
_NARROW_MM = 0.3  # a side longer than this has two cells, so that light may change along it


@dataclass(frozen=True)
class Surfels:
    """All cells of a part; layouts in `kernels.py`. `owner` names each cell's patch, the plate's after the last."""

    cells: F64  # (P + 1, 8)
    points: F64  # (N, 3) mm
    normals: F64  # (N, 3)
    exposed: NDArray[np.uint16]  # (N,) bits of the places that are open surface; 0: the cell is hidden or cut out
    owner: NDArray[np.int32]  # (N,)


def make_surfels(packed: Packed) -> Surfels:
    """The cells of a part's geometry; its materials and defects play no role."""
    cells = _grids(packed)
    counts = (cells[:, 4] * cells[:, 5]).astype(np.int64)
    total = int(counts.sum())
    points, normals, exposed = np.zeros((total, 3)), np.zeros((total, 3)), np.zeros(total, np.uint16)
    kernels.survey_cells(
        packed.patches, _facing_in(packed.patches), packed.cuts, cells, PLACES_PER_SIDE, points, normals, exposed,
        0, len(cells),
    )  # fmt: skip
    owner = np.repeat(np.arange(len(cells), dtype=np.int32), counts)
    return Surfels(cells, points, normals, exposed, owner)


def filling(surfels: Surfels) -> csr_matrix:
    """(N, N) that keeps the values of open cells, and gives the others the course of their open neighbours on the same
    patch: a pixel at the foot of a wall interpolates toward cells under the wall."""
    hidden = surfels.exposed == 0
    out = lil_matrix((len(hidden), len(hidden)), dtype=np.float32)
    out.setdiag(np.where(hidden, 0.0, 1.0))
    for row in surfels.cells:
        columns, lines, first = (int(value) for value in row[4:7])
        known = ~hidden[first : first + columns * lines].reshape(lines, columns)
        if known.any():
            for (j, i), weights in _continued(known).items():
                for (from_j, from_i), weight in weights.items():
                    out[first + j * columns + i, first + from_j * columns + from_i] = weight
    return csr_matrix(out)


Place = tuple[int, int]


def _continued(known: NDArray[np.bool_]) -> dict[Place, dict[Place, float]]:
    """Weights of known cells for the two layers of unknown ones round them: straight on from two, else as the one."""
    weights: dict[Place, dict[Place, float]] = {}
    done = known.copy()
    for _ in range(2):
        fresh = {}
        for j, i in np.argwhere(~done & _beside(done)):
            fresh[int(j), int(i)] = _course(int(j), int(i), done, weights)
        weights |= fresh
        for place in fresh:
            done[place] = True
    return weights


def _beside(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(known, 1)
    return np.asarray(padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:])


def _course(j: int, i: int, known: NDArray[np.bool_], weights: dict[Place, dict[Place, float]]) -> dict[Place, float]:
    """Mean over the sides from which the cell (j, i) can be continued, in weights of cells that were known at first."""
    sides: list[list[tuple[Place, float]]] = []
    for dj, di in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        near, beyond = (j + dj, i + di), (j + 2 * dj, i + 2 * di)
        if _is_known(known, near):
            sides.append([(near, 2.0), (beyond, -1.0)] if _is_known(known, beyond) else [(near, 1.0)])
    total: dict[Place, float] = {}
    for place, weight in (entry for side in sides for entry in side):
        for source, share in weights.get(place, {place: 1.0}).items():
            total[source] = total.get(source, 0.0) + weight * share / len(sides)
    return total


def _is_known(known: NDArray[np.bool_], place: Place) -> bool:
    j, i = place
    return 0 <= j < known.shape[0] and 0 <= i < known.shape[1] and bool(known[j, i])


def _grids(packed: Packed) -> F64:
    """(P + 1, 8) rows of `cells`."""
    bounds = [tuple(float(value) for value in row) for row in packed.bounds]
    closed = packed.closed.tolist()
    steps = [CELL_MM] * len(bounds)
    bounds.append(_plate_bounds(packed.corners.reshape(-1, 3)))
    closed.append(False)
    steps.append(PLATE_CELL_MM)
    rows, first = [], 0
    for (u_lo, u_hi, v_lo, v_hi), is_closed, step in zip(bounds, closed, steps, strict=True):
        columns, lines = _cells_along(u_hi - u_lo, step), _cells_along(v_hi - v_lo, step)
        rows.append([u_lo, v_lo, columns / (u_hi - u_lo), lines / (v_hi - v_lo), columns, lines, first, is_closed])
        first += columns * lines
    return np.array(rows, np.float64)


def plate_row(corners: F64) -> F64:
    """(8,) the row of `cells` of the plate alone, round a part with these corners (N, 3); its cells begin at 0."""
    u_lo, u_hi, v_lo, v_hi = _plate_bounds(corners)
    columns, lines = _cells_along(u_hi - u_lo, PLATE_CELL_MM), _cells_along(v_hi - v_lo, PLATE_CELL_MM)
    return np.array([u_lo, v_lo, columns / (u_hi - u_lo), lines / (v_hi - v_lo), columns, lines, 0, False], np.float64)


def _plate_bounds(corners: F64) -> tuple[float, float, float, float]:
    lo = corners.min(axis=0) if len(corners) else np.zeros(3)
    hi = corners.max(axis=0) if len(corners) else np.zeros(3)
    margin = PLATE_MARGIN_MM
    return float(lo[0]) - margin, float(hi[0]) + margin, float(lo[1]) - margin, float(hi[1]) + margin


def _cells_along(length_mm: float, step_mm: float) -> int:
    return max(1 if length_mm < _NARROW_MM else 2, math.ceil(length_mm / step_mm))


def _facing_in(patches: F64) -> F64:
    """The same surfaces, met from behind: planar ones with their normal reversed, round ones with their sign."""
    flipped = patches.copy()
    planar = patches[:, 12] <= kernels.DISC
    flipped[planar, 9:12] *= -1.0
    flipped[~planar, 19] *= -1.0
    return flipped
