"""The solver in plain float64 numpy: the reference for the compiled kernels, and the fallback without numba."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.network import quantile_index
from station.photometric_stereo.normal_map import MOST_COUNTED, PackedNormalMap
from station.photometric_stereo.packing import (
    ALBEDO_FULL_SCALE,
    RESIDUAL_FULL_SCALE,
    pack_levels,
    pack_normals,
)
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.work import Band, Maps, Region, Rows, Work

Array = NDArray[np.float64]
LEAST_WEIGHT = 0.2  # of a light that counts in the robust solver
FLOOR = 1e-4  # weight of a light in shadow or saturated, in the robust solver


class Tile(NamedTuple):
    """Solved pixels: g (n, 3) = albedo x normal, how many lights counted, rms residual, condition, observable.

    The residual is over the lights that counted; of `ls`, which fits all lights, over all.
    """

    g: Array
    lit_count: NDArray[np.intp]
    residual: Array
    condition: Array
    observable: NDArray[np.bool_]


def solve_tile(values: Array, usable: NDArray[np.bool_], directions: Array, settings: SolverSettings) -> Tile:
    """Solve n pixels from `values` (K, n), already divided by the lights' strengths.

    `usable` (K, n) is False where the raw count was saturated; `directions` is (K, 3), or (n, K, 3) for near lights.
    """
    count, pixels = values.shape
    lights = shared(directions)
    if settings.method == "ls":
        g, condition = weighted_least_squares(values, np.ones_like(values), lights)
        scale = np.linalg.norm(g, axis=1)
    else:
        scale = np.sort(values, axis=0)[quantile_index(count)]
    lit = usable & (values > settings.shadow_fraction * scale) & (scale > settings.dark_fraction)
    if settings.method != "ls":
        weights = _first_weights(values, lit, scale, settings)
        g, condition = weighted_least_squares(values, weights, lights)
    if settings.method == "robust":
        safe = np.where(scale > 0, scale, np.inf) * settings.cauchy_fraction
        for _ in range(settings.iterations):
            residuals = values - predicted(lights, g)
            weights = np.where(lit, 1.0, FLOOR) / (1 + (residuals / safe) ** 2)
            g, condition = weighted_least_squares(values, weights, lights)
        lit = weights >= LEAST_WEIGHT
    number = lit.sum(axis=0)
    residuals = values - predicted(lights, g)
    fitted = np.ones_like(lit) if settings.method == "ls" else lit
    rms = np.sqrt((fitted * residuals**2).sum(axis=0) / np.maximum(fitted.sum(axis=0), 1))
    well_placed = np.ones(pixels, bool) if settings.method == "ls" else condition <= settings.maximum_condition
    observable = (number >= 3) & well_placed & (g[:, 2] > 0) & np.isfinite(g).all(axis=1)
    return Tile(g, number, rms, condition, observable)


def _first_weights(values: Array, lit: NDArray[np.bool_], scale: Array, settings: SolverSettings) -> Array:
    if settings.method == "masked":
        return lit.astype(np.float64)
    over = np.maximum(values / np.where(scale > 0, scale, np.inf) - 1.5, 0)
    return np.asarray(np.where(lit, 1.0, FLOOR) / (1 + 4 * over**2))


def weighted_least_squares(values: Array, weights: Array, lights: Array) -> tuple[Array, Array]:
    """g (n, 3) minimising sum_k w_k (I_k - l_k . g)^2, and tr(A) tr(A^-1) / 9, infinite (with g = 0) where singular.

    `lights` is (K, 3), or (n, K, 3) for near lights.
    """
    lights = shared(lights)
    matrix = weighted_products(weights, lights)
    right = (
        (weights * values).T @ lights
        if lights.ndim == 2
        else np.einsum("kn,nkc->nc", weights * values, lights, optimize=True)
    )
    trace = np.trace(matrix, axis1=1, axis2=2)
    good = (np.linalg.det(matrix) > 1e-9 * trace**3) & (trace > 0)
    inverse = np.linalg.inv(np.where(good[:, None, None], matrix, np.eye(3)))
    g = np.einsum("ncd,nd->nc", inverse, right) * good[:, None]
    return g, np.where(good, trace * np.trace(inverse, axis1=1, axis2=2) / 9, np.inf)


def shared(lights: Array) -> Array:
    """(K, 3) where the (n, K, 3) given repeat one set of far lights (as `light_vectors` gives them), else unchanged."""
    return lights[0] if lights.ndim == 3 and len(lights) > 0 and lights.strides[0] == 0 else lights


def predicted(lights: Array, g: Array) -> Array:
    """(K, n) l_k . g of lights (K, 3) or (n, K, 3) and g (n, 3)."""
    lights = shared(lights)
    return np.asarray(lights @ g.T if lights.ndim == 2 else np.einsum("nkc,nc->kn", lights, g))


def weighted_products(weights: Array, lights: Array) -> Array:
    """(n, 3, 3) sum_k w_k l_k l_k^T of weights (K, n) and lights (K, 3) or (n, K, 3)."""
    lights = shared(lights)
    if lights.ndim == 3:
        return np.asarray(np.einsum("kn,nkc,nkd->ncd", weights, lights, lights, optimize=True))
    outer = (lights[:, :, None] * lights[:, None, :]).reshape(len(lights), 9)
    return np.asarray((weights.T @ outer).reshape(-1, 3, 3))


def plain_rows(work: Work) -> Rows:
    """A function that solves rows of the view's region by `solve_tile`, one at a time."""

    def rows(first: int, last: int) -> None:
        for y in range(first, last):
            _row(work, y)

    return rows


def plain_band(work: Work) -> Band:
    """A function that solves some rows of the view's region into maps of just these rows."""

    def band(first: int, last: int, into: Maps) -> None:
        region = Region(work.region.top + first, work.region.left, last - first, work.region.width)
        plain_rows(replace(work, region=region, result=into))(0, last - first)

    return band


def _row(work: Work, y: int) -> None:
    """Solve one row of the region in float64 and write it into the maps, packed where they are."""
    region, radiometry, result = work.region, work.radiometry, work.result
    row, columns = region.top + y, slice(region.left, region.left + region.width)
    raw = work.ring[:, row, columns]
    x = np.arange(region.left, region.left + region.width)
    black = radiometry.black_dn[:, None] if work.dark is None else work.dark[row, columns].astype(np.float64)
    values = (raw - black) * radiometry.scale[:, row & 1, x & 1]
    directions, strengths = work.light_at(x.astype(np.float64), np.full(1, row, np.float64))
    usable = raw < radiometry.limit_dn
    tile = solve_tile(values / strengths.T, usable, directions if work.is_near else directions[0], work.settings)
    length = np.linalg.norm(tile.g, axis=1) * tile.observable
    normals = (tile.g * tile.observable[:, None] / np.where(length > 0, length, 1)[:, None]).T
    if isinstance(result, PackedNormalMap):
        result.normals[:, y] = pack_normals(normals)
        result.albedo[y] = pack_levels(length, ALBEDO_FULL_SCALE)
        result.residual[y] = pack_levels(tile.residual, RESIDUAL_FULL_SCALE)
    else:
        result.normals[:, y], result.albedo[y], result.residual[y] = normals, length, tile.residual
    result.lit_count[y] = np.minimum(tile.lit_count, MOST_COUNTED)
    result.observable[y] = tile.observable
    result.saturated[y] = ~usable.all(axis=0)
