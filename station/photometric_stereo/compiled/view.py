"""Makes the tables that the compiled kernel reads, once per view, and calls it row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.compiled.jit import CODES
from station.photometric_stereo.compiled.projection import is_even, projection_table
from station.photometric_stereo.compiled.rows import solve_rows
from station.photometric_stereo.lights import PointLights, light_vectors
from station.photometric_stereo.network import network_table, quantile_index
from station.photometric_stereo.work import Band, Maps, Region, Rows, Work

F32 = NDArray[np.float32]
MOST_UNROLLED = 32  # lights: beyond, one kernel takes any number of them, at a cost per light that does not grow
Bounds = tuple[np.float32, np.float32, np.float32, np.float32]


def compiled_rows(work: Work) -> Rows:
    """A function that solves rows of the view's region into its maps; several threads may call it at once."""
    tables = _Tables(work)

    def rows(first: int, last: int) -> None:
        tables.solve((first, last), 0, work.result)

    return rows


def compiled_band(work: Work) -> Band:
    """A function that solves some rows of the view's region, from a multiple of `work.step_px` on, into maps of them.

    Bit for bit what `compiled_rows` finds there. Several threads may call it at once.
    """
    tables = _Tables(work)

    def band(first: int, last: int, into: Maps) -> None:
        tables.solve((0, last - first), first, into)

    return band


class _Tables:
    """What the kernel reads of a view, made once."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._knots = knots_of(work, work.region) if work.is_near else None
        self._arguments = _arguments(work, self._knots)

    def solve(self, rows: tuple[int, int], top: int, into: Maps) -> None:
        """Rows, counted from row `top` of the region on, into maps that begin there."""
        work, knots = self._work, self._knots
        before, after = self._arguments
        if knots is not None and top > 0:
            knots = knots[top // work.step_px :]
        solve_rows(
            work.ring, rows, (work.region.top + top, work.region.left), *before, knots, *after,
            into.normals, into.albedo, into.lit_count, into.residual, into.observable.view(np.uint8),
            into.saturated.view(np.uint8),
        )  # fmt: skip


def _arguments(work: Work, knots: F32 | None) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Those of the kernel before and after the knots."""
    radiometry, settings = work.radiometry, work.settings
    count = len(work.lights.names)
    vectors = _at_center(work)
    inverse = np.linalg.pinv(vectors)
    black = radiometry.black_dn if work.dark is None else np.zeros(count)
    is_mosaic = bool((radiometry.scale != radiometry.scale[:, :1, :1]).any())
    scale = radiometry.scale[:, 0, 0]
    thresholds = _thresholds(settings.shadow_fraction, scale, black)
    worst = np.inf if settings.method == "ls" else settings.maximum_condition
    rules = (
        CODES[settings.method], np.float32(settings.shadow_fraction), np.float32(settings.dark_fraction),
        np.float32(worst), settings.iterations, np.float32(settings.cauchy_fraction),
    )  # fmt: skip
    unrolled = count <= MOST_UNROLLED
    lights = (0,) * count if unrolled else count
    network = None if unrolled else network_table(count, quantile_index(count))
    plain = knots is None and not is_mosaic if unrolled else None
    before = (
        lights, network, work.dark, black.astype(np.float32),
        radiometry.scale.astype(np.float32), work.ring.dtype.type(radiometry.limit_dn), vectors.astype(np.float32),
        np.ascontiguousarray(inverse.T, np.float32), projection_table(vectors, scale, black),
        thresholds, plain, is_even(scale, black),
        _bounds(work, vectors, black, knots),
    )  # fmt: skip
    return before, (work.step_px.bit_length() - 1, rules)


def knots_of(work: Work, region: Region) -> F32:
    """(Y, X, K, 7) unit light vector, 1 / strength, column of the pseudo-inverse; with one knot beyond each edge."""
    step = work.step_px
    y = region.top + np.arange(0, region.height + step, step, dtype=np.float64)
    x = region.left + np.arange(0, region.width + step, step, dtype=np.float64)
    directions, strengths = work.light_at(x[None, :], y[:, None])
    inverse = np.moveaxis(np.linalg.pinv(directions), -1, -2)
    return np.concatenate([directions, 1 / strengths[..., None], inverse], axis=-1).astype(np.float32)


def _at_center(work: Work) -> NDArray[np.float64]:
    lights, shape = work.lights, work.ring.shape
    center = lights.center_px if isinstance(lights, PointLights) else (shape[2] / 2, shape[1] / 2)
    directions, _ = light_vectors(lights, np.full(1, center[0]), np.full(1, center[1]))
    return np.ascontiguousarray(directions[0])


def _thresholds(shadow: float, scale: NDArray[np.float64], black: NDArray[np.float64]) -> F32:
    """(K + 1, 2): per light the shadow threshold in counts above black per albedo, and black; last row: the maxima."""
    each = np.stack([shadow / scale, black], axis=1)
    return np.vstack([each, each.max(axis=0)]).astype(np.float32)


def _bounds(work: Work, vectors: NDArray[np.float64], black: NDArray[np.float64], knots: F32 | None) -> Bounds:
    """Least and most scale over lights, phases and picture, then least and most black.

    A least scale of 0, which no pixel passes, stands where the lights' condition is too high.
    """
    scale = work.radiometry.scale
    weaker = np.ones(1, np.float32) if knots is None else knots[..., 3]
    matrix = vectors.T @ vectors
    condition = float(np.trace(matrix) * np.trace(np.linalg.inv(matrix)) / 9)
    least = float(scale.min() * weaker.min()) if condition <= work.settings.maximum_condition else 0.0
    most = float(scale.max() * weaker.max())
    return np.float32(least), np.float32(most), np.float32(black.min()), np.float32(black.max())
