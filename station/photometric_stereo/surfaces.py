"""Slope, mean curvature and height of a surface, from its normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.height_fit import fitted_height

LEAST_NZ = 0.1  # steeper faces would put slopes above 10 into the height
OUTSIDE_WEIGHT = 1e-3  # of slopes where nothing is known: 0 would tear the surface into islands

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Perspective:
    """A camera whose rays spread: a pixel is smaller on what is nearer, and slopes off-centre are seen from aside."""

    focal_px: float  # of the pictures' own grid
    center_px: tuple[float, float]  # (x, y) of the optical axis
    distance_mm: float  # of the part's middle from the entrance pupil, along the axis


def slope_deg(normals: F32) -> F32:
    """(H, W) angle between normal and optical axis; NaN where not observable."""
    seen = np.abs(normals).sum(axis=0) > 0
    across = np.hypot(normals[0].astype(np.float64), normals[1])
    return np.where(seen, np.rad2deg(np.arctan2(across, normals[2])), np.nan).astype(np.float32)


def mean_curvature_per_mm(normals: F32, mm_per_px: float) -> F32:
    """(H, W) half the divergence of the normals: 1 / R on a ball of radius R, negative in hollows.

    Central differences; NaN at the edge and where a neighbour is not observable. Seen from above: on a face
    tilted by t, lengths along the tilt are foreshortened by cos t, which the divergence of n already allows for.
    """
    seen = np.abs(normals).sum(axis=0) > 0
    out = np.full(seen.shape, np.nan)
    n = normals.astype(np.float64)
    along_x = (n[0, 1:-1, 2:] - n[0, 1:-1, :-2]) / (2 * mm_per_px)
    along_y = (n[1, :-2, 1:-1] - n[1, 2:, 1:-1]) / (2 * mm_per_px)  # y up: rows run down
    whole = seen[1:-1, 2:] & seen[1:-1, :-2] & seen[:-2, 1:-1] & seen[2:, 1:-1]
    out[1:-1, 1:-1] = np.where(whole, (along_x + along_y) / 2, np.nan)
    return out.astype(np.float32)


def height_mm(
    normals: F32,
    mm_per_px: float,
    weights: F32 | None = None,
    *,
    tolerance: float = 1e-5,
    maximum_iterations: int = 300,
) -> F32:
    """(H, W) height whose slopes fit the normals best, towards the camera, mean 0; NaN where not observable.

    Minimises sum w (dz - slope)^2 over neighbours (Frankot and Chellappa's aim, with Neumann borders), by the
    conjugate gradients of `models/height_fit.py`. Relative: steps that the normals do not show (walls seen edge-on,
    cast shadows) are missing, and each separate piece has its own zero only as far as the background joins them.
    `weights` (H, W) in 0..1, default 1 where observable.
    """
    seen = seen_for_height(normals)
    if not seen.any():
        return np.full(seen.shape, np.nan, np.float32)
    z = filled_height_mm(normals, mm_per_px, weights, tolerance=tolerance, maximum_iterations=maximum_iterations)
    return np.where(seen, z, np.float32(np.nan))


def seen_for_height(normals: F32) -> NDArray[np.bool_]:
    """(H, W) whether a pixel has a normal, and one that is not too steep for a slope."""
    return np.asarray((np.abs(normals).sum(axis=0) > 0) & (normals[2] > LEAST_NZ), np.bool_)


def filled_height_mm(
    normals: F32,
    mm_per_px: float,
    weights: F32 | None = None,
    *,
    perspective: Perspective | None = None,
    tolerance: float = 1e-5,
    maximum_iterations: int = 300,
) -> F32:
    """(H, W) as `height_mm`, with the smoothest fill where nothing is observable; 0 where nothing is at all.

    With `perspective` it integrates the logarithm of depth (Durou and Courteille, 2007), and `mm_per_px` is not used.
    """
    seen = seen_for_height(normals)
    if not seen.any():
        return np.zeros(seen.shape, np.float32)
    trust = np.where(seen, 1.0 if weights is None else weights.astype(np.float64), 0.0) + OUTSIDE_WEIGHT
    right, down = _slopes(normals, seen, mm_per_px, perspective)
    edge_x = np.minimum(trust[:, 1:], trust[:, :-1])
    edge_y = np.minimum(trust[1:], trust[:-1])
    slope_x, slope_y = (right[:, 1:] + right[:, :-1]) / 2, (down[1:] + down[:-1]) / 2
    z = fitted_height(slope_x, slope_y, edge_x, edge_y, tolerance=tolerance, maximum_iterations=maximum_iterations)
    z -= z[seen].mean()
    if perspective is not None:
        z = -perspective.distance_mm * np.expm1(-z)  # z is minus the logarithm of depth over its mean
        z -= z[seen].mean()
    return np.asarray(z, np.float32)


def _slopes(normals: F32, seen: NDArray[np.bool_], mm_per_px: float, view: Perspective | None) -> tuple[F64, F64]:
    """Change of height per pixel to the right and downward, or of minus the logarithm of depth; 0 where not seen.

    A point at depth Z on the ray (u, v) is Z (u, -v, -1); its changes with u and v are at right angles to the normal.
    """
    n = np.where(seen, normals, np.array([0, 0, 1], np.float32)[:, None, None]).astype(np.float64)
    if view is None:
        return -n[0] / n[2] * mm_per_px, n[1] / n[2] * mm_per_px
    rows, columns = (np.arange(size, dtype=np.float64) for size in seen.shape)
    u, v = (columns[None, :] - view.center_px[0]) / view.focal_px, (rows[:, None] - view.center_px[1]) / view.focal_px
    facing = np.maximum(n[2] - u * n[0] + v * n[1], LEAST_NZ)
    return np.where(seen, -n[0] / facing / view.focal_px, 0.0), np.where(seen, n[1] / facing / view.focal_px, 0.0)
