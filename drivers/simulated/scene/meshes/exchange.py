"""Which corners of a mesh, and which cells of the plate round it, see each other: what bounced light and dome need.

As `surfels.py` does for patches. A cell is a corner of the triangles with its normal; a picture interpolates inside
each triangle. Of a mesh of more than MOST_CELLS corners some stand for their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, coo_matrix, csr_matrix, identity
from scipy.spatial import cKDTree

from drivers.simulated.scene.meshes.shape import Shape

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

MESH_RAYS = 256  # per cell
MOST_CELLS = 12_000
_PITCH_MM, _NEIGHBOURS = 1.2, 4
_NORMAL_MM = 4.0  # a turn of the normal by one radian counts as being so far apart
_OFF_MM = 0.01  # rays begin above the surface
_INWARD = 0.1  # of the way to the middle of the triangles at a corner: a corner in a crease lies on two walls
_PER_CALL = 512  # cells


@dataclass(frozen=True)
class MeshCells:
    """points and normals (N, 3), material (N,); per corner of each triangle (T, 3) its cell; what triangles take from
    cells: filled (4 T, N) rows for the weights (0, 0), (1, 0), (0, 1) and (1, 1) of corners 1 and 2."""

    points: F64
    normals: F64
    materials: I32
    corner_cells: I64
    filled: csr_matrix


def cells_of(shape: Shape) -> MeshCells:
    """The cells of a drawing."""
    unit = shape.normals / np.linalg.norm(shape.normals, axis=2, keepdims=True)
    keys = np.concatenate([shape.vertices.reshape(-1, 1), np.round(unit.reshape(-1, 3) * 500).astype(np.int64)], axis=1)
    keys = np.concatenate([keys, np.repeat(shape.regions, 3)[:, None]], axis=1)
    _, first, corner = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    corner = corner.ravel()
    count = np.bincount(corner).astype(np.float64)[:, None]
    middles = np.repeat(shape.corners.mean(axis=1), 3, axis=0)
    inner = np.stack([np.bincount(corner, middles[:, axis]) for axis in range(3)], axis=1) / count
    place, normals = shape.corners.reshape(-1, 3)[first], unit.reshape(-1, 3)[first]
    points = place + _INWARD * (inner - place) + _OFF_MM * normals
    materials = np.repeat(shape.regions, 3)[first].astype(np.int32)
    chosen, weights, nearest = _thinned(points, normals)
    corners = _corner_rows(corner.reshape(-1, 3), len(points))
    return MeshCells(
        points[chosen],
        normals[chosen],
        materials[chosen],
        nearest[corner].reshape(-1, 3),
        csr_matrix(corners @ weights),
    )


def _thinned(points: F64, normals: F64) -> tuple[I64, csr_matrix, I64]:
    """Which corners become cells; (V, N) what each corner takes from the cells; (V,) the cell nearest to each."""
    total, pitch = len(points), _PITCH_MM
    if total <= MOST_CELLS:
        return np.arange(total), csr_matrix(identity(total)), np.arange(total)
    both = np.concatenate([points, _NORMAL_MM * normals], axis=1)
    chosen = np.arange(total)
    while len(chosen) > MOST_CELLS:
        _, chosen = np.unique(np.floor(both / pitch).astype(np.int64), axis=0, return_index=True)
        pitch *= 1.2
    away, near = cKDTree(both[chosen]).query(both, k=_NEIGHBOURS)
    shares = 1.0 / (away + 0.05)
    shares /= shares.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(total), _NEIGHBOURS)
    weights = csr_matrix((shares.ravel(), (rows, near.ravel())), shape=(total, len(chosen)))
    return chosen, weights, near[:, 0]


def _corner_rows(corners: I64, total: int) -> csr_matrix:
    """(4 T, total): the corner 0, 1, 2 of each triangle, and 1 + 2 - 0, so that four cells are one plane."""
    t = 4 * np.arange(len(corners))
    rows = np.concatenate([t, t + 1, t + 2, t + 3, t + 3, t + 3])
    columns = np.concatenate([*corners.T, corners[:, 1], corners[:, 2], corners[:, 0]])
    values = np.repeat([1.0, 1.0, 1.0, 1.0, 1.0, -1.0], len(corners))
    return csr_matrix(coo_matrix((values, (rows, columns)), shape=(4 * len(corners), total)))


def grid_rows(shape: Shape, plate: F64) -> F64:
    """(T + 1, 8) rows of `cells` as the kernels interpolate in them: one of 2 x 2 per triangle, then the plate's."""
    count = len(shape.corners)
    rows = np.zeros((count + 1, 8))
    rows[:count, 0:2], rows[:count, 2:4], rows[:count, 4:6] = -0.5, 1.0, 2.0
    rows[:count, 6] = 4 * np.arange(count)
    rows[count] = plate
    rows[count, 6] = 4 * count
    return rows


def plate_points(plate: F64) -> F64:
    """(M, 3) the middles of the plate's cells, a little above it; `plate` is a row of `cells`."""
    columns, rows = int(plate[4]), int(plate[5])
    n = np.arange(columns * rows)
    x, y = plate[0] + (n % columns + 0.5) / plate[2], plate[1] + (n // columns + 0.5) / plate[3]
    return np.stack([x, y, np.full(len(n), _OFF_MM)], axis=1)


def covered(shape: Shape, points: F64) -> NDArray[np.bool_]:
    """(M,) whether a place on the plate lies under the part's bottom: the first thing above is met from behind."""
    up = np.broadcast_to([0.0, 0.0, 1.0], points.shape)
    met = shape.tracer.first(points, up)
    return np.asarray((met >= 0) & (shape.flat[met, 2] > 0.0))


def frames(normals: F64) -> F64:
    """(N, 3, 3) rows: two axes across each normal, turned by an angle of its own, and the normal."""
    helper = np.where(np.abs(normals[:, :1]) < 0.6, [(1.0, 0.0, 0.0)], [(0.0, 1.0, 0.0)])
    a = np.cross(normals, helper)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(normals, a)
    turn = 2.0 * np.pi * ((np.arange(len(normals)) * 0.6180339887498949) % 1.0)[:, None]
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([cos * a + sin * b, cos * b - sin * a, normals], axis=1)


def gathered(
    shape: Shape, mesh: MeshCells, plate: F64, points: F64, axes: F64, directions: F64
) -> tuple[I32, NDArray[np.float32]]:
    """seen (N, M): the cell that each of N places (mesh cells, then the plate's) meets in M directions, -1 for none;
    ways (N, M, 3). The plate's cells are numbered after the mesh's."""
    seen = np.full((len(points), len(directions)), -1, np.int32)
    ways = np.empty((len(points), len(directions), 3), np.float32)
    columns, rows, first = int(plate[4]), int(plate[5]), len(mesh.points)
    for start in range(0, len(points), _PER_CALL):
        part = slice(start, start + _PER_CALL)
        way = np.einsum("mc,nca->nma", directions, axes[part])
        ways[part] = way
        flat = way.reshape(-1, 3)
        origins = np.repeat(points[part], len(directions), axis=0)
        met, _, weights = shape.tracer.met(origins, flat)
        corner = np.argmax(np.stack([1.0 - weights.sum(axis=1), *weights.T], axis=1), axis=1)
        found = np.where(met >= 0, mesh.corner_cells[met, corner], -1)
        down = (met < 0) & (flat[:, 2] < 0.0)
        place = origins[down] - flat[down] * (origins[down, 2] / flat[down, 2])[:, None]
        i = np.clip(np.floor((place[:, 0] - plate[0]) * plate[2]), 0, columns - 1).astype(np.int64)
        j = np.clip(np.floor((place[:, 1] - plate[1]) * plate[3]), 0, rows - 1).astype(np.int64)
        found[down] = first + j * columns + i
        seen[part] = found.reshape(-1, len(directions))
    return seen, ways


def joined(mesh: csr_matrix, plate: csr_matrix) -> csr_matrix:
    """What triangles take from mesh cells, above what the plate's cells take from each other."""
    return csr_matrix(block_diag([mesh, plate]), dtype=np.float32)
